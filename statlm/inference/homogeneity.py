"""Whether several texts share one model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import lgamma

import numpy as np

from statlm.covariance.groups import labelled_groups
from statlm.errors import CorpusError, SmallCountsWarning, SpecificationError
from statlm.inference.result import TestResult
from statlm.numerics.context_table import ContextTable
from statlm.numerics.markov_chain import OrderRatio
from statlm.numerics.segment_ratio import UnitCounts, group_ratio
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.vocabulary import Vocabulary

METHODS = ("chi2", "permutation", "both")
MANY_SMALL = 0.2  # share of small expected counts above which the chi-square approximation is doubted
FEWEST = 19  # replicates with which a 5 % test is possible at all
ROUNDING = 1e-9  # of a statistic
MANY_LAGS = 16
SHOWN = 4


def homogeneity_test(
    corpora: Corpus | Mapping[str, Corpus] | Sequence[Corpus],
    lags: int = 1,
    *,
    by: str | None = None,
    method: str = "chi2",
    replicates: int = 499,
    seed: int = 0,
) -> TestResult:
    r"""Test that texts share one table of transition probabilities: two authors, the acts of a play, training and test.

    .. math:: 2 \sum_{s,c,w} n_{scw} \log \frac{n_{scw}\, n_c}{n_{sc}\, n_{cw}}

    is the likelihood ratio of an n-gram (n = lags + 1) for each text s against one for all, over contexts c of `lags` tokens. Its
    degrees of freedom count the cells that could be non-zero, :math:`\sum_c (S_c - 1)(W_c - 1)` with :math:`S_c` texts in which
    the context occurs and :math:`W_c` different tokens that follow it (Anderson and Goodman 1957).

    Parameters
    ----------
    corpora : Corpus, or mapping of names to them, or sequence of them
        Of one vocabulary. A single corpus is divided by a column of its documents, `by`.
    lags : int
        Tokens that a token may depend on; 0 compares frequencies alone.
    by : str, optional
        A column of ``corpus.documents``; each of its values is a text.
    method : "chi2", "permutation" or "both"
        Reference distribution. The chi-square takes each token to be a draw of its own given its context, and needs large
        expected counts. The permutation of documents among the texts needs neither: under the null hypothesis that all
        documents come from one source, whatever binds the tokens within a document, every allocation is equally likely, and
        the p-value :math:`(1 + \#\{T^* \ge T\}) / (R + 1)` is exact. With "both", the p-value is the permutation's, and the
        details have both.
    replicates : int
        Permutations, at least 19.
    seed : int
        Seed of the permutations.

    Returns
    -------
    TestResult
        ``details`` has the statistic a degree of freedom, which is about 1 under the null hypothesis and independent tokens.

    Raises
    ------
    SpecificationError
        If a setting is out of range, there is one text only, or the documents are too few to permute.
    CorpusError
        If the vocabularies differ, or no context occurs in two texts.

    Warns
    -----
    SmallCountsWarning
        With "chi2", where more than 20 % of the expected counts are below 5.

    Notes
    -----
    The two references answer different questions. A small chi-square p-value says that the tables differ by more than independent
    draws of tokens would; but so do two random halves of one author's letters, since letters have subjects. A small permutation
    p-value says that the texts differ by more than their documents do among themselves. Texts of one document cannot be permuted:
    cut them, ``corpus.blocks(length=...)`` or ``split="paragraph"``, which states that the pieces are exchangeable.

    References
    ----------
    Anderson and Goodman (1957), Statistical inference about Markov chains. Annals of Mathematical Statistics 28. Kullback,
    Kupperman and Ku (1962), Tests for contingency tables and Markov chains. Technometrics 4.

    Examples
    --------
    >>> import statlm as slm
    >>> first, second = (slm.Corpus.from_tokens([list(text)], given=1) for text in ("aabab" * 40, "abbab" * 40))
    >>> print(homogeneity_test({"one": first, "two": second}))
    Homogeneity, 1 lag: statistic = 94.71, dof = 2, p < 1e-16
    Null hypothesis: 'one' and 'two' share one table of transition probabilities
    statistic_per_dof = 47.3563
    """
    check_settings(lags, method, METHODS, replicates)
    texts = grouped_texts(corpora, by, int(lags))
    ratio = texts.ratio()
    if ratio.dof == 0:
        raise CorpusError(
            f"No context of {lags} tokens occurs in two of the texts with more than one continuation, so there is nothing to "
            "compare. Use fewer lags, or longer texts."
        )
    names = _listed(texts.names)
    null = f"{names} share one table of transition probabilities"
    draw = None
    if method != "chi2":
        check_permutable(texts.of_document, f"the {len(texts.names):,} texts")
        draw = texts.of_document
    return referred_to(f"Homogeneity, {lags_text(lags)}", null, texts, ratio, method, draw, replicates, seed)


@dataclass(frozen=True, eq=False)
class GroupedTexts:
    """Observations of several texts.

    Attributes
    ----------
    names : list of str
    columns : list of (N,) integer arrays
        Tokens before each observation, most recent first.
    targets : (N,) integer array
    document : (N,) integer array
        Document of each observation, over all texts.
    of_document : (D,) integer array
        Text of each document.
    size : int
        Token ids are below this.
    """

    names: list[str]
    columns: list[Array]
    targets: Array
    document: Array
    of_document: Array
    size: int

    def ratio(self) -> OrderRatio:
        """The statistic with its degrees of freedom."""
        return group_ratio(self.columns, self.targets, self.of_document[self.document], len(self.names), self.size)

    def counts(self) -> UnitCounts:
        """Counts by document."""
        table = ContextTable.count(self.columns, self.targets, self.size)
        return UnitCounts.of(table, self.columns, self.targets, self.document)


def grouped_texts(corpora: Corpus | Mapping[str, Corpus] | Sequence[Corpus], by: str | None, lags: int) -> GroupedTexts:
    """The observations of several texts, or of one corpus divided by a column."""
    if isinstance(corpora, Corpus):
        if by is None:
            raise SpecificationError(
                "One corpus was given, and homogeneity is about several texts. Divide it by a column of corpus.documents, "
                "homogeneity_test(corpus, by='party'), or give several: homogeneity_test({'train': train, 'test': test})."
            )
        of_document, names = labelled_groups(corpora, by)
        parts, of_corpus = [corpora], of_document
    else:
        if by is not None:
            raise SpecificationError(
                f"by={by!r} divides a single corpus, and several were given. Leave it out, or give one."
            )
        named = dict(corpora) if isinstance(corpora, Mapping) else {str(i): corpus for i, corpus in enumerate(corpora)}
        names, parts = list(named), list(named.values())
        for corpus in parts[1:]:
            parts[0].vocabulary.check_same(corpus.vocabulary)
        of_corpus = np.repeat(np.arange(len(parts)), [corpus.ndocuments for corpus in parts])
    if len(names) < 2:
        raise SpecificationError(f"There is {len(names)} text ({_listed(names)}), and homogeneity is about two or more.")
    first = np.cumsum([0, *[corpus.ndocuments for corpus in parts]])
    return GroupedTexts(
        names,
        joined_columns(parts, lags),
        np.concatenate([corpus.targets for corpus in parts]).astype(np.int64),
        np.concatenate([corpus.document_index + start for corpus, start in zip(parts, first[:-1], strict=True)]),
        of_corpus,
        _size(parts[0].vocabulary),
    )


def joined_columns(parts: Sequence[Corpus], lags: int) -> list[Array]:
    """The tokens 1, ..., `lags` before each observation of several corpora, end to end."""
    columns = [corpus.context_columns(lags) for corpus in parts]
    return [np.concatenate(column).astype(np.int64) for column in zip(*columns, strict=True)]


def referred_to(
    name: str,
    null: str,
    texts: GroupedTexts,
    ratio: OrderRatio,
    method: str,
    grouping: Array | None,
    replicates: int,
    seed: int,
) -> TestResult:
    """The statistic referred to chi-square, to permutations of a grouping of the documents, or to both."""
    from scipy.stats import chi2

    p_chi2 = float(chi2.sf(ratio.statistic, ratio.dof))
    details = {"statistic_per_dof": ratio.statistic / ratio.dof}
    if grouping is None:
        warn_of_small_counts(ratio, "method='permutation'" if len(texts.of_document) > 1 else "fewer lags")
        return TestResult(name, ratio.statistic, ratio.dof, p_chi2, null, details=details)
    counts = texts.counts()
    rng = np.random.default_rng(seed)
    ngroups = len(texts.names)
    p = exact_p_value(ratio.statistic, lambda: counts.ratio(rng.permutation(grouping), ngroups), replicates)
    if method == "both":
        details |= {"p_permutation": p, "p_chi2": p_chi2}
    note = f"p-value by {replicates:,} permutations of {len(grouping):,} documents."
    return TestResult(name, ratio.statistic, ratio.dof, p, null, note, details)


def exact_p_value(statistic: float, drawn: Callable[[], float], replicates: int) -> float:
    """``(1 + number of draws that reach the statistic) / (replicates + 1)``."""
    limit = statistic - ROUNDING * max(abs(statistic), 1.0)
    return (1 + sum(drawn() >= limit for _ in range(replicates))) / (replicates + 1)


def warn_of_small_counts(ratio: OrderRatio, remedy: str) -> None:
    """Warn where the chi-square approximation rests on small expected counts."""
    if ratio.small > MANY_SMALL * ratio.cells:
        warnings.warn(
            f"Small counts: {ratio.small:,} of {ratio.cells:,} expected counts ({ratio.small / ratio.cells:.0%}) are below "
            f"5, and the chi-square approximation may be far off. Use {remedy}.",
            SmallCountsWarning,
            stacklevel=4,
        )


def check_permutable(grouping: Array, what: str) -> None:
    """Raise SpecificationError where documents can be allocated in too few ways for a 5 % test."""
    sizes = np.bincount(grouping)
    ways = lgamma(sizes.sum() + 1) - sum(lgamma(size + 1) for size in sizes)
    if ways < np.log(FEWEST + 1) - 1e-9:
        raise SpecificationError(
            f"The {len(grouping):,} documents can be allocated to {what} in {round(np.exp(ways)):,} ways only, so no "
            "permutation test can reject at 5 %. Cut the texts into exchangeable pieces first, corpus.blocks(length=...) or "
            "split='paragraph', or use method='chi2'."
        )


def check_settings(lags: int, method: str, methods: Sequence[str], replicates: int) -> None:
    """Raise SpecificationError for settings out of range."""
    if isinstance(lags, bool) or not isinstance(lags, (int, np.integer)) or not 0 <= lags <= MANY_LAGS:
        raise SpecificationError(f"lags={lags!r}: the number of lags is a whole number from 0 to {MANY_LAGS}.")
    if method not in methods:
        raise SpecificationError(f"There is no method {method!r}. Use one of {', '.join(map(repr, methods))}.")
    if method != "chi2" and replicates < FEWEST:
        raise SpecificationError(
            f"replicates={replicates}: the smallest p-value possible is 1 / (replicates + 1), so a 5 % test needs at least "
            f"{FEWEST}. Choose 499 or more."
        )


def lags_text(lags: int) -> str:
    """The number of lags in words."""
    return f"{lags} lag" if lags == 1 else f"{lags} lags"


def _listed(names: list[str]) -> str:
    shown = [repr(name) for name in names[:SHOWN]]
    if len(names) > SHOWN:
        return f"{', '.join(shown[:-1])} and {len(names) - SHOWN + 1} more texts"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]


def _size(vocabulary: Vocabulary) -> int:
    return int(vocabulary.nids)
