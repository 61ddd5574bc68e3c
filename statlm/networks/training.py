"""How a network is fitted: every choice that decides where the descent ends."""

from __future__ import annotations

from dataclasses import dataclass

from statlm.errors import SpecificationError
from statlm.networks.architecture import check_choice, check_whole

OPTIMIZERS = ("muon", "adamw", "adam", "sgd", "lbfgs")
PRECISIONS = ("float32", "bfloat16", "float64")
DEFAULT_STEPS = 500
RATES = {"muon": 0.02, "adamw": 0.003, "adam": 0.003, "sgd": 0.1, "lbfgs": 1.0}
MOMENTUM = {"muon": 0.95, "sgd": 0.9}


@dataclass(frozen=True, kw_only=True)
class Training:
    """Stochastic gradient descent on the negative log-likelihood.

    Parameters
    ----------
    steps, tokens, time : optional
        The budget, one of three: steps, training tokens read, or seconds. It sets the schedule of the learning rate. By
        default 500 steps. What a budget of time reaches depends on the machine: the report says how many steps they were.
    batch : int
        Tokens a step.
    accumulate : int
        Batches whose gradients are summed before a step.
    optimizer : "muon", "adamw", "adam", "sgd" or "lbfgs"
        "muon" takes orthogonalised steps for the matrices inside of the blocks and Adam's for embeddings, gains and the head.
        "lbfgs" reads all of the text at each step and runs to a maximum: for small networks, in float64.
    learning_rate : float, optional
        At its highest; of the matrices under "muon". By default 0.02 (muon), 0.003 (adam, adamw) or 0.1 (sgd).
    embedding_rate : float
        Adam's learning rate for embeddings, gains and head under "muon".
    momentum : float, optional
        Of "muon" (by default 0.95) and "sgd" (0.9).
    warmup : int
        Steps over which the learning rate rises.
    hold : float
        Share of the budget at the highest rate, before it falls linearly to 0.
    weight_decay : float
        Shrinkage of weights; a penalty, so that the estimate is no maximum of the likelihood. Under "lbfgs" the precision of a
        normal prior, whose posterior mode is found; otherwise as these optimizers define it, for matrices.
    clip : float, optional
        Largest norm of the gradient, which is scaled down to it.
    average : float
        Weights of the result are a moving average over the last steps, of about this share of all; 0 takes the last.
    patience : int, optional
        Stop when the held-out loss has not improved in this many evaluations, and return the best.
    evaluations : int
        Number of held-out evaluations along the way.
    precision : "float32", "bfloat16" or "float64"
        Of the products in training; "bfloat16" keeps weights in float32. Likelihoods are evaluated in float32 or, with
        "float64", in float64.
    compiled : bool, optional
        Use ``torch.compile``, which takes up to half a minute at the start and then saves about a tenth of each step. By
        default in budgets of 4 minutes and more, where a C++ compiler is found.
    device : str, optional
        Such as "cpu" or "cuda"; by default the accelerator if there is one.
    seed : int
        Of initial weights, order of batches and dropout: same seed, same numbers on the same machine.
    """

    steps: int | None = None
    tokens: int | None = None
    time: float | None = None
    batch: int = 1536
    accumulate: int = 1
    optimizer: str = "muon"
    learning_rate: float | None = None
    embedding_rate: float = 0.02
    momentum: float | None = None
    warmup: int = 10
    hold: float = 0.4
    weight_decay: float = 0.0
    clip: float | None = None
    average: float = 0.0
    patience: int | None = None
    evaluations: int = 20
    precision: str = "float32"
    compiled: bool | None = None
    device: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        given = [name for name in ("steps", "tokens", "time") if getattr(self, name) is not None]
        if len(given) > 1:
            raise SpecificationError(f"{' and '.join(given)} are two budgets, and only one can set the schedule. Give one.")
        for name, least in (("batch", 1), ("accumulate", 1), ("warmup", 0), ("evaluations", 1), ("seed", 0)):
            check_whole(name, getattr(self, name), least)
        for name in ("steps", "tokens", "patience"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("precision", self.precision, PRECISIONS)
        if self.optimizer == "lbfgs" and self.precision != "float64":
            raise SpecificationError(
                f'optimizer="lbfgs" runs until the gradient vanishes, and in {self.precision} rounding hides that. Set '
                'precision="float64".'
            )
        for name in ("time", "learning_rate", "embedding_rate", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise SpecificationError(f"{name}={value!r}: choose a positive number.")
        for name in ("momentum", "hold", "average", "weight_decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < (float("inf") if name == "weight_decay" else 1 + (name == "hold")):
                raise SpecificationError(f"{name}={value!r} is out of range: choose 0 up to 1.")

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        return RATES[self.optimizer] if self.learning_rate is None else self.learning_rate

    @property
    def inertia(self) -> float:
        """The momentum of muon and sgd."""
        return MOMENTUM.get(self.optimizer, 0.0) if self.momentum is None else self.momentum

    @property
    def nsteps(self) -> int | None:
        """Number of steps that the budget allows; None where it is of time."""
        if self.time is not None:
            return None
        if self.tokens is not None:
            return max(1, round(self.tokens / (self.batch * self.accumulate)))
        return DEFAULT_STEPS if self.steps is None else self.steps

    def scale(self, step: int, progress: float) -> float:
        """The learning rate as a share of the highest one.

        Parameters
        ----------
        step : int
            From 0.
        progress : float
            Share of the budget that is used.
        """
        rising = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        falling = 1.0 if self.hold >= 1 else min(1.0, (1.0 - progress) / (1.0 - self.hold))
        return rising * max(falling, 0.0)
