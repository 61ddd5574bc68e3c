"""A tall matrix whose rows repeat: many observations, few distinct (context, token) pairs.

The score of a model fitted on a table of contexts has this form. Its products, sums by group and cross-product
cost as much as the table, not as the text.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator

from statlm.numerics.types import Array, Matrix


class RepeatedRows:
    """The (n, p) matrix ``rows[index]``, never formed.

    Parameters
    ----------
    rows : (K, p) array or scipy sparse array
        The distinct rows.
    index : (n,) integer array
        Which of them each row is.
    """

    def __init__(self, rows: Matrix, index: Array) -> None:
        self.rows = rows
        self.index = index
        self.shape = (len(index), rows.shape[1])

    def __matmul__(self, other: Matrix) -> Array:
        return dense(self.rows @ other)[self.index]

    @property
    def T(self) -> Transposed:
        """The transpose, good for products."""
        return Transposed(self)

    @property
    def multiplicity(self) -> Array:
        """(K,) how often each distinct row stands in the matrix."""
        return np.bincount(self.index, minlength=self.rows.shape[0])

    def toarray(self) -> Array:
        """The dense (n, p) array."""
        return dense(self.rows)[self.index]


class Transposed:
    """Transpose of a `RepeatedRows`."""

    def __init__(self, of: RepeatedRows) -> None:
        self.T = of
        self.shape = of.shape[::-1]

    def __matmul__(self, other: Array) -> Array:
        weights = sum_by(np.asarray(other), self.T.index, self.T.rows.shape[0])
        return dense(self.T.rows.T @ dense(weights))


@runtime_checkable
class WrittenOut(Protocol):
    """An operator that can write out its rows at less than a product a column."""

    def toarray(self) -> Array:
        """The dense array."""
        ...


@runtime_checkable
class SummedProducts(Protocol):
    """An operator that has a cheaper way to products of sums of its rows."""

    def summed_product(self, index: Array, size: int, directions: Array) -> Array:
        """(size, q) sums of the rows by group, times (p, q) directions."""
        ...


class GroupedRows(LinearOperator):  # type: ignore[misc]  # scipy has no types
    """Sums by group of the rows of an operator, never formed.

    Parameters
    ----------
    of : (n, p) LinearOperator
    index : (n,) integer array
        Group of each row.
    size : int
        Number of groups.
    """

    def __init__(self, of: LinearOperator, index: Array, size: int) -> None:
        super().__init__(np.float64, (size, of.shape[1]))
        self.of, self.index, self.size = of, np.asarray(index), size

    def _matmat(self, directions: Array) -> Array:
        if isinstance(self.of, SummedProducts):
            return self.of.summed_product(self.index, self.size, directions)
        return sum_by(self.of.matmat(directions), self.index, self.size)

    def _matvec(self, direction: Array) -> Array:
        return self._matmat(np.asarray(direction).reshape(-1, 1))[:, 0]

    def _rmatmat(self, weights: Array) -> Array:
        return self.of.rmatmat(np.asarray(weights)[self.index])

    def _rmatvec(self, weights: Array) -> Array:
        return self._rmatmat(np.asarray(weights).reshape(-1, 1))[:, 0]


def dense(x: Matrix) -> Array:
    """``x`` as a numpy array."""
    if sparse.issparse(x) or isinstance(x, RepeatedRows):
        return x.toarray()
    if isinstance(x, LinearOperator):
        if isinstance(x, WrittenOut):
            return x.toarray()
        n, p = x.shape
        return x.matmat(np.eye(p)) if p <= n else x.rmatmat(np.eye(n)).T
    return np.asarray(x)


def explicit(x: Matrix) -> Matrix:
    """``x`` with each of its rows written out: sparse where it is."""
    if isinstance(x, LinearOperator):
        return dense(x)
    return x.rows[x.index] if isinstance(x, RepeatedRows) else x


def indicator(index: Array, size: int) -> sparse.csr_array:
    """The (size, n) sparse matrix of zeros and ones that sums values by group.

    ``index`` is (n,), each entry below ``size``.
    """
    n = len(index)
    return sparse.csr_array(sparse.coo_array((np.ones(n), (np.asarray(index, np.int64), np.arange(n))), shape=(size, n)))


@singledispatch
def sum_by(x: Matrix, index: Array, size: int) -> Matrix:
    """Sums of the rows of ``x`` by group.

    Parameters
    ----------
    x : (n, ...) array, sparse array or RepeatedRows
    index : (n,) integer array
        Group of each row.
    size : int
        Number of groups G.

    Returns
    -------
    (G, ...) matrix
        Sparse where ``x`` is; row g is the sum of the rows of group g.
    """
    x = np.asarray(x)
    if x.ndim == 1:
        return np.bincount(index, weights=x, minlength=size)
    return indicator(index, size) @ x


@sum_by.register(sparse.sparray)
@sum_by.register(sparse.spmatrix)
def _(x: Matrix, index: Array, size: int) -> Matrix:
    return indicator(index, size) @ x


@sum_by.register
def _(x: RepeatedRows, index: Array, size: int) -> Matrix:
    pairs = np.asarray(index, np.int64) * x.rows.shape[0] + x.index
    pairs, counts = np.unique(pairs, return_counts=True)
    row, column = np.divmod(pairs, x.rows.shape[0])
    table = sparse.csr_array((counts.astype(float), (row, column)), shape=(size, x.rows.shape[0]))
    return table @ x.rows


@sum_by.register
def _(x: LinearOperator, index: Array, size: int) -> Matrix:
    return GroupedRows(x, index, size)


@singledispatch
def weighted_rows(x: Matrix) -> Matrix:
    """A matrix R with as few rows as possible and ``R'R = x'x``."""
    return x


@weighted_rows.register
def _(x: RepeatedRows) -> Matrix:
    return sparse.diags_array(np.sqrt(x.multiplicity.astype(float))) @ x.rows


def crossproduct(x: Matrix) -> Matrix:
    """``x'x``, (p, p): sparse where x is."""
    rows = weighted_rows(x)
    return rows.T @ rows
