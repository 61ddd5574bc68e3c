r"""The inner products :math:`s_k' H^{-1} s_l` of the scores of a multinomial in free probabilities, cell by cell.

With probabilities p and :math:`\delta_k = p_k^2 / n_k` of the cells of a context c, all of them, the one that is 1 minus the
others included, they are
:math:`\delta_k / p_k^2 \cdot [k = l] - (\delta_k / p_k)(\delta_l / p_l) / \sum_{j \in c} \delta_j`, and zero between
contexts. (The information of the free ones is :math:`\mathrm{diag}(1 / \delta) + 1 1' / \delta_0`; invert it by Sherman and
Morrison 1950, and write the left-out cell's score as one coordinate among the others.) A score touches all cells of its
context, and these products never do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatchmethod

import numpy as np
import scipy.sparse as sparse

from statlm.numerics.types import Array, Matrix


@dataclass(frozen=True, eq=False)
class CellForm:
    """The products for all cells of a table.

    Parameters
    ----------
    cell : (nobs,) integer array
        Cell of each observation; K where its score is zero.
    weight, slope : (K,) arrays
        ``delta / p^2`` and ``delta / p``.
    total : (C,) array
        Sum of delta in each context; infinite where the left-out cell has no observation.
    context : (K,) integer array
        Context of each cell.
    """

    cell: Array
    weight: Array
    slope: Array
    total: Array
    context: Array

    @property
    def ncells(self) -> int:
        """Number K of cells."""
        return len(self.weight)

    @singledispatchmethod
    def trace(self, factor: Matrix) -> float:
        """``tr(F S H^-1 S' F')`` with S the scores of the cells, K + 1 rows, and F a (rows, K + 1) matrix."""
        return self.trace(sparse.csr_array(factor))

    @trace.register(sparse.sparray)
    @trace.register(sparse.spmatrix)
    def _(self, factor: Matrix) -> float:
        counts = sparse.csr_array(factor)[:, : self.ncells]
        squared = counts.multiply(counts) @ self.weight
        ncells = self.ncells
        into = sparse.csr_array((self.slope, (np.arange(ncells), self.context)), shape=(ncells, len(self.total)))
        along = sparse.csr_array(counts @ into)
        along.data **= 2
        return float(squared.sum() - (along @ (1.0 / self.total)).sum())

    def at_lag(self, lag: int, document: Array) -> float:
        """Sum of the products of observations `lag` apart in one document."""
        n = len(self.cell)
        first, second = self.cell[: n - lag], self.cell[lag:]
        both = (first < self.ncells) & (second < self.ncells) & (document[: n - lag] == document[lag:])
        first, second = first[both], second[both]
        same = self.context[first] == self.context[second]
        first, second = first[same], second[same]
        apart = self.slope[first] * self.slope[second] / self.total[self.context[first]]
        return float(self.weight[first[first == second]].sum() - apart.sum())
