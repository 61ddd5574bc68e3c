"""What a masked model says of a gap, and how well it fills those of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from statlm.covariance import Dependence, SeriesDependence
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.conf_int import half_width
from statlm.inference.perplexity_interval import mean_estimate
from statlm.likelihood import underlying
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.prompts import context_ids

Context = str | Sequence[Any]


@runtime_checkable
class GapModel(Protocol):
    """A model of tokens given those on both of their sides."""

    @property
    def corpus(self) -> Corpus:
        """The observations."""
        ...

    def pseudo_loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation given the others."""
        ...

    def gap_logprobs(self, left: Array, right: Array) -> Array:
        """(V,) log-probabilities of the token between two stretches."""
        ...


@dataclass(frozen=True)
class PseudoPerplexity:
    """How well a masked model fills the gaps of a text; no perplexity, and comparable with other masked models only.

    Attributes
    ----------
    pseudo_perplexity : float
        ``exp`` of the mean of ``-log p(token | both sides)``.
    conf_low, conf_high : float
        Ends of its interval, made on the log scale.
    std_error : float
        Of the mean, nats a token.
    dependence : str
        The assumption, in words.
    nobs : int
    """

    pseudo_perplexity: float
    conf_low: float
    conf_high: float
    std_error: float
    dependence: str
    nobs: int


def pseudo_perplexity(
    model: Any, level: float = 0.95, dependence: str | Dependence | SeriesDependence | None = None
) -> PseudoPerplexity:
    r"""Pseudo-perplexity of a masked model on its corpus, with an interval (Salazar et al. 2020).

    .. math:: \exp\Bigl\{-\frac{1}{n} \sum_i \log p_\theta(y_i \mid y_{-i})\Bigr\}

    It is no perplexity: each token is predicted from both sides, and so from what a model of the next token must still
    predict. Compare it between masked models on the same text.

    Parameters
    ----------
    model : Fit, Evaluation or MaskedLikelihood
    level : float
        Confidence level.
    dependence : str or object, optional
        As of `perplexity_interval`.

    Returns
    -------
    PseudoPerplexity

    Raises
    ------
    NoEstimate
        If the model is not a masked one, or a token has probability 0.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_texts(["abab", "baba"] * 20)
    >>> fit = slm.MaskedTransformer(layers=1, heads=1, width=8, context=8, steps=200, batch=128, seed=1).fit(corpus)
    >>> 1 < pseudo_perplexity(fit).pseudo_perplexity < 2
    True
    """
    held = underlying(model)
    if not isinstance(held, GapModel):
        raise NoEstimate(
            f"{type(held).__name__} predicts the next token and has a perplexity: perplexity_interval(model). "
            "Pseudo-perplexity is for models that fill gaps."
        )
    losses = -held.pseudo_loglike_obs()
    impossible = int(np.count_nonzero(~np.isfinite(losses)))
    if impossible:
        raise NoEstimate(
            f"{impossible:,} of {len(losses):,} tokens are of types that the model never saw, with probability 0, so the "
            "pseudo-perplexity is infinite. Use text whose types it knows, or fit with unk=True."
        )
    found = mean_estimate(losses, held.corpus, dependence)
    half = half_width(level, found.reference_dof) * found.std_error
    low, mid, high = (float(np.exp(found.mean + side)) for side in (-half, 0.0, half))
    return PseudoPerplexity(mid, low, high, found.std_error, found.dependence, found.nobs)


def fill(model: Any, left: Context, right: Context) -> pd.DataFrame:
    """What stands between the beginning of a document and its end, under a masked model.

    Parameters
    ----------
    model : Fit, Evaluation or MaskedLikelihood
    left, right : str, or sequence of tokens
        What stands before the gap from the document's beginning on, and after it up to the end.

    Returns
    -------
    DataFrame
        A row a token, the most probable first: token, probability. `functional(fit, Filled(left, right, token), cov=...)`
        has the error.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_texts(["abab", "baba"] * 20)
    >>> fit = slm.MaskedTransformer(layers=1, heads=1, width=8, context=8, steps=200, batch=128, seed=1).fit(corpus)
    >>> fill(fit, "a", "ab").token[0]
    'b'
    """
    held: Any = underlying(model)
    vocabulary = held.corpus.vocabulary
    before, after = context_ids(vocabulary, [left, right])
    logp = held.gap_logprobs(before, after)
    order = np.argsort(-logp, kind="stable")
    return pd.DataFrame({"token": [vocabulary.tokens[i] for i in order], "probability": np.exp(logp[order])})


@dataclass(frozen=True)
class Filled:
    """Probability of a token in a gap; intervals on the scale of its log-odds.

    Parameters
    ----------
    left, right : str, or sequence of tokens
        What stands before the gap from the document's beginning on, and after it up to the end.
    token : str
    """

    left: Context
    right: Context
    token: str
    scale = "logit"

    @property
    def label(self) -> tuple[str, str]:
        """In words."""
        return "probability", f"{self.token!r} between {self.left!r} and {self.right!r}"

    def measure(self, model: Any) -> tuple[float, Array]:
        """Log-odds of the token, and their gradient."""
        vocabulary = model.corpus.vocabulary
        before, after = context_ids(vocabulary, [self.left, self.right])
        wanted = int(vocabulary.ids_of([self.token])[0])
        if wanted >= vocabulary.size:
            raise SpecificationError(
                f"{self.token!r} is not one of the {vocabulary.size:,} types, so it has no probability of its own."
            )
        logp = float(model.gap_logprobs(before, after)[wanted])
        end = [vocabulary.eos] if vocabulary.with_eos else []
        ids = np.concatenate([before, [wanted], after, end]).astype(vocabulary.dtype)
        names = pd.DataFrame({"name": pd.Series(["gap"], dtype="str")})
        one = Corpus(vocabulary, ids, np.array([0, len(ids)]), np.array([0]), names)
        pick = np.zeros((len(ids), 1))
        pick[len(before)] = 1.0
        rest = -np.expm1(logp)
        return logp - float(np.log(rest)), dense(model.on(one).score().T @ pick)[:, 0] / rest
