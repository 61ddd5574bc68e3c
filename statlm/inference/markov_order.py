"""How far back does a text remember? Tests of successive orders of a Markov chain."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd

from statlm.errors import CorpusError, SmallCountsWarning, SpecificationError
from statlm.numerics.context_table import ContextTable
from statlm.numerics.markov_chain import OrderRatio, Trails, order_ratio, table_loglike
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for, unique_rows
from statlm.text.corpus import Corpus

METHODS = ("chi2", "bootstrap", "both")
MANY_SMALL = 0.2  # share of small expected counts above which the chi-square approximation is doubted
FEWEST = 19  # replicates with which a 5 % test is possible at all
ROUNDING = 1e-12  # of a sum of counts times logarithms


def markov_order_test(
    corpus: Corpus, max_order: int = 3, *, method: str = "chi2", replicates: int = 499, seed: int = 0
) -> pd.DataFrame:
    r"""Tests of a Markov chain of order k against order k + 1, for k = 0, ..., max_order - 1.

    All tests use the same observations: the first `max_order` tokens of each document are conditioned on, so contexts are
    full. The statistic is the likelihood ratio over observed contexts c of k tokens,

    .. math:: 2 \sum_{a,c,w} n_{acw} \log \frac{n_{acw}\, n_c}{n_{ac}\, n_{cw}},

    with w the token observed and a the token before c. Its degrees of freedom count the cells that could be non-zero,
    :math:`\sum_c (A_c - 1)(W_c - 1)` with :math:`A_c` different tokens seen before c and :math:`W_c` after it.

    Parameters
    ----------
    corpus : Corpus
    max_order : int
        The largest order considered, 1 or more.
    method : "chi2", "bootstrap" or "both"
        Reference distribution: chi-square, which needs large expected counts; or the conditional parametric bootstrap, texts
        drawn under order k with the counts of this one, which does not. With "both" the columns ``p_chi2`` and
        ``p_bootstrap`` are shown and ``p_value`` is the bootstrap's.
    replicates : int
        Texts drawn for each test, at least 19.
    seed : int
        Seed of the drawing.

    Returns
    -------
    DataFrame
        A row a test: ``null_order``, ``alternative_order``, ``statistic``, ``dof``, ``p_value``, ``p_holm`` (adjusted for
        the number of tests by Holm's method). A test without degrees of freedom has p-value 1.

    Raises
    ------
    SpecificationError
        If a setting is out of range.
    CorpusError
        If no document is longer than `max_order`, or all observations are the same token.

    Warns
    -----
    SmallCountsWarning
        With "chi2", where more than 20 % of the expected counts :math:`n_{ac} n_{cw} / n_c` are below 5.

    See Also
    --------
    selected_order : the order that the table speaks for.

    Notes
    -----
    *Reading the table.* If the chain has order m, the null hypotheses k = m, m + 1, ... are all true, and Holm's method
    rejects any of them with probability at most `level`. A rejection at k says that the order is at least k + 1, also where
    smaller k were not rejected (of two fair coins and their parity no one token tells anything). So the order selected is 1
    plus the largest k rejected, and it exceeds the true order with probability at most `level`; see `selected_order`. If the
    last test rejects, the order may be larger than `max_order`.

    *The bootstrap* draws texts from the chain of order k given its sufficient statistics: the counts of tokens after
    contexts of k tokens, and how the documents begin. All texts with these counts are then equally likely, so nothing is
    estimated and the p-value :math:`(1 + \#\{T^* \ge T\}) / (B + 1)` is exact for any counts (Besag and Mondal 2013).
    Drawing from the *estimated* chain, the usual parametric bootstrap, is not a remedy for small counts: cells that did not
    occur then never occur, the statistic comes out too small, and true null hypotheses are rejected far too often.
    An ``<eos>`` is a token like others. Where documents are cut without one, their ends are drawn along (their number in
    each context is kept, their lengths are not); the p-value is exact for one document, and where ends come at random.

    References
    ----------
    Anderson and Goodman (1957), Statistical inference about Markov chains. Annals of Mathematical Statistics 28. Billingsley
    (1961), Statistical methods in Markov chains. Annals of Mathematical Statistics 32. Holm (1979), A simple sequentially
    rejective multiple test procedure. Besag and Mondal (2013), Exact goodness-of-fit tests for Markov chains. Biometrics 69.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_tokens([list("abbaababbbababbaabab" * 10)])
    >>> table = markov_order_test(corpus, max_order=2, method="bootstrap", replicates=99)
    >>> table[["null_order", "alternative_order", "dof", "p_value", "p_holm"]]
       null_order  alternative_order  dof  p_value  p_holm
    0           0                  1    1     0.01    0.02
    1           1                  2    2     0.01    0.02
    >>> selected_order(table)
    2
    """
    if isinstance(max_order, bool) or not isinstance(max_order, (int, np.integer)) or max_order < 1:
        raise SpecificationError(f"max_order={max_order!r}: the largest order must be a whole number, 1 or more.")
    if method not in METHODS:
        raise SpecificationError(f"There is no method {method!r}. Use one of {', '.join(map(repr, METHODS))}.")
    if method != "chi2" and replicates < FEWEST:
        raise SpecificationError(
            f"replicates={replicates}: the smallest p-value possible is 1 / (replicates + 1), so a 5 % test needs at least "
            f"{FEWEST}. Choose 499 or more."
        )
    observed = conditioned(corpus, int(max_order))
    columns = [column.astype(np.int64) for column in observed.context_columns(int(max_order))]
    targets = observed.targets.astype(np.int64)
    if (targets == targets[0]).all():
        raise CorpusError(
            f"All {len(targets):,} observations are the same token ({corpus.vocabulary.tokens[targets[0]]!r}), so every "
            "order fits perfectly and there is nothing to test. Use a text in which tokens vary."
        )
    nids = corpus.vocabulary.nids
    tables = [ContextTable.count(columns[:k], targets, nids) for k in range(int(max_order) + 1)]
    ratios = [order_ratio(tables[k], tables[k + 1]) for k in range(int(max_order))]
    result = pd.DataFrame(
        {
            "null_order": np.arange(max_order),
            "alternative_order": np.arange(1, max_order + 1),
            "statistic": [ratio.statistic for ratio in ratios],
            "dof": [ratio.dof for ratio in ratios],
        }
    )
    chi2 = _chi2_p_values(ratios)
    if method == "chi2":
        _warn_of_small_counts(ratios)
        result["p_value"] = chi2
    else:
        streams = np.random.default_rng(seed).spawn(int(max_order))
        result["p_value"] = [
            _bootstrap_p_value(observed, columns[:k], table_loglike(tables[k]), ratios[k].statistic, replicates, streams[k])
            for k in range(int(max_order))
        ]
    from statsmodels.stats.multitest import multipletests

    result["p_holm"] = multipletests(result.p_value, method="holm")[1]
    if method == "both":
        result["p_bootstrap"], result["p_chi2"] = result.p_value, chi2
    return result


def selected_order(table: pd.DataFrame, level: float = 0.05) -> int:
    """The order that a table of `markov_order_test` speaks for: 1 plus the largest null order rejected, 0 if none is.

    It exceeds the true order with probability at most `level`. It may be too small where the tests lack power, and where it
    equals the largest order tested the true one may be larger.

    Parameters
    ----------
    table : DataFrame
        From `markov_order_test`.
    level : float
        Level of the tests, with the p-values adjusted by Holm's method.

    Examples
    --------
    >>> selected_order(pd.DataFrame({"null_order": [0, 1, 2], "p_holm": [0.001, 0.02, 0.7]}))
    2
    """
    if not 0 < level < 1:
        raise SpecificationError(f"level={level}: the level of the tests must lie between 0 and 1, as in 0.05.")
    rejected = table.null_order[table.p_holm <= level]
    return int(rejected.max()) + 1 if len(rejected) else 0


def conditioned(corpus: Corpus, given: int) -> Corpus:
    """The corpus with at least `given` leading tokens of each document conditioned on, without documents that end before."""
    lengths = np.diff(corpus.offsets)
    conditioned = np.maximum(corpus.given, given)
    keep = np.flatnonzero(lengths > conditioned)
    if len(keep) == 0:
        raise CorpusError(
            f"No document is longer than max_order={given} tokens (the longest has {lengths.max():,}), so no context of "
            "that length is ever followed by anything. Choose a smaller max_order, or use longer documents."
        )
    return replace(corpus.subset(keep), given=conditioned[keep])


def _chi2_p_values(ratios: list[OrderRatio]) -> Array:
    from scipy.stats import chi2

    return np.array([float(chi2.sf(ratio.statistic, ratio.dof)) if ratio.dof else 1.0 for ratio in ratios])


def _warn_of_small_counts(ratios: list[OrderRatio]) -> None:
    found = [
        f"order {k} against {k + 1}: {ratio.small:,} of {ratio.cells:,} ({ratio.small / ratio.cells:.0%})"
        for k, ratio in enumerate(ratios)
        if ratio.small > MANY_SMALL * ratio.cells
    ]
    if found:
        warnings.warn(
            f"Small counts: expected counts below 5 in {'; '.join(found)}. The chi-square approximation may be far off "
            "there. Use method='bootstrap'.",
            SmallCountsWarning,
            stacklevel=3,
        )


def _bootstrap_p_value(
    corpus: Corpus, columns: list[Array], null_loglike: float, statistic: float, replicates: int, rng: np.random.Generator
) -> float:
    trails = trails_keeping_counts(corpus, columns)
    drawn = np.array([2 * (trails.loglike(trails.draw(rng)) - null_loglike) for _ in range(replicates)])
    reached = drawn >= statistic - ROUNDING * max(abs(null_loglike), 1.0)
    return float((1 + np.count_nonzero(reached)) / (replicates + 1))


def trails_keeping_counts(corpus: Corpus, columns: list[Array]) -> Trails:
    """The texts with the same counts as this one, after contexts given by the `columns` of its observations."""
    k = len(columns)
    tokens = corpus.tokens.astype(np.int64)
    first = corpus.offsets[:-1] + corpus.given
    nobs = corpus.offsets[1:] - first
    cut = np.flatnonzero(tokens[corpus.offsets[1:] - 1] != corpus.vocabulary.eos)
    at = np.cumsum(nobs)[cut]  # an entry for the end of each of these documents goes in here
    token = np.insert(corpus.targets.astype(np.int64), at, -1)
    entries = [np.insert(column, at, tokens[corpus.offsets[1:][cut] - lag]) for lag, column in enumerate(columns, start=1)]
    bits = bits_for(corpus.vocabulary.nids)
    row = unique_rows(entries, bits, index=True).index if k else None
    sizes = nobs.copy()
    sizes[cut] += 1
    return Trails(
        np.zeros(len(token), np.int64) if row is None else row,
        token,
        entries[-1] if k else token,
        np.cumsum(sizes) - 1,
        tokens[first - k - 1],
        corpus.vocabulary.nids,
    )
