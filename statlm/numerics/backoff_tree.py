"""A back-off table from lists of n-grams in any order, as files hold them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from statlm.numerics.backoff_table import BackoffTable
from statlm.numerics.ngram_index import Level, NGramIndex
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for, unique_rows


def table_from_ngrams(
    tokens: Sequence[Array],
    probability: Sequence[Array],
    backoff: Sequence[Array],
    marks: tuple[int, int],
    nids: int,
    size: int,
) -> BackoffTable:
    """The table of listed n-grams.

    An n-gram whose suffix or context is not listed has it added: with the probability that it backs off to and weight 1,
    which changes no probability.

    Parameters
    ----------
    tokens : sequence of n - 1 (K_m, m) integer arrays
        The m-grams for m = 2, ..., n, oldest token first.
    probability : sequence of n arrays
        (nids,) of the tokens, then (K_m,) of the m-grams.
    backoff : sequence of n - 1 arrays
        Weights, of all but the longest.
    marks : (int, int)
        Ids of a document's start and of padding.
    nids, size : int
        Number of ids, and of those that are predicted.

    Examples
    --------
    >>> unigrams, bigrams = np.array([0.5, 0.5, 0, 0]), np.array([0.75])
    >>> table = table_from_ngrams([np.array([[0, 1]])], [unigrams, bigrams], [np.ones(4) / 2], (2, 3), nids=4, size=2)
    >>> table.distributions(np.array([[0], [1]])).tolist()
    [[0.25, 0.75], [0.25, 0.25]]
    """
    n = len(tokens) + 1
    bits = bits_for(nids)
    grams = [np.asarray(t, np.int64) for t in tokens]
    listed = [len(g) for g in grams]
    for i in range(n - 2, 0, -1):  # the suffixes and contexts of what is longer
        grams[i - 1] = np.concatenate([grams[i - 1], _absent(grams[i], grams[i - 1], bits)])
    levels: list[Level] = []
    p, b = [np.asarray(probability[0], float)], [np.asarray(x, float) for x in backoff[:1]]
    for i, gram in enumerate(grams):
        m = i + 2
        index = NGramIndex(m - 1, nids, *marks, tuple(levels))
        suffix, context = index.find(gram[:, 1:]), index.find(gram[:, :-1])
        order = np.lexsort((gram[:, 0], suffix))
        oldest = gram[order, 0].astype(np.int32)
        levels.append(Level(suffix[order], oldest, context[order], bits))
        values = np.full(len(gram), np.nan)
        values[: listed[i]] = probability[i + 1]
        added = np.isnan(values)
        values[added] = b[-1][context[added]] * p[-1][suffix[added]]
        p.append(values[order])
        if m < n:
            weights = np.ones(len(gram))
            weights[: listed[i]] = backoff[i + 1]
            b.append(weights[order])
    return BackoffTable(NGramIndex(n, nids, *marks, tuple(levels)), tuple(p), tuple(b[: n - 1]), size)


def _absent(longer: Array, shorter: Array, bits: int) -> Array:
    """Suffixes and contexts of the longer n-grams that are not among the shorter, each once."""
    wanted = np.concatenate([longer[:, 1:], longer[:, :-1]])
    both = np.concatenate([shorter, wanted])
    found = unique_rows([both[:, j] for j in range(both.shape[1])], bits, index=True)
    assert found.index is not None
    have = np.zeros(len(found.counts), bool)
    have[found.index[: len(shorter)]] = True
    return np.stack([column[~have] for column in found.columns], axis=1)
