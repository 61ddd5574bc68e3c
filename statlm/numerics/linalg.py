"""Solving with an information matrix, whatever form it comes in."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
import scipy.sparse.linalg

from statlm.errors import SingularInformation
from statlm.numerics.repeated_rows import indicator
from statlm.numerics.types import Array, Matrix

# A pivot below this share of the largest diagonal entry is rounding error, not information.
RANK_TOLERANCE = 1e-12


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


@singledispatch
def solve(matrix: Matrix, right: Matrix) -> Matrix:
    """Solve ``matrix @ X = right`` for a symmetric positive definite matrix.

    Parameters
    ----------
    matrix : (p, p) array, sparse array or ArrowBlocks
    right : (p,) or (p, q) array, or sparse array

    Returns
    -------
    X, of the shape of ``right``

    Raises
    ------
    SingularInformation
        If the matrix is not positive definite to working precision.
    """
    raise TypeError(f"solve() does not know matrices of type {type(matrix).__name__}.")


@solve.register
def _(matrix: np.ndarray, right: Matrix) -> Array:
    matrix = np.asarray(matrix, float)
    scale = np.sqrt(np.abs(np.diag(matrix)))
    scale[scale == 0] = 1.0
    try:
        factor = scipy.linalg.cho_factor(matrix / scale[:, None] / scale, lower=True)
    except scipy.linalg.LinAlgError as error:
        raise _singular(matrix.shape[0]) from error
    if np.diag(factor[0]).min() ** 2 < RANK_TOLERANCE:
        raise _singular(matrix.shape[0])
    right = right.toarray() if sparse.issparse(right) else np.asarray(right, float)
    divide = scale if right.ndim == 1 else scale[:, None]
    return scipy.linalg.cho_solve(factor, right / divide) / divide


@solve.register(sparse.sparray)
@solve.register(sparse.spmatrix)
def _(matrix: Matrix, right: Matrix) -> Array:
    try:
        factor = scipy.sparse.linalg.splu(sparse.csc_matrix(matrix))
    except RuntimeError as error:
        raise _singular(matrix.shape[0]) from error
    pivots = np.abs(factor.U.diagonal())
    if pivots.min() < RANK_TOLERANCE * pivots.max():
        raise _singular(matrix.shape[0])
    return factor.solve(right.toarray() if sparse.issparse(right) else np.asarray(right, float))


@solve.register
def _(matrix: ArrowBlocks, right: Matrix) -> Matrix:
    return matrix.solve(right)


@singledispatch
def inverse_diagonal(matrix: Matrix) -> Array:
    """Diagonal of the inverse, (p,)."""
    return np.diag(np.asarray(solve(matrix, np.eye(matrix.shape[0]))))


@inverse_diagonal.register
def _(matrix: ArrowBlocks) -> Array:
    return matrix.inverse_diagonal()


def identity(p: int) -> Any:
    """The sparse (p, p) identity: all parameters as functionals of themselves."""
    return sparse.eye_array(p, format="csr")


def _singular(p: int) -> SingularInformation:
    return SingularInformation(
        f"The information matrix of the {p:,} parameters is singular to working precision: some combination of them "
        "does not change the likelihood, so it has no standard error. Drop redundant terms, or add a penalty."
    )
