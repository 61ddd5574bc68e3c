"""What a model says, as quantities with a gradient: probabilities, log-odds, contrasts, similarities, losses.

Each is measured on a scale where its estimate is nearest to normal, and reported with an interval on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from statlm.errors import NoEstimate, SpecificationError
from statlm.likelihood import Likelihood
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.prompts import context_array, context_ids, continuations

Context = str | Sequence[Any]


@runtime_checkable
class Functional(Protocol):
    """A smooth function of what a model says."""

    @property
    def label(self) -> tuple[str, str]:
        """What kind of quantity it is, and of what."""
        ...

    @property
    def scale(self) -> str:
        """On which scale `measure` gives it: a key of `SCALES`."""
        ...

    def measure(self, model: Likelihood) -> tuple[float, Array]:
        """Its value and its (p,) gradient, on that scale."""
        ...


@dataclass(frozen=True)
class Scale:
    """A monotone change of scale: back to the quantity, and the derivative of the way back."""

    back: Any
    slope: Any


SCALES = {
    "identity": Scale(lambda x: x, lambda x: 1.0),
    "logit": Scale(lambda x: float(1 / (1 + np.exp(-x))), lambda x: float(1 / (np.exp(x / 2) + np.exp(-x / 2)) ** 2)),
    "log": Scale(lambda x: float(np.exp(x)), lambda x: float(np.exp(x))),
    "atanh": Scale(lambda x: float(np.tanh(x)), lambda x: float(1 - np.tanh(x) ** 2)),
}


@dataclass(frozen=True)
class Probability:
    """Probability of a token after a context; intervals on the scale of its log-odds.

    Parameters
    ----------
    context : str, or sequence of tokens
        The beginning of a document, as of `predict`.
    token : str

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra" * 20))
    >>> fit.functional(Probability("a", "b"), cov="HC0").round(3).iloc[0].to_dict()
    {'estimate': 0.404, 'std_error': 0.049, 'conf_low': 0.312, 'conf_high': 0.503}
    """

    context: Context
    token: str
    scale = "logit"

    @property
    def label(self) -> tuple[str, str]:
        """In words."""
        return "probability", f"{self.token!r} after {_shown(self.context)}"

    def measure(self, model: Likelihood) -> tuple[float, Array]:
        """Log-odds of the token, and their gradient: that of its log-probability over ``1 - p``."""
        return LogOdds(self.context, self.token).measure(model)


@dataclass(frozen=True)
class LogOdds:
    """Log-odds of a token after a context: against all others, or against one of them.

    Parameters
    ----------
    context : str, or sequence of tokens
    token : str
    against : str, optional

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra" * 20))
    >>> fit.functional(LogOdds("a", "b", against="c")).round(3).iloc[0].to_dict()
    {'estimate': 0.693, 'std_error': 0.274, 'conf_low': 0.156, 'conf_high': 1.23}
    """

    context: Context
    token: str
    against: str | None = None
    scale = "identity"

    @property
    def label(self) -> tuple[str, str]:
        """In words."""
        against = "" if self.against is None else f" against {self.against!r}"
        return "log-odds", f"{self.token!r}{against} after {_shown(self.context)}"

    def measure(self, model: Likelihood) -> tuple[float, Array]:
        """Value and gradient."""
        tokens = [self.token] if self.against is None else [self.token, self.against]
        logp, gradients = log_probabilities(model, self.context, tokens)
        if self.against is not None:
            return float(logp[0] - logp[1]), gradients[0] - gradients[1]
        if not logp[0] < 0:
            raise NoEstimate(f"{self.token!r} after {_shown(self.context)} has probability 1: its log-odds are infinite.")
        rest = -np.expm1(logp[0])
        return float(logp[0] - np.log(rest)), gradients[0] / rest


@dataclass(frozen=True)
class Difference:
    """Difference of two quantities on the scales on which they are measured: a contrast between contexts, say.

    Parameters
    ----------
    first, second : Functional
        Of probabilities it is the difference of their log-odds.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra" * 20))
    >>> Difference(LogOdds("a", "b"), LogOdds("a", "c")).label
    ('difference', "log-odds of 'b' after 'a' less log-odds of 'c' after 'a'")
    """

    first: Functional
    second: Functional
    scale = "identity"

    @property
    def label(self) -> tuple[str, str]:
        """In words."""
        one, other = (
            f"{'log-odds' if f.scale == 'logit' else f.label[0]} of {f.label[1]}" for f in (self.first, self.second)
        )
        return "difference", f"{one} less {other}"

    def measure(self, model: Likelihood) -> tuple[float, Array]:
        """Value and gradient."""
        if self.first.scale != self.second.scale and {self.first.scale, self.second.scale} != {"identity", "logit"}:
            raise SpecificationError(
                f"A {self.first.label[0]} is measured on the scale {self.first.scale!r} and a {self.second.label[0]} on "
                f"{self.second.scale!r}: their difference has no meaning. Compare quantities of one kind."
            )
        (a, da), (b, db) = self.first.measure(model), self.second.measure(model)
        return a - b, da - db


@runtime_checkable
class Embedded(Protocol):
    """A likelihood that says where the vectors of tokens stand among its parameters."""

    def embedding_place(self, token: int) -> slice:
        """The parameters that are the vector of a token."""
        ...


@dataclass(frozen=True)
class CosineSimilarity:
    """Cosine of the angle between the embeddings of two tokens; intervals on the scale of Fisher's z.

    Parameters
    ----------
    token, other : str
    """

    token: str
    other: str
    scale = "atanh"

    @property
    def label(self) -> tuple[str, str]:
        """In words."""
        return "cosine similarity", f"embeddings of {self.token!r} and {self.other!r}"

    def measure(self, model: Likelihood) -> tuple[float, Array]:
        """Fisher's z and its gradient."""
        if not isinstance(model, Embedded):
            raise SpecificationError(
                f"{type(model).__name__} has no embeddings of tokens, so there is no angle between two of them. A network or a "
                "reduced-rank softmax regression has."
            )
        if self.token == self.other:
            raise SpecificationError(
                f"The cosine of {self.token!r} with itself is 1 whatever the data: it has no error. Choose two tokens."
            )
        params = np.asarray(model.params, float)
        one, two = (model.embedding_place(int(i)) for i in model.corpus.vocabulary.ids_of([self.token, self.other]))
        a, b = params[one], params[two]
        lengths = np.linalg.norm(a), np.linalg.norm(b)
        cosine = float(a @ b / (lengths[0] * lengths[1]))
        gradient = np.zeros(len(params))
        gradient[one] = (b / lengths[1] - cosine * a / lengths[0]) / lengths[0]
        gradient[two] = (a / lengths[0] - cosine * b / lengths[1]) / lengths[1]
        return float(np.arctanh(cosine)), gradient / (1 - cosine**2)


@dataclass(frozen=True, eq=False)
class Perplexity:
    """Perplexity of a given text, as a function of the parameters; intervals on the log scale.

    Its error here is that of the training sample alone; `held_out_error` has that of the evaluation sample beside it.

    Parameters
    ----------
    corpus : Corpus

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra" * 20).split(test=0.5)
    >>> slm.NGram(n=1).fit(train).functional(Perplexity(test)).round(3).estimate.tolist()
    [4.114]
    """

    corpus: Corpus
    scale = "log"

    @property
    def label(self) -> tuple[str, str]:
        """In words."""
        return "perplexity", f"{self.corpus.nobs:,} tokens"

    def measure(self, model: Likelihood) -> tuple[float, Array]:
        """Mean log-loss, nats, and its gradient."""
        there = model.on(self.corpus)
        losses = -there.loglike_obs()
        impossible = int(np.count_nonzero(~np.isfinite(losses)))
        if impossible:
            raise NoEstimate(
                f"{impossible:,} of {len(losses):,} observations have probability 0, so the perplexity is infinite "
                f"and has no error. "
                "Fit with a smoothing or a penalty."
            )
        return float(losses.mean()), -dense(there.score().T @ np.full((len(losses), 1), 1.0 / len(losses)))[:, 0]


def log_probabilities(model: Likelihood, context: Context, tokens: Sequence[str]) -> tuple[Array, Array]:
    """(q,) log-probabilities of tokens after a context, and their (q, p) gradients: the scores of those observations.

    Raises
    ------
    NoEstimate
        If a token has probability 0 there.
    """
    vocabulary = model.corpus.vocabulary
    ids = context_ids(vocabulary, [context])
    wanted = np.array([_token_id(vocabulary, token) for token in tokens])
    logp = model.logprobs(context_array(vocabulary, ids))[0, wanted]
    if np.isneginf(logp).any():
        raise NoEstimate(
            f"{tokens[int(np.argmax(np.isneginf(logp)))]!r} has probability 0 after {_shown(context)}: its logarithm "
            f"has no derivative. "
            "predict(contexts, interval=0.95) gives a one-sided limit where theory has one."
        )
    return logp, dense(model.on(continuations(vocabulary, ids, [wanted])).score())


def measured(functionals: Sequence[Functional], model: Likelihood) -> tuple[Array, Array]:
    """(q,) values and (q, p) gradients, each on its scale."""
    found = [f.measure(model) for f in functionals]
    return np.array([value for value, _ in found]), np.stack([gradient for _, gradient in found])


def reported(functionals: Sequence[Functional], values: Array, errors: Array, half: float) -> pd.DataFrame:
    """Estimates, errors and intervals back on the quantities' own scales, indexed by what they are."""
    rows = []
    for functional, value, error in zip(functionals, values, errors, strict=True):
        scale = SCALES[functional.scale]
        rows.append(
            {
                "estimate": scale.back(value),
                "std_error": error * scale.slope(value),
                "conf_low": scale.back(value - half * error),
                "conf_high": scale.back(value + half * error),
            }
        )
    index = pd.MultiIndex.from_tuples([f.label for f in functionals], names=["quantity", "of"])
    return pd.DataFrame(rows, index=index)


def as_functionals(given: Any) -> list[Functional] | None:
    """Functionals, one or several, as a list; None for anything else."""
    if isinstance(given, Functional):
        return [given]
    if isinstance(given, (list, tuple)) and given and all(isinstance(one, Functional) for one in given):
        return list(given)
    return None


def _token_id(vocabulary: Any, token: str) -> int:
    found = int(vocabulary.ids_of([token])[0])
    if found >= vocabulary.size or vocabulary.tokens[found] != token:
        raise SpecificationError(
            f"{token!r} is not one of the {vocabulary.size:,} types that can follow "
            f"({', '.join(map(repr, vocabulary.tokens[:3]))}, ...), so it "
            "has no probability of its own."
        )
    return found


def _shown(context: Context) -> str:
    return repr(context) if isinstance(context, str) else repr(list(context))
