"""Settings of a decoder that follow its budget: the more often it reads its text, the more it is held back from learning it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from statlm.networks.training import Training

BY_BUDGET: Any = None  # default of the fields below until the budget is known
TOKENS_A_SECOND = 15_000.0  # what a small decoder reads in training on two cores: makes a budget of time one of tokens


@dataclass(frozen=True)
class Settings:
    """What suits budgets of fewer than so many tokens.

    Attributes
    ----------
    below : float
        Training tokens read.
    layers : int
    learning_rate : float or None
        Of Muon; None is the one of `statlm.networks.training.RATES`.
    context : int
    dropout : float
    decay : float
        Weight decay of the matrices under Muon.
    """

    below: float
    layers: int
    learning_rate: float | None
    context: int
    dropout: float
    decay: float


# Chosen on a million characters of Shakespeare: seconds, a few minutes, and more.
SECONDS = Settings(below=0.25e6, layers=2, learning_rate=0.05, context=128, dropout=0.0, decay=0.0)
MINUTES = Settings(below=3.6e6, layers=4, learning_rate=None, context=128, dropout=0.0, decay=0.0)
LONGER = Settings(below=float("inf"), layers=4, learning_rate=None, context=256, dropout=0.1, decay=0.05)


def budget_tokens(training: Training) -> float:
    """Training tokens that a budget is expected to read."""
    if training.time is not None:
        return training.time * TOKENS_A_SECOND
    return float((training.nsteps or 0) * training.batch * training.accumulate)


def settings_by_budget(training: Training, *, own_layers: bool) -> dict[str, Any]:
    """Layers, learning rate, context, dropout and weight decay by name.

    Parameters
    ----------
    training : Training
    own_layers : bool
        Whether the number of layers is given: the learning rate that suits two of them is then left alone.
    """
    tokens = budget_tokens(training)
    chosen = next(s for s in (SECONDS, MINUTES, LONGER) if tokens < s.below)
    if training.optimizer == "lbfgs":  # reads all of the text at each step, to a maximum, which dropout has none of
        chosen = MINUTES
    return {
        "layers": chosen.layers,
        "learning_rate": None if own_layers or training.optimizer != "muon" else chosen.learning_rate,
        "context": chosen.context,
        "dropout": chosen.dropout,
        "weight_decay": chosen.decay if training.optimizer == "muon" else 0.0,
    }
