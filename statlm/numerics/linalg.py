"""Solving with an information matrix, whatever form it comes in."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Protocol

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
import scipy.sparse.linalg

from statlm.errors import SingularInformation
from statlm.numerics.damped import Damped, OperatorFactor
from statlm.numerics.repeated_rows import dense, indicator
from statlm.numerics.types import Array, Matrix

# A pivot below this share of the largest diagonal entry is rounding error, not information.
RANK_TOLERANCE = 1e-12


class Factor(Protocol):
    """A matrix prepared for solving."""

    def solve(self, right: Matrix) -> Matrix:
        """Solution X, of the shape of `right`, (p,) or (p, q)."""
        ...

    def inverse_diagonal(self) -> Array:
        """(p,) diagonal of the inverse."""
        ...

    def inverse_root(self, right: Array) -> Array:
        """``A @ right`` for a matrix A with ``A A'`` the inverse: normal draws, of a (p, q) array of standard normal numbers."""
        ...


class DenseFactor:
    """Cholesky factor of a dense matrix, scaled to a unit diagonal first so that units do not matter."""

    def __init__(self, matrix: Array) -> None:
        scale = np.sqrt(np.abs(np.diag(matrix)))
        scale[scale == 0] = 1.0
        scaled = matrix / scale[:, None]
        scaled /= scale
        try:
            self._factor = scipy.linalg.cholesky(scaled, lower=True, overwrite_a=True)
        except scipy.linalg.LinAlgError as error:
            raise _singular(len(matrix)) from error
        if np.diag(self._factor).min(initial=1.0) ** 2 < RANK_TOLERANCE:
            raise _singular(len(matrix))
        self._scale = scale

    def solve(self, right: Matrix) -> Array:
        """Solution by two triangular solves."""
        right = dense(right).astype(float)
        divide = self._scale if right.ndim == 1 else self._scale[:, None]
        return scipy.linalg.cho_solve((self._factor, True), right / divide, check_finite=False) / divide

    def inverse_diagonal(self) -> Array:
        """Column sums of squares of the inverse factor."""
        inverse, _ = scipy.linalg.lapack.dtrtri(self._factor, lower=1)
        return (np.tril(inverse) ** 2).sum(axis=0) / self._scale**2

    def inverse_root(self, right: Array) -> Array:
        """Solution of the transposed triangle: ``(L L')^-1 = L'^-1 L^-1``."""
        solved = scipy.linalg.solve_triangular(self._factor, right, lower=True, trans="T", check_finite=False)
        return solved / self._scale[:, None]


class SparseFactor:
    """LU factor of a sparse matrix."""

    def __init__(self, matrix: Matrix) -> None:
        self._size = matrix.shape[0]
        self._matrix = matrix
        try:
            self._factor = scipy.sparse.linalg.splu(sparse.csc_matrix(matrix))
        except RuntimeError as error:
            raise _singular(self._size) from error
        pivots = np.abs(self._factor.U.diagonal())
        if pivots.min(initial=np.inf) < RANK_TOLERANCE * pivots.max(initial=0.0):
            raise _singular(self._size)

    def solve(self, right: Matrix) -> Array:
        """Solution by the factor."""
        return self._factor.solve(dense(right).astype(float))

    def inverse_diagonal(self) -> Array:
        """Diagonal, a block of columns at a time."""
        width = 256
        parts = []
        for start in range(0, self._size, width):
            unit = np.zeros((self._size, min(width, self._size - start)))
            unit[np.arange(start, start + unit.shape[1]), np.arange(unit.shape[1])] = 1.0
            parts.append(self._factor.solve(unit)[np.arange(start, start + unit.shape[1]), np.arange(unit.shape[1])])
        return np.concatenate(parts) if parts else np.zeros(0)

    def inverse_root(self, right: Array) -> Array:
        """By a dense Cholesky factor: the sparse one is no square root."""
        return DenseFactor(dense(self._matrix)).inverse_root(right)


class ArrowBlocks:
    """Block-diagonal matrix whose blocks are a diagonal plus a constant, ``diag(d) + a 1 1'``.

    This is the information of a multinomial in its free probabilities, one block a context. Its inverse is known in
    closed form (Sherman and Morrison 1950), so a million parameters are no burden.

    Parameters
    ----------
    diagonal : (p,) array
        The d of all blocks, end to end.
    constant : (B,) array
        The a of each block.
    block : (p,) integer array
        The block of each row.
    """

    def __init__(self, diagonal: Array, constant: Array, block: Array) -> None:
        self.diagonal = np.asarray(diagonal, float)
        self.constant = np.asarray(constant, float)
        self.block = np.asarray(block, np.int64)
        self.shape = (len(self.diagonal), len(self.diagonal))
        self.T = self

    def _sums(self) -> sparse.csr_array:
        return indicator(self.block, len(self.constant))  # (B, p)

    def __matmul__(self, other: Matrix) -> Matrix:
        sums = self._sums()
        scaled = sparse.diags_array(self.diagonal) @ other
        return scaled + sums.T @ (sparse.diags_array(self.constant) @ (sums @ other))

    def __add__(self, other: ArrowBlocks) -> ArrowBlocks:
        """Sum of two with the same blocks."""
        return ArrowBlocks(self.diagonal + other.diagonal, self.constant + other.constant, self.block)

    def toarray(self) -> Array:
        """The dense (p, p) array."""
        same = self.block[:, None] == self.block
        return np.diag(self.diagonal) + np.where(same, self.constant[self.block][:, None], 0.0)

    def _check(self) -> tuple[Array, Array]:
        """Inverse diagonal, and the factor of the rank-one correction of each block."""
        bad = np.flatnonzero(~(self.diagonal > 0))
        if len(bad):
            raise SingularInformation(
                f"{len(bad):,} of {len(self.diagonal):,} parameters carry no information on this corpus (their cells "
                "have no observation in it), so their variance is unbounded. Evaluate the information on the corpus "
                "that the model was fitted to, or ask for functionals of other contexts."
            )
        inverse = 1.0 / self.diagonal
        total = np.bincount(self.block, weights=inverse, minlength=len(self.constant))
        return inverse, self.constant / (1.0 + self.constant * total)

    def solve(self, right: Matrix) -> Matrix:
        """Solution X of ``self @ X = right``; sparse where ``right`` is."""
        inverse, factor = self._check()
        sums = self._sums()
        scaled = sparse.diags_array(inverse) @ right
        correction = sums.T @ (sparse.diags_array(factor) @ (sums @ scaled))
        return scaled - sparse.diags_array(inverse) @ correction

    def inverse_diagonal(self) -> Array:
        """(p,) diagonal of the inverse."""
        inverse, factor = self._check()
        return inverse - factor[self.block] * inverse**2

    def inverse_root(self, right: Array) -> Array:
        """``D^-1/2 (I - b u u')`` of a block, with D its diagonal, ``u = D^-1/2 1``, ``b = (1 - 1 / sqrt(1 + a u'u)) / u'u``."""
        inverse, _ = self._check()
        u = np.sqrt(inverse)[:, None]
        total = np.bincount(self.block, weights=inverse, minlength=len(self.constant))
        with np.errstate(divide="ignore", invalid="ignore"):
            b = np.where(total > 0, (1.0 - 1.0 / np.sqrt(1.0 + self.constant * total)) / total, 0.0)
        along = sparse.diags_array(b) @ (self._sums() @ (u * right))
        return u * (right - u * along[self.block])


@singledispatch
def factorise(matrix: Matrix) -> Factor:
    """Prepare a symmetric positive definite matrix for solving, once for many right-hand sides.

    Parameters
    ----------
    matrix : (p, p) array, sparse array, ArrowBlocks or LinearOperator
        An operator is written out where it is small, and otherwise solved by conjugate gradients.

    Raises
    ------
    SingularInformation
        If the matrix is not positive definite to working precision.
    """
    raise TypeError(f"factorise() does not know matrices of type {type(matrix).__name__}.")


@factorise.register
def _(matrix: np.ndarray) -> Factor:
    return DenseFactor(matrix)


@factorise.register(sparse.sparray)
@factorise.register(sparse.spmatrix)
def _(matrix: Matrix) -> Factor:
    return SparseFactor(matrix)


@factorise.register
def _(matrix: ArrowBlocks) -> Factor:
    return matrix


@factorise.register(scipy.sparse.linalg.LinearOperator)
def _(matrix: Matrix) -> Factor:
    return OperatorFactor(matrix)


@factorise.register
def _(matrix: Damped) -> Factor:
    return matrix.factor


def solve(matrix: Matrix, right: Matrix) -> Matrix:
    """Solution X of ``matrix @ X = right``; see `factorise`."""
    return factorise(matrix).solve(right)


def identity(p: int) -> Any:
    """The sparse (p, p) identity: all parameters as functionals of themselves."""
    return sparse.eye_array(p, format="csr")


def _singular(p: int) -> SingularInformation:
    return SingularInformation(
        f"The information matrix of the {p:,} parameters is singular to working precision: some combination of them "
        "does not change the likelihood, so it has no standard error. Drop redundant terms, or add a penalty."
    )
