"""The information of a low-rank logit in the coordinates of a chart: an array where it is small, else products to solve with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from statlm.errors import SingularInformation, SpecificationError
from statlm.numerics.blas_threads import single_threaded
from statlm.numerics.linalg import factorise
from statlm.numerics.low_rank_chart import Chart, NuclearPenalty
from statlm.numerics.low_rank_logit import Factors, LowRankLogit
from statlm.numerics.low_rank_newton import inverse_blocks
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array, Matrix

MAX_ARRAY = 3000  # coordinates up to which the matrix is formed: 72 MB, and a Cholesky factor in a second
TOLERANCE = 1e-7  # of the residual relative to the right-hand side, in the norm of the preconditioner
MAX_CG = 3000
WIDTH = 32  # right-hand sides solved at a time


@dataclass(frozen=True, eq=False)
class ChartCurvature:
    """Minus the second derivative of the log-likelihood, of a penalty, or their sum, in the coordinates of a chart.

    Parameters
    ----------
    chart : Chart
    data : LowRankLogit
        At a point whose pivot rows are the identity; its design has an intercept in column 0, whose left row is zero.
    reference : int
        Class whose row is zero.
    pivots : (r,) integer array
    groups : tuple of integer arrays
        Columns of the design by lag.
    penalty : NuclearPenalty or None
    likelihood : bool
        Whether the log-likelihood is part of it, or the penalty alone.
    """

    chart: Chart
    data: LowRankLogit
    reference: int
    pivots: Array
    groups: tuple[Array, ...]
    penalty: NuclearPenalty | None = None
    likelihood: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        """(p, p)."""
        return self.chart.size, self.chart.size

    @property
    def T(self) -> ChartCurvature:
        """Itself: it is symmetric."""
        return self

    def __add__(self, other: ChartCurvature) -> ChartCurvature:
        return replace(self, penalty=self.penalty or other.penalty, likelihood=self.likelihood or other.likelihood)

    def __matmul__(self, other: Matrix) -> Array:
        right = dense(other).astype(float)
        columns = right[:, None] if right.ndim == 1 else right
        found = self.rows(columns.T).T
        return found[:, 0] if right.ndim == 1 else found

    def rows(self, directions: Array) -> Array:
        """(q, p) products with (q, p) directions."""
        along = self.chart.embedded(directions)
        result = np.zeros_like(directions)
        if self.likelihood:
            result += self.chart.coordinates(self.data.product(along))
        if self.penalty is not None:
            result += self.chart.coordinates(self.penalty.product(along))
        return result

    def toarray(self) -> Array:
        """The (p, p) array."""
        p = self.chart.size
        found = np.empty((p, p))
        with single_threaded():
            for start in range(0, p, 256):
                some = np.zeros((min(256, p - start), p))
                some[np.arange(len(some)), np.arange(start, start + len(some))] = 1.0
                found[start : start + len(some)] = self.rows(some)
        return 0.5 * (found + found.T)


def array_or_products(curvature: ChartCurvature) -> Matrix:
    """The array where it is small enough to factor."""
    return curvature.toarray() if curvature.chart.size <= MAX_ARRAY else curvature


class ConjugateGradients:
    """A curvature prepared for solving, without its array.

    The preconditioner is the inverse of the expected information's diagonal blocks with a row for every level and every class
    (see `LowRankLogit`), mapped to the chart: it knows neither reference nor pivots, so that the choice of these does not slow
    the iterations down.

    Parameters
    ----------
    matrix : ChartCurvature
        Positive definite.
    """

    def __init__(self, matrix: ChartCurvature) -> None:
        self._matrix = matrix
        data, groups = matrix.data, matrix.groups
        left, right = data.left_blocks(), data.right_blocks()
        references = [left[0] - left[rows].sum(axis=0) for rows in groups]
        left = np.concatenate([left, np.stack(references)]) if groups else left
        if matrix.penalty is not None:
            g, _ = matrix.penalty.balance
            spread = g @ g.T
            left += matrix.penalty.strength * spread
            right[:, 1:, 1:] += matrix.penalty.strength * np.linalg.inv(spread)
        self._left, self._right = inverse_blocks(left), inverse_blocks(right)
        self._group = np.full(data.design.shape[1], -1)
        for i, rows in enumerate(groups):
            self._group[rows] = i
        self._ngroups = len(groups)

    def solve(self, right: Matrix) -> Array:
        """Solution, of the shape of `right`.

        Raises
        ------
        SingularInformation
            If the matrix is not positive definite, or the iterations do not converge.
        """
        columns = dense(right).astype(float)
        rows = columns[None] if columns.ndim == 1 else columns.T
        with single_threaded():
            parts = [self._solve(rows[start : start + WIDTH]) for start in range(0, len(rows), WIDTH)]
        solved = np.concatenate(parts) if parts else np.zeros_like(rows)
        return solved[0] if columns.ndim == 1 else solved.T

    def inverse_diagonal(self) -> Array:
        """Refused: it would take as many solutions as there are parameters.

        Raises
        ------
        SpecificationError
            Always.
        """
        raise SpecificationError(
            f"Standard errors of all {self._matrix.chart.size:,} parameters would take as many solutions of a linear system of "
            "that size. Ask for what you need: fit.most_similar(token), slm.cosine_similarity(fit, a, b), "
            "fit.predict(contexts, interval=0.95), fit.functional(g, gradient=...)."
        )

    def inverse_root(self, right: Array) -> Array:
        """Refused: a root of the inverse needs the matrix.

        Raises
        ------
        SpecificationError
            Always.
        """
        raise SpecificationError(
            f"Normal draws of {self._matrix.chart.size:,} parameters need a root of their covariance matrix, which is too "
            "large to hold. "
            "Use fewer types (max_size=), a lower rank, or functionals with errors by the delta method."
        )

    def _solve(self, rows: Array) -> Array:
        x = np.zeros_like(rows)
        r = rows.copy()
        z = self._precondition(r)
        p = z.copy()
        rz = (r * z).sum(axis=1)
        goal = TOLERANCE**2 * rz
        for _ in range(MAX_CG):
            active = rz > goal
            if not active.any():
                return x
            q = self._matrix.rows(p[active])
            bend = (p[active] * q).sum(axis=1)
            if (bend <= 0).any():
                break
            a = rz[active] / bend
            x[active] += a[:, None] * p[active]
            r[active] -= a[:, None] * q
            z = self._precondition(r[active])
            new = (r[active] * z).sum(axis=1)
            p[active] = z + (new / rz[active])[:, None] * p[active]
            rz[active] = new
        raise SingularInformation(
            f"The information of the {self._matrix.chart.size:,} parameters could not be inverted: conjugate gradients ended "
            "without "
            "a solution, so some combination of parameters is all but undetermined and has no standard error. Use a larger "
            "strength, or a lower rank."
        )

    def _precondition(self, rows: Array) -> Array:
        chart, at = self._matrix.chart, self._matrix.data.at
        reference, pivots = self._matrix.reference, self._matrix.pivots
        v = chart.embedded(rows)
        # Adjoint of the map from a row for every level and class to the chart.
        right = v.right
        right[:, pivots] += v.left.swapaxes(1, 2) @ at.left - (v.right.swapaxes(1, 2) @ at.right).swapaxes(1, 2)
        right[:, reference] -= right.sum(axis=1)
        levels = np.zeros((len(rows), self._ngroups, chart.shape[2]))
        for i in range(self._ngroups):
            levels[:, i] -= v.left[:, self._group == i].sum(axis=1)
        levels += (v.intercepts @ at.right)[:, None]
        intercepts = v.intercepts
        intercepts[:, reference] -= intercepts.sum(axis=1)
        # Solve block by block.
        left = np.einsum("jkl,qjl->qjk", self._left, np.concatenate([v.left, levels], axis=1))
        both = np.einsum("jkl,qjl->qjk", self._right, np.concatenate([intercepts[:, :, None], right], axis=2))
        # And back.
        intercepts, right = both[:, :, 0], both[:, :, 1:]
        left, levels = left[:, : v.left.shape[1]], left[:, v.left.shape[1] :]
        intercepts = intercepts + levels.sum(axis=1) @ at.right.T - intercepts[:, [reference]]
        right = right - right[:, [reference]]
        turned = right[:, pivots]  # (q, r, r)
        if self._ngroups:
            left = left - levels[:, self._group] * (self._group >= 0)[:, None]
        left = left + at.left @ turned.swapaxes(1, 2)
        right = right - at.right @ turned
        return chart.coordinates(Factors(intercepts, left, right))


@factorise.register
def _(matrix: ChartCurvature) -> ConjugateGradients:
    return ConjugateGradients(matrix)
