"""The likelihood ratio of one table of transitions for all against one for each group of documents, or stretch of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from scipy.special import xlogy

from statlm.numerics.context_table import ContextTable
from statlm.numerics.markov_chain import OrderRatio, order_ratio
from statlm.numerics.types import Array


@dataclass(frozen=True, eq=False)
class UnitCounts:
    r"""How often each cell (a context and the token after it) occurs in each unit: a document, or a single observation.

    With groups s of units the statistic of the same transition probabilities in all of them is
    :math:`2 \sum_{s,c,w} n_{scw} \log \frac{n_{scw}\, n_c}{n_{sc}\, n_{cw}}` (Anderson and Goodman 1957).

    Parameters
    ----------
    cell, unit, count : (m,) integer arrays
        Cell, unit and number of each entry.
    context : (K,) integer array
        Context of each cell.
    """

    cell: Array
    unit: Array
    count: Array
    context: Array

    @classmethod
    def of(cls, table: ContextTable, columns: Sequence[Array], targets: Array, unit: Array) -> UnitCounts:
        """Count the observations of each unit.

        Parameters
        ----------
        table : ContextTable
            Of all observations.
        columns : sequence of (N,) integer arrays
            The tokens before each observation, most recent first.
        targets, unit : (N,) integer arrays
        """
        cell = table.find_cells(table.find_contexts(columns, len(targets)), targets)
        key, count = np.unique(unit * table.ncells + cell, return_counts=True)
        return cls(key % table.ncells, key // table.ncells, count, table.row_of_cell)

    @cached_property
    def nunits(self) -> int:
        """Number of units."""
        return int(self.unit.max()) + 1

    @cached_property
    def _matrices(self) -> tuple[sparse.csr_array, sparse.csr_array]:
        """(units, K) counts of cells, (K, C) which context each is of."""
        ncells = len(self.context)
        cells = sparse.csr_array((self.count.astype(float), (self.unit, self.cell)), shape=(self.nunits, ncells))
        of_context = sparse.csr_array(
            (np.ones(ncells), (np.arange(ncells), self.context)), shape=(ncells, self.context[-1] + 1)
        )
        return cells, of_context

    @cached_property
    def _together(self) -> float:
        total = np.bincount(self.cell, weights=self.count)
        return float(xlogy(total, total).sum()) - _entropy_sum(np.bincount(self.context, weights=total))

    def ratio(self, group: Array, ngroups: int) -> float:
        """The statistic for a grouping of the units, (units,) integers."""
        cells, of_context = self._matrices
        summing = sparse.csr_array((np.ones(self.nunits), (group, np.arange(self.nunits))), shape=(ngroups, self.nunits))
        counts = summing @ cells
        apart = _entropy_sum(counts.data) - _entropy_sum((counts @ of_context).data)
        return max(2 * (apart - self._together), 0.0)

    def path(self, place: Array) -> Array:
        """(units - 1,) the statistic of a change after each unit but the last, with unit u in place ``place[u]`` of the order."""
        where = place[self.unit]
        gain = _gains(self.cell, where, self.count)
        in_context = np.unique(self.context[self.cell] * self.nunits + where, return_inverse=True)
        counts = np.bincount(in_context[1].ravel(), weights=self.count)
        contexts, at = np.divmod(in_context[0], self.nunits)
        steps = np.bincount(where, weights=gain, minlength=self.nunits)
        steps -= np.bincount(at, weights=_gains(contexts, at, counts), minlength=self.nunits)
        return np.maximum(2 * np.cumsum(steps)[:-1], 0.0)


def group_ratio(columns: Sequence[Array], targets: Array, group: Array, ngroups: int, size: int) -> OrderRatio:
    """Statistic, degrees of freedom and small expected counts of the same transition probabilities in all groups.

    The group stands where `order_ratio` has the token before the context: both ask whether the next token depends on it. The
    degrees of freedom count the cells that could be non-zero, ``sum over c of (S_c - 1)(W_c - 1)`` with S_c groups in which the
    context c occurs and W_c different tokens after it.

    Parameters
    ----------
    columns : sequence of k (N,) integer arrays
    targets, group : (N,) integer arrays
    ngroups : int
    size : int
        Token ids are below this.
    """
    size = max(size, ngroups)
    null = ContextTable.count(list(columns), targets, size)
    return order_ratio(null, ContextTable.count([*columns, group], targets, size))


def _entropy_sum(counts: Array) -> float:
    return float(xlogy(counts, counts).sum())


def _gains(item: Array, place: Array, count: Array) -> Array:
    """(m,) what moving each entry from the right side to the left adds to ``sum n log n`` of both, entries taken by place."""
    order = np.lexsort((place, item))
    sizes = count[order].astype(float)
    before = np.cumsum(sizes) - sizes
    new = np.append(True, np.diff(item[order]) != 0)
    first = np.flatnonzero(new)
    group = np.cumsum(new) - 1
    left = before - before[first][group]
    right = np.add.reduceat(sizes, first)[group] - left
    moved = xlogy(left + sizes, left + sizes) - xlogy(left, left)
    moved += xlogy(right - sizes, right - sizes) - xlogy(right, right)
    result = np.empty(len(order))
    result[order] = moved
    return result
