"""The second derivative of a network's log-likelihood, (p, p), as products only: for a network at the mode of its posterior."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg

from statlm.networks.curvature_operator import GaussNewton
from statlm.networks.derivatives import Derivatives
from statlm.numerics.damped import LOOSEST, SMALL, Damped, OperatorFactor
from statlm.numerics.mode_factor import ModeFactor
from statlm.numerics.spectrum import Spectrum
from statlm.numerics.types import Array


class SecondDerivative(scipy.sparse.linalg.LinearOperator):  # type: ignore[misc]  # scipy has no types
    r"""Minus the second derivative, :math:`\sum_i G_i' (\mathrm{diag}\, p_i - p_i p_i') G_i - \sum_{iv} r_{iv} \nabla^2 z_{iv}`.

    The first sum is the Gauss-Newton matrix; in the second, :math:`r` are the residuals and :math:`z` the logits. It
    vanishes in expectation where the model is right, and moves the estimate all the same: what leaving out a
    document does is told
    by both. Positive semi-definite at a mode only, once the precision of the prior is added.

    Parameters
    ----------
    derivatives : Derivatives
    scale : float
        Number of all observations over those that are read.

    References
    ----------
    Pearlmutter (1994), Fast exact multiplication by the Hessian. Neural Computation 6. Bae, Ng, Lo, Ghassemi and
    Grosse (2022), If influence functions are the answer, then what is the question? NeurIPS.
    """

    def __init__(self, derivatives: Derivatives, scale: float = 1.0) -> None:
        p = derivatives.nweights
        super().__init__(derivatives.dtype, (p, p))
        self.derivatives = derivatives
        self.scale = scale
        self._damped: dict[bytes, DampedAtMode] = {}

    def __add__(self, other: Any) -> Any:
        """The sum with a diagonal matrix, which remembers what it has solved; with others as of any operator."""
        if not (sparse.issparse(other) and other.format == "dia"):
            return super().__add__(other)
        key = other.diagonal().tobytes()
        if key not in self._damped:
            self._damped[key] = DampedAtMode(self, other.diagonal(), self.gauss_newton.kronecker.preconditioner)
        return self._damped[key]

    def _matmat(self, directions: Array) -> Array:
        return self.scale * self.derivatives.twice(np.asarray(directions, float))

    def _matvec(self, direction: Array) -> Array:
        return self._matmat(np.asarray(direction).reshape(-1, 1))[:, 0]

    def _adjoint(self) -> SecondDerivative:
        return self

    def _transpose(self) -> SecondDerivative:
        return self

    @cached_property
    def gauss_newton(self) -> GaussNewton:
        """The part of it that is positive semi-definite everywhere."""
        return GaussNewton(self.derivatives, self.scale)

    @property
    def spectrum(self) -> Spectrum:
        """That of the Gauss-Newton part, from which effective parameters are counted."""
        return self.gauss_newton.spectrum


class DampedAtMode(Damped):
    """A `SecondDerivative` plus the precision of a prior."""

    @cached_property
    def factor(self) -> Any:
        """By eigenvectors where it is small, which tells a mode from a saddle; else by conjugate gradients.

        Those stop before directions that are flat, where rounding is all there is, have their say.
        """
        p = self.shape[0]
        if p <= SMALL:
            return ModeFactor(self.matmat(np.eye(p)), float(self.diagonal.max()))
        given = self.preconditioner
        return OperatorFactor(self, None if given is None else lambda: given(self.diagonal), LOOSEST)
