"""A matrix that is known by its products, plus a diagonal that makes it invertible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
import scipy.sparse.linalg

from statlm.errors import NoEstimate
from statlm.numerics.conjugate_gradients import Solved, conjugate_gradients
from statlm.numerics.kept_products import KeptProducts
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array, Matrix

SMALL = 1_500  # rows up to which the matrix is written out: 18 MB; up to four times as many where many solves are asked
ITERATIONS = 300  # of conjugate gradients for a solve, about: as many products as rows write the matrix out
TIGHT, LOOSEST = 1e-12, 1e-5  # relative errors of variances, by products in float64 and float32


class Damped(scipy.sparse.linalg.LinearOperator):  # type: ignore[misc]  # scipy has no types
    """``A + diag(d)`` for an operator A, with its solves.

    Parameters
    ----------
    operator : (p, p) LinearOperator
        Symmetric, positive semi-definite; its dtype says to what precision products are known.
    diagonal : (p,) array
        Not negative.
    preconditioner : callable, optional
        From the diagonal d to a map from (p, q) to about the inverse of the damped matrix times it. Called when it is needed.
    """

    def __init__(
        self,
        operator: scipy.sparse.linalg.LinearOperator,
        diagonal: Array,
        preconditioner: Callable[[Array], Callable[[Array], Array]] | None = None,
    ) -> None:
        super().__init__(operator.dtype, operator.shape)
        self.operator = operator
        self.diagonal = np.asarray(diagonal, float)
        self.preconditioner = preconditioner

    def _matmat(self, directions: Array) -> Array:
        return self.operator.matmat(directions) + self.diagonal[:, None] * directions

    def _matvec(self, direction: Array) -> Array:
        return self._matmat(np.asarray(direction).reshape(-1, 1))[:, 0]

    def _adjoint(self) -> Damped:
        return self

    def _transpose(self) -> Damped:
        return self

    @cached_property
    def factor(self) -> OperatorFactor:
        """Prepared for solving; what it has solved it need not solve again."""
        given = self.preconditioner
        return OperatorFactor(self, None if given is None else lambda: given(self.diagonal))


class OperatorFactor:
    """Solves with a symmetric positive definite operator: by Cholesky where that is less work, else by conjugate gradients.

    Parameters
    ----------
    matrix : (p, p) LinearOperator
    preconditioner : callable, optional
        Makes a map from (p, q) to about the inverse times it. Called when it is needed.
    tolerance : float, optional
        Relative error of variances; by default near the precision in which products are computed.

    Attributes
    ----------
    reports : list of Solved
        Iterations, errors and residuals of the solves so far; their solutions are dropped.
    """

    def __init__(
        self,
        matrix: scipy.sparse.linalg.LinearOperator,
        preconditioner: Callable[[], Callable[[Array], Array]] | None = None,
        tolerance: float | None = None,
    ) -> None:
        self._matrix = matrix
        self.tolerance = (LOOSEST if matrix.dtype == np.float32 else TIGHT) if tolerance is None else tolerance
        self._make = preconditioner
        self._kept = KeptProducts()
        self.reports: list[Solved] = []

    @cached_property
    def _dense(self) -> Matrix:
        return self._factorised() if self._matrix.shape[0] <= SMALL else None

    def _factorised(self) -> Matrix:
        from statlm.numerics.linalg import DenseFactor

        return DenseFactor(self._matrix.matmat(np.eye(self._matrix.shape[0])))

    def solve(self, right: Matrix) -> Array:
        """Solution, (p,) or (p, q) as `right`.

        Raises
        ------
        NoEstimate
            If conjugate gradients do not reach their tolerance.
        """
        right = dense(right).astype(float)
        if self._dense is not None:
            return self._dense.solve(right)
        columns = right[:, None] if right.ndim == 1 else right
        solution = self._kept.columns(columns, self._iterated)
        return solution[:, 0] if right.ndim == 1 else solution

    @cached_property
    def _preconditioner(self) -> Callable[[Array], Array] | None:
        return None if self._make is None else self._make()

    def _iterated(self, right: Array) -> Array:
        p, q = right.shape
        if p <= 4 * SMALL and q * ITERATIONS >= p:
            self.__dict__["_dense"] = self._factorised()
            return np.asarray(self._dense.solve(right))
        found = conjugate_gradients(
            self._matrix.matmat, right, preconditioner=self._preconditioner, tolerance=self.tolerance
        )
        self.reports.append(replace(found, solution=found.solution[:0]))
        return found.solution

    def inverse_diagonal(self) -> Array:
        """(p,) diagonal of the inverse.

        Raises
        ------
        NoEstimate
            If the matrix is too large to write out.
        """
        return self._written("a variance of every parameter").inverse_diagonal()

    def inverse_root(self, right: Array) -> Array:
        """Normal draws from standard normal ones.

        Raises
        ------
        NoEstimate
            If the matrix is too large to write out.
        """
        return self._written("draws of the parameters").inverse_root(right)

    def _written(self, what: str) -> Matrix:
        if self._dense is None:
            raise NoEstimate(
                f"The information of {self._matrix.shape[0]:,} parameters is known by its products only, and {what} "
                f"would need it "
                f"written out (at most {SMALL:,}). Ask for the functionals that you need: predict(contexts, interval=0.95), "
                "functional(...)."
            )
        return self._dense
