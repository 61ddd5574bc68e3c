"""From the distinct windows of a text, with their counts, to the tables that n-gram models are fitted on.

A window is a token with the n - 1 before it, filled up where the document begins; it is all that counting needs of a position,
so tables of windows counted elsewhere, or apart and summed, give the counts of the text itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from statlm.numerics.context_table import ContextTable
from statlm.numerics.ngram_counts import NGramCounts
from statlm.numerics.ngram_index import Level, NGramIndex
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for

INT32_COUNTS = 2**31


def shorter_windows(columns: Sequence[Array], counts: Array, n: int) -> tuple[list[Array], Array]:
    """Distinct windows of the n most recent tokens, with summed counts.

    Parameters
    ----------
    columns : sequence of (U,) integer arrays
        Distinct windows in lexicographic order, the most recent token in the first column.
    counts : (U,) integer array
    n : int
        At most the number of columns.
    """
    if n == len(columns):
        return list(columns), counts
    first = np.flatnonzero(_opens(columns, n))
    return [column[first] for column in columns[:n]], np.add.reduceat(counts, first)


def context_table(columns: Sequence[Array], counts: Array, size: int) -> ContextTable:
    """Contexts and what followed them, of windows in lexicographic order.

    Examples
    --------
    >>> table = context_table([np.array([0, 0, 1]), np.array([1, 2, 0])], np.array([1, 1, 2]), size=4)
    >>> table.contexts.tolist(), table.tokens.tolist(), table.counts.tolist()
    ([[0], [1], [2]], [1, 0, 0], [2, 1, 1])
    """
    order = np.lexsort((columns[0], *columns[:0:-1]))
    contexts = [column[order] for column in columns[1:]]
    starts = np.flatnonzero(_opens(contexts, len(contexts))) if contexts else np.zeros(min(len(order), 1), np.int64)
    rows = np.empty((len(starts), len(contexts)), np.int64)
    for j, column in enumerate(contexts):
        rows[:, j] = column[starts]
    tokens = columns[0][order].astype(np.int64)
    return ContextTable(rows, np.append(starts, len(order)), tokens, counts[order].astype(np.int64), bits_for(size))


def ngram_counts(columns: Sequence[Array], counts: Array, arrival: Array, start: int, pad: int, nids: int) -> NGramCounts:
    """The counts of the n-grams of every length, as `count_ngrams` finds them in the text itself.

    Parameters
    ----------
    columns : sequence of n (U,) int32 arrays
        Distinct windows in lexicographic order, the most recent token in the first column.
    counts : (U,) integer array
        How often each was observed; 0 for one that was only conditioned on.
    arrival : (nids,) array
        Numbering of the types for `NGramCounts.last_rows`.
    start, pad, nids : int
        The mark of a document's start, what stands before it, and the number of ids.

    Examples
    --------
    >>> windows = [np.array([0, 1], np.int32), np.array([2, 0], np.int32)]
    >>> found = ngram_counts(windows, np.array([1, 1]), np.arange(4), start=2, pad=3, nids=4)
    >>> found.index.tokens(2).tolist(), found.raw[1].tolist()
    ([[2, 0], [0, 1]], [1, 1])
    """
    n, bits = len(columns), bits_for(nids)
    kind = np.int32 if counts.sum() < INT32_COUNTS else np.int64
    unigrams = np.zeros(nids, np.int64)
    np.add.at(unigrams, columns[0], counts)
    raw = [unigrams.astype(kind)]
    levels: list[Level] = []
    row = columns[0].astype(np.int32)  # row of each window's (m-1)-gram
    context = np.arange(nids, dtype=np.int32)  # of each (m-1)-gram, without its last token and with one more before
    for m in range(2, n + 1):
        inside = columns[m - 1] != pad
        begin = np.flatnonzero(inside & _opens(columns, m))
        suffix, oldest = row[begin], columns[m - 1][begin].astype(np.int32)
        context = oldest if m == 2 else levels[-1].find(context[suffix], oldest)
        levels.append(Level(suffix, oldest, context, bits))
        counted = np.where(inside, counts, 0)
        raw.append((np.add.reduceat(counted, begin) if len(begin) else np.zeros(0)).astype(kind))
        opened = np.zeros(len(row), bool)
        opened[begin] = True
        row = np.where(inside, np.cumsum(opened) - 1, -1).astype(np.int32)
    return NGramCounts(NGramIndex(n, nids, start, pad, tuple(levels)), tuple(raw), arrival)


def _opens(columns: Sequence[Array], m: int) -> Array:
    """(U,) whether the first m columns differ from those of the row before."""
    new = np.zeros(len(columns[0]), bool)
    new[:1] = True
    for column in columns[:m]:
        new[1:] |= column[1:] != column[:-1]
    return new
