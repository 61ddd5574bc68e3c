"""Comparison of two models that may be looked at after every document, and stopped whenever one likes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from statlm.comparison.paired import check_same_observations
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.perplexity_interval import Interval
from statlm.likelihood import Predictive
from statlm.numerics.e_process import betting, normal_mixture, symmetric
from statlm.numerics.p_values import p_value_text
from statlm.numerics.types import Array

METHODS = ("betting", "symmetric", "normal")
GRID = 801  # means that the confidence sequence is looked for on
BURN_IN = 50  # documents before the asymptotic method speaks
GUARANTEES = {
    "betting": "exact for the mean of differences clipped to +-{bound:g} nats a token, if each document's has the same mean "
    "given the earlier ones",
    "symmetric": "exact if each document's difference is symmetric about one centre given the earlier ones",
    "normal": "asymptotic: the error is near the level once {burn_in} documents are in, for differences of finite variance",
}


@dataclass(frozen=True, eq=False)
class AnytimeTest:
    """A comparison followed document by document.

    Attributes
    ----------
    table : DataFrame
        A row a document in order: ``documents`` (how many so far), ``difference`` (nats a token, positive where the first model
        is better), ``mean`` (so far), ``e_value``, ``conf_low``, ``conf_high`` (a confidence sequence: all of them hold
        together).
    method : str
    level : float
        Confidence level; its complement bounds the error.
    stopped : int or None
        Documents after which the hypothesis of no difference is rejected for the first time.
    clipped : int
        Documents whose difference was clipped.
    guarantee : str
        What holds exactly, in words.
    """

    table: pd.DataFrame
    method: str
    level: float
    stopped: int | None
    clipped: int
    guarantee: str

    @property
    def p_value(self) -> float:
        """Valid at whatever document one stops: one over the largest e-value so far."""
        return float(min(1.0, 1.0 / self.table["e_value"].max()))

    @property
    def conf_int(self) -> Interval:
        """Of the mean difference, nats a token, at the last document."""
        last = self.table.iloc[-1]
        return Interval(float(last.conf_low), float(last.conf_high))

    def __str__(self) -> str:
        n = len(self.table)
        low, high = self.conf_int
        e = self.table["e_value"].iloc[-1]
        interval = (
            "no single mean fits all documents (in the order of time they drift: use seed=)"
            if not low <= self.table["mean"].iloc[-1] <= high
            else f"{100 * self.level:g} % confidence sequence {low:.4g} to {high:.4g}"
        )
        verdict = "no decision yet" if self.stopped is None else f"no difference is rejected after {self.stopped:,}"
        clipped = f" {self.clipped:,} of {n:,} differences were clipped." if self.clipped else ""
        return (
            f"Anytime-valid comparison ({self.method}) over {n:,} documents: {verdict}; e-value "
            f"{f'{e:.4g}' if e < 1e16 else '> 1e16'}, p {p_value_text(self.p_value)}.\nMean difference "
            f"{self.table['mean'].iloc[-1]:.4g} nats a token; {interval}.{clipped}\nGuarantee: {self.guarantee}."
        )


def anytime_test(
    a: Predictive,
    b: Predictive,
    *,
    method: str = "betting",
    bound: float | None = None,
    level: float = 0.95,
    sharpest: int = 50,
    seed: int | None = None,
) -> AnytimeTest:
    r"""Test of equal log-loss that holds at every document at once, so that an evaluation may stop early.

    A paired test looked at again and again rejects a true hypothesis sooner or later. Here the evidence is an e-process: under
    the null hypothesis the probability that it *ever* reaches :math:`1 / \alpha` is at most :math:`\alpha` (Ville 1939).

    Parameters
    ----------
    a, b : Predictive
        On the same held-out corpus, its documents in the order in which they are evaluated. Each document's mean difference of
        log-likelihoods, nats a token, is one value, and counts the same whatever its length.
    method : "betting", "symmetric" or "normal"
        "betting": for bounded differences; "symmetric": for differences symmetric about their mean; "normal": for any of finite
        variance, asymptotically. The result says which guarantee holds.
    bound : float
        With "betting": differences beyond +- this, nats a token, are clipped to it, and the hypothesis is about the mean of
        clipped ones. Choose it before looking, from a pilot: about three standard deviations of document means. A bound that is
        too large only costs power.
    level : float
        1 minus the probability of a false rejection at any time.
    sharpest : int
        With "symmetric" and "normal": documents after which the evidence should be sharpest; to be chosen before looking.
    seed : int, optional
        Evaluate the documents in an order drawn at random, so that their differences have one mean; by default in their own.

    Returns
    -------
    AnytimeTest

    Raises
    ------
    NotComparable
        If the models stand on different observations.
    SpecificationError
        If a setting is none of those above, or `bound` is missing.
    NoEstimate
        If an observation has probability 0, or there are too few documents.

    See Also
    --------
    paired_test : the same at a number of documents fixed beforehand, which is more powerful there.

    Notes
    -----
    The confidence sequences of "betting" and "symmetric" are the means that were never rejected, and hold for documents that
    share one mean. In the order of time they may not: then no mean is left in the end, the sequence is missing from there on, and
    the result says so. That of "normal" is about the mean so far, and does not need one mean.

    "normal" has no evidence before 50 documents, and no guarantee at any number of them: with differences as skewed as
    exponential ones it rejects a true hypothesis more often than it says. The simulation page of the documentation has rates.

    References
    ----------
    Ville (1939). Robbins (1970). Howard, Ramdas, McAuliffe and Sekhon (2021), Time-uniform, nonparametric, nonasymptotic
    confidence sequences. Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting. Waudby-Smith
    et al. (2024) for the asymptotic sequence.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_texts(["abracadabra", "barbara", "cadabra", "abraca"] * 20).split(test=0.5)
    >>> bigram, unigram = (slm.NGram(n, pseudo_count=0.5).fit(train).on(test) for n in (2, 1))
    >>> found = anytime_test(bigram, unigram, bound=2.0)
    >>> found.stopped, bool(found.conf_int.low > 0)
    (23, True)
    """
    if method not in METHODS:
        raise SpecificationError(f"There is no method {method!r}. Use one of {', '.join(map(repr, METHODS))}.")
    if not 0 < level < 1 or sharpest < 2:
        raise SpecificationError(f"level={level}, sharpest={sharpest}: a level between 0 and 1, and 2 documents or more.")
    if method == "betting" and not (bound is not None and 0 < bound < np.inf):
        raise SpecificationError(
            f"bound={bound}: betting needs a bound on the differences of document means, nats a token, chosen before looking. "
            "About three of their standard deviations in a pilot is a good one; or use method='symmetric' or 'normal'."
        )
    check_same_observations(a, b)
    corpus = a.corpus
    nobs = np.bincount(corpus.document_index, minlength=corpus.ndocuments)
    logs = [np.asarray(model.loglike_obs(), float) for model in (a, b)]
    if impossible := int(sum(np.count_nonzero(np.isneginf(x)) for x in logs)):
        raise NoEstimate(
            f"{impossible:,} observations have probability 0 under one of the models, so a difference is infinite. Compare "
            "models with pseudo_count > 0 or a smoothing."
        )
    x = np.bincount(corpus.document_index, logs[0] - logs[1], corpus.ndocuments)[nobs > 0] / nobs[nobs > 0]
    if len(x) < 2:
        raise NoEstimate(
            "The text is a single document, and evidence is gathered over documents. Use more, or cut it with "
            "corpus.blocks(length=...)."
        )
    if seed is not None:
        x = np.random.default_rng(seed).permutation(x)
    return anytime_from(x, method=method, bound=bound, level=level, sharpest=sharpest)


def anytime_from(
    x: Array, *, method: str = "betting", bound: float | None = None, level: float = 0.95, sharpest: int = 50
) -> AnytimeTest:
    """The same from an array of differences, one a document in order; parameters as of `anytime_test`."""
    alpha = 1 - level
    used = np.asarray(x, float)
    if method == "betting":
        assert bound is not None
        used = np.clip(used, -bound, bound)
        grid = np.linspace(-bound, bound, GRID + 2)[1:-1]  # 0 is among them
        capital = betting(used, grid, bound)
        e_value = betting(used, np.zeros(1), bound)[:, 0]
        low, high = _sequence(capital, grid, alpha, bound)
    elif method == "symmetric":
        reach = 1e-12 + float(np.abs(used).max())
        grid = np.linspace(-reach, reach, GRID)
        scale = _scale(sharpest, alpha)
        e_value = symmetric(used, np.zeros(1), scale)[:, 0]
        low, high = _sequence(symmetric(used, grid, scale), grid, alpha, np.inf)
    else:
        scale = _scale(sharpest, alpha)
        n = np.arange(1, len(used) + 1)
        e_value = np.where(n < BURN_IN, 1.0, normal_mixture(used, np.zeros(1), scale)[:, 0])
        mean = np.cumsum(used) / n
        error = np.sqrt(np.maximum(np.cumsum(used**2) / n - mean**2, 0.0) * n / np.maximum(n - 1, 1))
        half = error / n * np.sqrt((n + scale) * np.log((n + scale) / scale / alpha**2))
        half[: min(BURN_IN, len(used) + 1) - 1] = np.inf
        low, high = mean - half, mean + half
    count = np.arange(1, len(used) + 1)
    over = np.flatnonzero(e_value >= 1 / alpha)
    table = pd.DataFrame(
        {
            "documents": count,
            "difference": x,
            "mean": np.cumsum(used) / count,
            "e_value": e_value,
            "conf_low": low,
            "conf_high": high,
        }
    )
    return AnytimeTest(
        table,
        method,
        level,
        int(over[0]) + 1 if len(over) else None,
        int(np.count_nonzero(used != x)),
        GUARANTEES[method].format(bound=bound or 0.0, burn_in=BURN_IN),
    )


def _scale(sharpest: int, alpha: float) -> float:
    """Variance ratio of the mixture that is narrowest at so many documents (Howard et al. 2021, section 3.5)."""
    log = -2 * np.log(alpha)
    return float(sharpest / (log + np.log(log + 1)))


def _sequence(capital: Array, grid: Array, alpha: float, bound: float) -> tuple[Array, Array]:
    """Ends, after each value, of the means that were never rejected; widened by a step of the grid, so none is missed."""
    alive: Array = np.maximum.accumulate(capital, axis=0) < 1 / alpha
    some = alive.any(axis=1)
    step = grid[1] - grid[0]
    first, last = alive.argmax(axis=1), alive.shape[1] - 1 - alive[:, ::-1].argmax(axis=1)
    low = np.where(first == 0, -bound, grid[first] - step)
    high = np.where(last == len(grid) - 1, bound, grid[last] + step)
    return np.where(some, low, np.nan), np.where(some, high, np.nan)  # where all are rejected, so is that there is one mean
