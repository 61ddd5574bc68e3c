"""Counts of the n-grams of a text, of every length up to n, from one sort of its positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from statlm.numerics.ngram_index import Level, NGramIndex
from statlm.numerics.threads import PART, in_threads
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for
from statlm.numerics.window_order import WindowOrder, window_order


@dataclass(frozen=True, eq=False)
class NGramCounts:
    """How often each n-gram was observed.

    Attributes
    ----------
    index : NGramIndex
    raw : tuple of n (K_m,) int32 arrays
        Occurrences as an observation, for m = 1, ..., n. An n-gram that only ever was conditioned on has 0.
    arrival : (nids,) int64 array
        Where each token id occurs first in the text, a place beyond its end for one that never does; or another numbering
        of the types for `last_rows`.
    """

    index: NGramIndex
    raw: tuple[Array, ...]
    arrival: Array

    @cached_property
    def continuation(self) -> tuple[Array, ...]:
        r"""The counts of Kneser and Ney, n arrays like `raw`.

        Below the longest n-grams, :math:`N_{1+}(\bullet\, w)`: how many different tokens stand before the m-gram. An m-gram
        that begins with the document's start has nothing before it and keeps its raw count, as have the longest.
        """
        return tuple(in_threads(self._continuation, range(1, self.index.n + 1)))

    def last_rows(self, rank: Array) -> list[int]:
        """Row of the last m-gram, m = 1, ..., where n-grams are sorted by `rank` (nids,) of their tokens, most recent first.

        The list ends with n, or where the document's start is reached.
        """
        seen = np.flatnonzero(self.raw[0] > 0)
        rows = [int(seen[np.argmax(rank[seen])])]
        for level in self.index.levels:
            first, stop = np.searchsorted(level.suffix, [rows[-1], rows[-1] + 1])
            if first == stop:
                break
            rows.append(int(first + np.argmax(rank[level.oldest[first:stop]])))
        return rows

    def _continuation(self, m: int) -> Array:
        if m == self.index.n:
            return self.raw[m - 1]
        longer = self.index.level(m + 1)
        seen = self.raw[m] > 0
        counts = np.bincount(longer.suffix if seen.all() else longer.suffix[seen], minlength=self.index.size(m))
        counts = counts.astype(np.int32)
        if m > 1:
            first = self.index.level(m).oldest == self.index.start
            counts[first] = self.raw[m - 1][first]
        return counts


def count_ngrams(stream: Array, observed: Array | None, n: int, start: int, pad: int, nids: int) -> NGramCounts:
    """Count the n-grams of documents.

    Parameters
    ----------
    stream : (N,) integer array
        Documents end to end, each with the token `start` before it.
    observed : (N,) bool array or None
        Which positions are observations; the others are conditioned on. None: all but the starts.
    n : int
        Longest n-gram, at least 1.
    start, pad, nids : int
        The two marks, and the number of ids.

    Returns
    -------
    NGramCounts

    Examples
    --------
    >>> counts = count_ngrams(np.array([2, 0, 1, 0, 1]), None, n=2, start=2, pad=3, nids=4)
    >>> counts.raw[0].tolist(), counts.index.tokens(2).tolist(), counts.raw[1].tolist()
    ([2, 2, 0, 0], [[1, 0], [2, 0], [0, 1]], [1, 1, 2])
    >>> counts.continuation[0].tolist()
    [2, 1, 0, 0]
    """
    stream = stream.astype(np.int32, copy=False)
    unigrams = np.bincount(stream if observed is None else stream[observed], minlength=nids).astype(np.int32)
    if observed is None:
        unigrams[start] = 0
    arrival = _arrival(stream, nids)
    if n == 1:
        return NGramCounts(NGramIndex(1, nids, start, pad, ()), (unigrams,), arrival)
    order = window_order(stream, n, start, pad, nids)
    levels, raw = _levels(stream, observed, order, n, start, nids)
    return NGramCounts(NGramIndex(n, nids, start, pad, tuple(levels)), (unigrams, *raw), arrival)


def _arrival(stream: Array, nids: int) -> Array:
    """(nids,) where each token occurs first; the length of the stream for one that never does."""
    arrival = np.full(nids, len(stream))
    unseen = np.ones(nids, bool)
    for begin in range(0, len(stream), PART):
        new = np.flatnonzero(unseen[stream[begin : begin + PART]])[::-1] + begin
        arrival[stream[new]] = new  # of several writes to one place the last one stays
        unseen[stream[new]] = False
    return arrival


def _levels(
    stream: Array, observed: Array | None, order: WindowOrder, n: int, start: int, nids: int
) -> tuple[list[Level], list[Array]]:
    """The m-grams for m = 2, ..., n and how often each was observed: runs of the order, part by part."""
    position, parts = order.position, order.parts
    bits = bits_for(nids)
    reach_at = _reach(stream, n, start)
    reach = np.empty(len(stream), np.int8)  # windows of this many tokens lie within their document
    in_threads(lambda part: reach_at.take(position[part], mode="clip", out=reach[part]), parts)
    row_at = stream  # row of the (m-1)-gram that ends at each position
    row_sorted = np.empty_like(stream)  # the same, in sorted order
    in_threads(lambda part: stream.take(position[part], mode="clip", out=row_sorted[part]), parts)
    levels: list[Level] = []
    raw: list[Array] = []
    for m in range(2, n + 1):

        def found(part: slice, m: int = m, row_at: Array = row_at) -> list[Array]:
            inside = reach[part] >= m
            opens = order.shared[part] < m
            opens &= inside
            begin = np.flatnonzero(opens)
            first = position[part][begin]
            counted = inside if observed is None else inside & observed[position[part]]
            total = np.zeros(len(counted) + 1, np.int32)
            np.cumsum(counted, out=total[1:])
            suffix = row_sorted[part][begin]
            if m < n:  # the rows of the m-grams, counted from the first of this part
                rows = np.cumsum(opens, dtype=np.int32, out=row_sorted[part])
                rows -= 1
                rows[~inside] = -1
            oldest = stream.take(first - (m - 1), mode="clip")
            context = row_at.take(first - 1, mode="clip")
            return [suffix, oldest, context, np.diff(total[begin], append=total[-1:])]

        pieces = in_threads(found, parts)
        sizes = np.array([len(piece[0]) for piece in pieces])
        suffix, oldest, context, counts = (np.concatenate([piece.pop(0) for piece in pieces]) for _ in range(4))
        levels.append(Level(suffix, oldest, context, bits))
        raw.append(counts)
        if m < n:
            row_at = np.empty_like(stream)

            def place(item: tuple[slice, int], row_at: Array = row_at) -> None:
                part, before = item
                rows = row_sorted[part]
                np.add(rows, np.int32(before), out=rows, where=rows >= 0)
                row_at[position[part]] = rows

            in_threads(place, zip(parts, (np.cumsum(sizes) - sizes).tolist(), strict=True))
    return levels, raw


def _reach(stream: Array, n: int, start: int) -> Array:
    """(N,) int8 length of the longest window, up to n, that ends at each position and lies within its document."""
    place = np.arange(len(stream), dtype=np.int32)
    begin = np.where(stream == start, place, np.int32(0))
    place -= np.maximum.accumulate(begin, out=begin)
    return (np.minimum(place, n - 1, out=place) + 1).astype(np.int8)
