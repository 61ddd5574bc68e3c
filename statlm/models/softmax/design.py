"""The design of a softmax regression: intercept, one-hot lags in reference coding, and their interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import scipy.sparse as sparse

from statlm.numerics.types import Array
from statlm.text.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class LagDesign:
    """Columns made of the tokens before an observation.

    Parameters
    ----------
    lags : int
        Number of tokens looked back at.
    degree : int
        Largest number of lags in an interaction: 1 for main effects, `lags` for all interactions.
    levels : tuple of (L_j,) integer arrays
        Token ids that training saw at each lag, the reference level first.
    cells : tuple of (M_s, k_s) integer arrays
        For each set of lags (see `subsets`) the combinations of levels, as positions in `levels`, that have a column:
        those that training saw, none of them at its reference level.
    """

    lags: int
    degree: int
    levels: tuple[Array, ...]
    cells: tuple[Array, ...]

    @classmethod
    def of(cls, contexts: Array, totals: Array, degree: int) -> LagDesign:
        """The design of the distinct contexts of a corpus.

        Parameters
        ----------
        contexts : (C, lags) integer array
            Most recent token in column 0.
        totals : (C,) array
            Observations of each. The most frequent level of each lag is its reference.
        degree : int
        """
        lags = contexts.shape[1]
        levels = []
        for j in range(lags):
            found, place = np.unique(contexts[:, j], return_inverse=True)
            weight = np.bincount(place, weights=totals)
            reference = int(weight.argmax())
            levels.append(np.concatenate([found[[reference]], np.delete(found, reference)]))
        bare = cls(lags, degree, tuple(levels), ())
        position = bare._positions(contexts)
        cells = []
        for subset in bare.subsets:
            rows = position[:, subset]
            cells.append(np.unique(rows[(rows > 0).all(axis=1)], axis=0))
        return cls(lags, degree, tuple(levels), tuple(cells))

    @cached_property
    def subsets(self) -> list[tuple[int, ...]]:
        """The sets of lags that have columns, by size: (0,), (1,), ..., (0, 1), ..."""
        return [s for size in range(1, self.degree + 1) for s in combinations(range(self.lags), size)]

    @cached_property
    def offsets(self) -> Array:
        """Where the columns of each subset start; the intercept is column 0."""
        return np.concatenate([[1], 1 + np.cumsum([len(cell) for cell in self.cells])]).astype(np.int64)

    @property
    def ncolumns(self) -> int:
        """Number P of columns."""
        return int(self.offsets[-1])

    def matrix(self, contexts: Array) -> sparse.csr_array:
        """(m, P) design rows of contexts, (m, lags) ids with the most recent token in column 0.

        A level, or a combination of levels, that training never saw has no column: it is read as the reference.
        """
        position = self._positions(contexts)
        m = len(contexts)
        rows = [np.arange(m)]
        columns = [np.zeros(m, np.int64)]
        for subset, cell, offset in zip(self.subsets, self.cells, self.offsets, strict=False):
            found = self._find(cell, position[:, subset], subset)
            here = np.flatnonzero(found >= 0)
            rows.append(here)
            columns.append(offset + found[here])
        row, column = np.concatenate(rows), np.concatenate(columns)
        design = sparse.csr_array((np.ones(len(row)), (row, column)), shape=(m, self.ncolumns))
        design.sort_indices()
        return design

    def unseen(self, contexts: Array) -> Array:
        """(m,) whether a context holds a token that training never saw at its lag."""
        return np.asarray((self._positions(contexts) < 0).any(axis=1))

    @cached_property
    def indicators(self) -> sparse.csc_array:
        """(P, I) combinations of columns that are 1 where a level, or a combination of levels, stands and 0 elsewhere.

        Reference levels are among them: 1 minus the columns of the others. For interactions the indicator of a cell with some
        lags at their reference is its lower-order column minus the columns of the larger cells.
        """
        rows: list[Array] = [np.array([0])]
        values: list[Array] = [np.array([1.0])]
        for j in range(self.lags):
            # The reference level of lag j: the intercept minus the other levels' main effects.
            start, stop = self.offsets[j], self.offsets[j + 1]
            rows.append(np.concatenate([[0], np.arange(start, stop)]))
            values.append(np.concatenate([[1.0], -np.ones(stop - start)]))
        for column in range(1, self.ncolumns):
            rows.append(np.array([column]))
            values.append(np.array([1.0]))
        for subset, cell, offset in zip(self.subsets, self.cells, self.offsets, strict=False):
            if len(subset) < 2:
                continue
            # A cell with one of its lags at the reference level: the column of the other lags minus those that add a level.
            for left_out in range(len(subset)):
                smaller = tuple(np.delete(subset, left_out))
                base = self.subsets.index(smaller)
                at = self._find(self.cells[base], np.delete(cell, left_out, axis=1), smaller)
                order = np.argsort(at, kind="stable")
                for group in np.split(order, np.flatnonzero(np.diff(at[order])) + 1):
                    if len(group):
                        rows.append(np.concatenate([[self.offsets[base] + at[group[0]]], offset + group]))
                        values.append(np.concatenate([[1.0], -np.ones(len(group))]))
        lengths = [len(r) for r in rows]
        column_of = np.repeat(np.arange(len(rows)), lengths)
        return sparse.csc_array(
            (np.concatenate(values), (np.concatenate(rows).astype(np.int64), column_of)), shape=(self.ncolumns, len(rows))
        )

    def names(self, vocabulary: Vocabulary) -> list[str]:
        """Names of the columns: ``(Intercept)``, ``lag1[e]``, ``lag1[e]:lag2[h]``."""
        tokens = vocabulary.tokens
        result = ["(Intercept)"]
        for subset, cell in zip(self.subsets, self.cells, strict=True):
            for row in cell:
                parts = [f"lag{j + 1}[{tokens[self.levels[j][level]]}]" for j, level in zip(subset, row, strict=True)]
                result.append(":".join(parts))
        return result

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `from_state` makes it again."""
        arrays = {f"levels{j}": level for j, level in enumerate(self.levels)}
        arrays |= {f"cells{i}": cell for i, cell in enumerate(self.cells)}
        return arrays, {"lags": self.lags, "degree": self.degree}

    @classmethod
    def from_state(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> LagDesign:
        """Make a design again from its `state`."""
        lags, degree = int(settings["lags"]), int(settings["degree"])
        levels = tuple(arrays[f"levels{j}"] for j in range(lags))
        nsubsets = len(cls(lags, degree, levels, ()).subsets)
        return cls(lags, degree, levels, tuple(arrays[f"cells{i}"] for i in range(nsubsets)))

    def _positions(self, contexts: Array) -> Array:
        """(m, lags) position of each token among the levels of its lag, -1 where training never saw it."""
        contexts = np.asarray(contexts, np.int64)
        result = np.empty((len(contexts), self.lags), np.int64)
        for j, level in enumerate(self.levels):
            order = np.argsort(level)
            at = np.minimum(np.searchsorted(level, contexts[:, j], sorter=order), len(level) - 1)
            found = order[at]
            result[:, j] = np.where(level[found] == contexts[:, j], found, -1)
        return result

    def _find(self, cell: Array, rows: Array, subset: Sequence[int]) -> Array:
        """Column, within its subset, of each combination of levels; -1 where it has none."""
        widths = [len(self.levels[j]) for j in subset]

        def key(values: Array) -> Array:
            code = np.zeros(len(values), np.int64)
            for j, width in enumerate(widths):
                code = code * width + values[:, j]
            return code

        valid = (rows > 0).all(axis=1)
        keys, query = key(cell), key(np.maximum(rows, 0))
        if len(keys) == 0:
            return np.full(len(rows), -1, np.int64)
        at = np.minimum(np.searchsorted(keys, query), len(keys) - 1)
        return np.where(valid & (keys[at] == query), at, -1)
