"""A set of contexts of different lengths, closed under dropping the oldest token: the memory of a variable-length chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from statlm.numerics.ngram_counts import NGramCounts
from statlm.numerics.ngram_index import search
from statlm.numerics.types import Array


@dataclass(frozen=True, eq=False)
class ContextTree:
    """Contexts of 1, ..., k tokens; the empty one always belongs.

    Attributes
    ----------
    keys : tuple of k (C_j,) int64 arrays
        For each length, the row of a context's suffix among the shorter ones and its oldest token, in one integer; ascending.
    used : tuple of k (C_j,) bool arrays
        Whether a context stands for itself. One that does not is there as the suffix of others only.
    bits : int
        Width of a token id.
    """

    keys: tuple[Array, ...]
    used: tuple[Array, ...]
    bits: int

    def shorten(self, columns: Sequence[Array], pad: int) -> list[Array]:
        """What the tree remembers of each context: tokens beyond the longest context that belongs become `pad`.

        Parameters
        ----------
        columns : sequence of k (N,) integer arrays
            The tokens before each observation, most recent first.
        """
        if not columns:
            return []
        node = np.zeros(len(columns[0]), np.int64)
        length = np.zeros(len(node), np.int64)
        alive = np.arange(len(node))
        for j, keys in enumerate(self.keys):
            if len(keys) == 0:
                break
            row = search(keys, (node[alive] << self.bits) | columns[j][alive].astype(np.int64))
            alive, row = alive[row >= 0], row[row >= 0]
            node[alive] = row
            length[alive[self.used[j][row]]] = j + 1
        return [np.where(length > j, column, pad) for j, column in enumerate(columns)]

    def used_from(self, contexts: Array, pad: int) -> ContextTree:
        """The tree in which contexts stand for themselves where they are among the (C, k) rows given, most recent first."""
        used = [np.zeros(len(keys), bool) for keys in self.keys]
        length = (contexts != pad).sum(axis=1)
        node = np.zeros(len(contexts), np.int64)
        for j, keys in enumerate(self.keys):
            here = np.flatnonzero(length > j)
            node[here] = search(keys, (node[here] << self.bits) | contexts[here, j])
            used[j][node[length == j + 1]] = True
        return ContextTree(self.keys, tuple(used), self.bits)


def prune(counts: NGramCounts, cutoff: float, min_count: int, bits: int) -> ContextTree:
    r"""The contexts of a text that are worth remembering.

    A context c is kept where a longer one that ends in it is, or where

    .. math:: \sum_w n_{cw} \log \frac{n_{cw} / n_c}{n_{c'w} / n_{c'}} \ge \text{cutoff}

    with :math:`c'` the context without its oldest token: half the likelihood-ratio statistic of c against c'.

    Parameters
    ----------
    counts : NGramCounts
        Of n-grams; contexts have up to n - 1 tokens.
    cutoff : float
        Nats.
    min_count : int
        Contexts seen less often are not kept for their own sake.
    bits : int
        Width of a token id.
    """
    index = counts.index
    gains: list[Array] = []
    totals: list[Array] = [np.array([counts.raw[0].sum()])]
    for j in range(1, index.n):
        level, n_cw = index.level(j + 1), counts.raw[j]
        n_c = np.bincount(level.context, n_cw, index.size(j))
        shorter = np.zeros(index.size(1), np.int64) if j == 1 else index.level(j).context  # context of each j-gram
        seen = np.flatnonzero(n_cw > 0)
        row, suffix = level.context[seen], level.suffix[seen]
        ratio = (n_cw[seen] / n_c[row]) / (counts.raw[j - 1][suffix] / totals[-1][shorter[suffix]])
        gain = np.bincount(row, n_cw[seen] * np.log(ratio), index.size(j))
        gains.append(np.where(n_c >= min_count, gain, -np.inf))
        totals.append(n_c)
    kept: list[Array] = []
    for j in range(index.n - 1, 0, -1):
        keep = gains[j - 1] >= cutoff
        if kept:
            keep[index.level(j + 1).suffix[kept[-1]]] = True
        kept.append(keep)
    kept.reverse()
    keys = []
    for j, keep in enumerate(kept, start=1):
        rows = np.flatnonzero(keep)
        if j == 1:
            keys.append(rows.astype(np.int64))
        else:
            place = np.cumsum(kept[j - 2]) - 1  # row among the kept
            level = index.level(j)
            keys.append((place[level.suffix[rows]].astype(np.int64) << bits) | level.oldest[rows])
    return ContextTree(tuple(keys), tuple(np.ones(len(k), bool) for k in keys), bits)
