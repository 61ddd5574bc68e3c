"""The sufficient statistics of every model with a bounded memory: how often each token follows each context.

A million characters hold at most a few thousand different pairs of letters, so models are fitted on this table
and never on a million rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from statlm.numerics.types import Array
from statlm.numerics.unique_rows import KEY_BITS, bits_for, dense_rank, unique_rows

SORT_QUERIES = 1 << 17


@dataclass(frozen=True, eq=False)
class ContextTable:
    """Distinct contexts, and for each the tokens that follow it with their counts (compressed by row).

    A *cell* is a (context, token) pair that occurs. Cells are sorted by context, then by token.

    Attributes
    ----------
    contexts : (C, k) int64 array
        Distinct contexts in lexicographic order, the *most recent* token in column 0.
    starts : (C + 1,) int64 array
        The cells of context c are ``starts[c]`` to ``starts[c + 1]``.
    tokens, counts : (K,) int64 arrays
        Token and count of each cell.
    bits : int
        Width of a token id.
    """

    contexts: Array
    starts: Array
    tokens: Array
    counts: Array
    bits: int

    @classmethod
    def count(cls, columns: Sequence[Array], targets: Array, size: int) -> ContextTable:
        """Count what follows what.

        Parameters
        ----------
        columns : sequence of k (N,) integer arrays
            The tokens before each observation, most recent first.
        targets : (N,) integer array
            The token observed.
        size : int
            Ids are below this.
        """
        bits = bits_for(size)
        found = unique_rows([*columns, targets], bits)
        *context_columns, tokens = found.columns
        cells = len(tokens)
        new = np.zeros(cells, bool)
        new[:1] = True
        for column in context_columns:
            new[1:] |= column[1:] != column[:-1]
        starts = np.flatnonzero(new)
        contexts = np.empty((len(starts), len(context_columns)), np.int64)
        for j, column in enumerate(context_columns):
            contexts[:, j] = column[starts]
        return cls(contexts, np.append(starts, cells), tokens, found.counts, bits)

    @property
    def ncontexts(self) -> int:
        """Number C of distinct contexts."""
        return len(self.contexts)

    @property
    def ncells(self) -> int:
        """Number K of distinct (context, token) pairs."""
        return len(self.tokens)

    @cached_property
    def row_of_cell(self) -> Array:
        """(K,) context row of each cell."""
        return np.repeat(np.arange(self.ncontexts), np.diff(self.starts))

    @cached_property
    def totals(self) -> Array:
        """(C,) number of observations with each context."""
        if self.ncontexts == 0:
            return np.zeros(0, np.int64)
        return np.add.reduceat(self.counts, self.starts[:-1])

    def find_contexts(self, columns: Sequence[Array], n: int) -> Array:
        """Row of each context, -1 where it never occurred.

        Parameters
        ----------
        columns : sequence of k (n,) integer arrays
            Most recent token first.
        n : int
            Number of queries (needed where k is 0).
        """
        node = np.zeros(n, np.int64)
        if self.ncontexts == 0:
            return node - 1
        for keys, first, last in self._levels:
            query = np.maximum(node, 0)
            for column in columns[first:last]:
                query = (query << self.bits) | column
            found = _search(keys, query)
            node = np.where(node >= 0, found, -1)
        return node

    def find_cells(self, rows: Array, tokens: Array) -> Array:
        """Cell of each (context row, token), -1 where the pair never occurred or the row is -1."""
        found = _search(self._cell_keys, (np.maximum(rows, 0) << self.bits) | tokens)
        return np.where(rows >= 0, found, -1)

    @cached_property
    def _cell_keys(self) -> Array:
        return (self.row_of_cell << self.bits) | self.tokens

    @cached_property
    def _levels(self) -> list[tuple[Array, int, int]]:
        """A search tree: as many columns a level as fit into a key beside the number of the node above."""
        levels: list[tuple[Array, int, int]] = []
        node = np.zeros(self.ncontexts, np.int64)
        nnodes, first, k = 1, 0, self.contexts.shape[1]
        while first < k:
            room = KEY_BITS - (bits_for(nnodes) if first else 0)
            last = min(k, first + max(room // self.bits, 1))
            key = node
            for j in range(first, last):
                key = (key << self.bits) | self.contexts[:, j]
            new = np.ones(len(key), bool)
            new[1:] = key[1:] != key[:-1]
            levels.append((key[new], first, last))
            node = np.cumsum(new) - 1
            nnodes, first = len(levels[-1][0]), last
        return levels


def _search(keys: Array, query: Array) -> Array:
    """Position of each query among sorted distinct keys, -1 where it is absent."""
    if len(keys) == 0:
        return np.full(len(query), -1, np.int64)
    if len(query) > SORT_QUERIES and len(keys) > SORT_QUERIES:
        # Random access to a table beyond the cache costs more than sorting the queries.
        ranks, distinct = dense_rank(query, max(int(query.max()), 1).bit_length())
        return _search_few(keys, distinct)[ranks]
    return _search_few(keys, query)


def _search_few(keys: Array, query: Array) -> Array:
    at = np.searchsorted(keys, query)
    at[at == len(keys)] = 0
    return np.where(keys[at] == query, at, -1)
