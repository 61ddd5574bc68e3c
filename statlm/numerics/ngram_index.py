"""Which n-grams there are, of every length, and how to find them.

An m-gram is stored by its *suffix* (the (m-1)-gram without its oldest token), its oldest token, and its *context* (the
(m-1)-gram without its last token), both as rows of the level below. The m-grams are sorted by suffix, then by oldest token,
so that finding the n-grams that end at each position of a text is one search a level; and because the context of a position
is what ended one position earlier, the contexts cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from statlm.numerics.ranges import concatenate_ranges
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import KEY_BITS, bits_for

SORT_QUERIES = 1 << 12  # tables beyond the cache are searched with sorted queries


@dataclass(frozen=True, eq=False)
class Level:
    """The m-grams of one length m of at least 2.

    Attributes
    ----------
    suffix : (K,) int32 array
        Row of the suffix among the (m-1)-grams; ascending.
    oldest : (K,) int32 array
        Oldest token; ascending within a suffix.
    context : (K,) int32 array
        Row of the context among the (m-1)-grams.
    bits : int
        Width of a token id.
    """

    suffix: Array
    oldest: Array
    context: Array
    bits: int

    def __len__(self) -> int:
        return len(self.oldest)

    @cached_property
    def keys(self) -> Array:
        """(K,) suffix and oldest token in one integer, ascending."""
        keys = self.suffix.astype(np.int64)
        keys <<= self.bits
        keys |= self.oldest
        return keys

    def find(self, suffix: Array, oldest: Array) -> Array:
        """(q,) row of each (suffix, oldest token), -1 where there is none or the suffix is -1."""
        found = np.full(len(suffix), -1, np.int32)
        live = np.flatnonzero(suffix >= 0)
        if len(live) == 0 or len(self) == 0:
            return found
        query = (suffix[live].astype(np.int64) << self.bits) | oldest[live]
        found[live] = search(self.keys, query)
        return found

    @cached_property
    def by_context(self) -> Array:
        """(K,) rows sorted by context."""
        return np.argsort(self.context, kind="stable").astype(np.int32)

    @cached_property
    def _context_keys(self) -> Array:
        return self.context[self.by_context]

    def following(self, contexts: Array) -> tuple[Array, Array]:
        """(position in `contexts`, row) of every m-gram that continues one of these contexts."""
        starts = np.searchsorted(self._context_keys, contexts, side="left")
        stops = np.searchsorted(self._context_keys, contexts, side="right")
        return np.repeat(np.arange(len(contexts)), stops - starts), self.by_context[concatenate_ranges(starts, stops)]


def search(keys: Array, query: Array) -> Array:
    """(q,) int32 place of each query among sorted distinct keys, -1 where it is absent."""
    place_bits = bits_for(len(query))
    if len(query) > SORT_QUERIES and len(keys) > SORT_QUERIES and bits_for(int(query.max()) + 1) + place_bits <= KEY_BITS:
        # Neighbouring queries then touch neighbouring memory.
        packed = query << place_bits
        packed |= np.arange(len(query))
        packed.sort()
        place = packed & ((1 << place_bits) - 1)
        packed >>= place_bits
        found = np.empty(len(query), np.int32)
        found[place] = _search(keys, packed)
        return found
    return _search(keys, query)


def _search(keys: Array, query: Array) -> Array:
    at = np.searchsorted(keys, query)
    at[at == len(keys)] = 0
    return np.where(keys[at] == query, at, -1).astype(np.int32)


@dataclass(frozen=True, eq=False)
class NGramIndex:
    """All n-grams of a table, level by level.

    The 1-grams are all token ids, so that the row of a token is its id.

    Attributes
    ----------
    n : int
        Length of the longest.
    nids : int
        Number of token ids.
    start, pad : int
        The ids that mark a document's start and the places before it.
    levels : tuple of n - 1 Level
        The m-grams for m = 2, ..., n.
    """

    n: int
    nids: int
    start: int
    pad: int
    levels: tuple[Level, ...]

    def size(self, m: int) -> int:
        """Number of m-grams."""
        return self.nids if m == 1 else len(self.levels[m - 2])

    def level(self, m: int) -> Level:
        """The m-grams, m at least 2."""
        return self.levels[m - 2]

    def find_stream(self, stream: Array) -> list[Array]:
        """For m = 1, ..., n the (N,) row of the m-gram that ends at each position of a text, -1 where there is none.

        Parameters
        ----------
        stream : (N,) integer array
            Documents end to end, each with the token `start` before it.
        """
        rows = [stream.astype(np.int32)]
        for m in range(2, self.n + 1):
            oldest = np.full(len(stream), self.pad, np.int64)
            oldest[m - 1 :] = stream[: max(len(stream) - m + 1, 0)]
            # Nothing begins before a document does: there is no n-gram with `start` in it but as its oldest token.
            rows.append(self.level(m).find(rows[-1], oldest))
        return rows

    def find_contexts(self, contexts: Array) -> list[Array]:
        """For j = 1, ..., n - 1 the (q,) row of the j-gram at the end of each context, -1 where there is none.

        Parameters
        ----------
        contexts : (q, k) integer array
            Oldest token first; places beyond k count as `pad`.
        """
        rows: list[Array] = []
        for j in range(1, self.n):
            column = contexts[:, -j] if j <= contexts.shape[1] else np.full(len(contexts), self.pad)
            if j == 1:
                rows.append(np.where(column == self.pad, -1, column).astype(np.int32))
            else:
                rows.append(self.level(j).find(rows[-1], column.astype(np.int64)))
        return rows

    def find(self, grams: Array) -> Array:
        """(q,) row of each n-gram of the longest kind, given by its tokens, oldest first; -1 where it is not listed."""
        rows = grams[:, -1].astype(np.int32)
        for m in range(2, self.n + 1):
            rows = self.level(m).find(rows, grams[:, -m])
        return rows

    def last_tokens(self, m: int) -> Array:
        """(K,) most recent token of each m-gram."""
        return self._last[m - 1]

    @cached_property
    def _last(self) -> list[Array]:
        last = [np.arange(self.nids, dtype=np.int32)]
        for level in self.levels:
            last.append(last[-1][level.suffix])
        return last

    def tokens(self, m: int, rows: Array | None = None) -> Array:
        """(K, m) tokens of the m-grams, oldest first; of some `rows` only on request."""
        here = np.arange(self.size(m)) if rows is None else np.asarray(rows)
        columns = []
        for j in range(m, 1, -1):
            columns.append(self.level(j).oldest[here])
            here = self.level(j).suffix[here]
        return np.stack([*columns, here], axis=1)
