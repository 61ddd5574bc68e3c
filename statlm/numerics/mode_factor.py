"""Solving with the curvature of a function at its mode, which is flat along symmetries and must not bend upwards anywhere."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from statlm.errors import NoEstimate
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array, Matrix

FLAT = 1e-3  # of the precision: curvature below it is that of a symmetry, or of a mode found to finite precision
MATTERS = 1e-4  # share of a variance that a flat direction may have at most


class ModeFactor:
    """Eigenvectors of a symmetric matrix that is positive semi-definite but for rounding.

    Directions without curvature, symmetries of the function, are left out of solutions. That is right where the right-hand side
    has nothing along them, as the gradient of what no symmetry changes; else the solve is refused.

    Parameters
    ----------
    matrix : (p, p) array
    precision : float
        Of the prior that is part of the matrix: the unit in which curvature is called flat.

    Raises
    ------
    NoEstimate
        If a direction has negative curvature: the function is at no mode.

    Examples
    --------
    >>> import numpy as np
    >>> ModeFactor(np.diag([2.0, 0.0]), 1.0).solve(np.array([1.0, 0.0])).tolist()
    [0.5, 0.0]
    """

    def __init__(self, matrix: Array, precision: float) -> None:
        values, vectors = scipy.linalg.eigh((matrix + matrix.T) / 2)
        if values[0] < -FLAT * precision:
            count = int(np.count_nonzero(values < -FLAT * precision))
            raise NoEstimate(
                f"The log-posterior bends upwards in {count:,} of {len(values):,} directions (by {-values[0]:.3g}, with a prior "
                f"precision of {precision:.3g}): the weights are at no mode, so its curvature says nothing of the "
                f"estimate's error. "
                'Fit to the end (optimizer="lbfgs" with weight_decay and more steps), or leave curvature= out: the '
                "Gauss-Newton matrix needs no mode."
            )
        curved = values > FLAT * precision
        self._values, self._vectors = values[curved], vectors[:, curved]
        self._flat, self._least = vectors[:, ~curved], FLAT * precision

    def solve(self, right: Matrix) -> Array:
        """Solution of smallest norm, (p,) or (p, q) as `right`.

        Raises
        ------
        NoEstimate
            If a right-hand side has a part in the directions without curvature.
        """
        right = dense(right).astype(float)
        columns = right[:, None] if right.ndim == 1 else right
        inside = self._vectors.T @ columns
        solved = inside / self._values[:, None]
        outside = ((self._flat.T @ columns) ** 2).sum(axis=0) / self._least
        lost = outside > MATTERS * (inside * solved).sum(axis=0)
        if lost.any():
            raise NoEstimate(
                f"{np.count_nonzero(lost):,} of {len(lost):,} quantities change along {self._flat.shape[1]:,} "
                f"directions in which the "
                "log-posterior is flat, so that nothing determines them. Fit with a larger weight_decay, or leave curvature= out."
            )
        solution = self._vectors @ solved
        return solution[:, 0] if right.ndim == 1 else solution

    def inverse_diagonal(self) -> Array:
        """Not given: the parameters are not determined one by one."""
        raise NoEstimate(
            "Along symmetries the log-posterior is flat, so single parameters have no variance. Ask for functionals: "
            "functional(...), predict(contexts, interval=0.95)."
        )

    def inverse_root(self, right: Array) -> Array:
        """Not given either."""
        return self.inverse_diagonal()
