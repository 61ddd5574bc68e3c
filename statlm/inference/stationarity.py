"""Whether a text keeps its transition probabilities from beginning to end."""

from __future__ import annotations

import numpy as np

from statlm.errors import CorpusError, SpecificationError
from statlm.inference.homogeneity import check_permutable, check_settings, exact_p_value, lags_text, warn_of_small_counts
from statlm.inference.result import TestResult
from statlm.inference.text_order import TextOrder
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

METHODS = ("chi2", "permutation", "bootstrap", "both")


def stationarity_test(
    corpus: Corpus, segments: int = 2, lags: int = 1, *, method: str = "chi2", replicates: int = 499, seed: int = 0
) -> TestResult:
    r"""Test that the transition probabilities are the same in all segments of a text (Anderson and Goodman 1957).

    The text is cut into `segments` parts of about equal length, at the ends of documents where it has several, and the n-gram of
    each part (n = lags + 1) is compared with one for all by the likelihood ratio of `homogeneity_test`.

    Parameters
    ----------
    corpus : Corpus
        Its documents in the order of the text, or of time.
    segments : int
        Number of parts, 2 or more.
    lags : int
        Tokens that a token may depend on.
    method : "chi2", "permutation", "bootstrap" or "both"
        Reference distribution. The chi-square needs tokens that are draws of their own given their contexts, and large expected
        counts. "permutation" puts the documents in random order: exact if documents are exchangeable under the null hypothesis,
        whatever binds the tokens within them. "bootstrap" is for a single document: it draws texts that have the same counts of
        transitions, all equally likely under a chain with constant transition probabilities, and is exact for any counts. "both"
        gives the chi-square beside the one of these that applies, which makes the p-value.
    replicates : int
        Rearrangements, at least 19.
    seed : int
        Seed of the rearrangements.

    Returns
    -------
    TestResult

    Raises
    ------
    SpecificationError
        If a setting is out of range, or the method does not apply.
    CorpusError
        If there are fewer units than segments, or no context occurs in two segments.

    Warns
    -----
    SmallCountsWarning
        With "chi2", where more than 20 % of the expected counts are below 5.

    See Also
    --------
    change_point_test : where the text changes, if it does so once.

    Notes
    -----
    Nearly every real text fails: a scene has its names, a chapter its subject. With documents, the permutation asks the more
    useful question, whether the text changes *along its course* by more than its documents differ among themselves.

    References
    ----------
    Anderson and Goodman (1957), Statistical inference about Markov chains. Annals of Mathematical Statistics 28.

    Examples
    --------
    >>> import statlm as slm
    >>> text = slm.Corpus.from_tokens([list("abaab" * 60 + "abbab" * 60)])
    >>> print(stationarity_test(text, method="bootstrap", replicates=99))
    Stationarity, 2 segments, 1 lag: statistic = 141.7, dof = 2, p = 0.01
    Null hypothesis: the same transition probabilities in all 2 segments
    statistic_per_dof = 70.8728
    p-value by 99 texts with the same transitions.
    """
    check_settings(lags, method, METHODS, replicates)
    if isinstance(segments, bool) or not isinstance(segments, (int, np.integer)) or segments < 2:
        raise SpecificationError(f"segments={segments!r}: a text is cut into 2 segments or more.")
    order = TextOrder.of(corpus, int(lags))
    if method == "both":
        exact: str | None = "permutation" if order.in_documents else "bootstrap"
    else:
        exact = None if method == "chi2" else method
    if exact is not None:
        order.check(exact)
    segment = cut(order.sizes, int(segments))
    ratio = order.ratio(segment)
    if ratio.dof == 0:
        raise CorpusError(
            f"No context of {lags} tokens occurs in two segments with more than one continuation, so there is nothing to "
            "compare. Use fewer lags, or fewer segments."
        )
    from scipy.stats import chi2

    name = f"Stationarity, {segments} segments, {lags_text(lags)}"
    null = f"the same transition probabilities in all {segments} segments"
    p_chi2 = float(chi2.sf(ratio.statistic, ratio.dof))
    details = {"statistic_per_dof": ratio.statistic / ratio.dof}
    if exact is None:
        warn_of_small_counts(ratio, f"method={'permutation' if order.in_documents else 'bootstrap'!r}")
        return TestResult(name, ratio.statistic, ratio.dof, p_chi2, null, details=details)
    if exact == "permutation":
        check_permutable(segment, f"{segments} segments")
    rng = np.random.default_rng(seed)

    def drawn() -> float:
        return order.counts.ratio(segment[order.shuffled(rng)], int(segments))

    p = exact_p_value(ratio.statistic, drawn, replicates)
    if method == "both":
        details |= {f"p_{exact}": p, "p_chi2": p_chi2}
    what = f"permutations of {order.nunits:,} documents" if order.in_documents else "texts with the same transitions"
    return TestResult(name, ratio.statistic, ratio.dof, p, null, f"p-value by {replicates:,} {what}.", details)


def cut(sizes: Array, segments: int) -> Array:
    """(units,) segment of each unit: cut where the observations before come nearest to equal parts."""
    if len(sizes) < segments:
        raise CorpusError(
            f"There are {len(sizes):,} documents to cut into {segments:,} segments. Use fewer segments, or put the text into one "
            "document, which is cut anywhere."
        )
    ends = np.cumsum(sizes)
    wanted = ends[-1] * np.arange(1, segments) / segments
    at = np.abs(ends[:, None] - wanted).argmin(axis=0) + 1  # the segment begins with this unit
    at = np.maximum(at, np.arange(1, segments))
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + 1)
    for i in range(len(at) - 1, -1, -1):
        at[i] = min(at[i], len(sizes) - (len(at) - i))
    return np.searchsorted(at, np.arange(len(sizes)), side="right")
