"""The information of a network, (p, p), as products only."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg

from statlm.errors import NoEstimate
from statlm.networks.derivatives import Derivatives
from statlm.networks.kronecker import Kronecker
from statlm.numerics.damped import SMALL, Damped
from statlm.numerics.repeated_rows import dense
from statlm.numerics.spectrum import Spectrum, dense_spectrum, lanczos_spectrum
from statlm.numerics.types import Array, Matrix


class GaussNewton(scipy.sparse.linalg.LinearOperator):  # type: ignore[misc]  # scipy has no types
    r"""The Gauss-Newton matrix :math:`\sum_i G_i' (\mathrm{diag}\, p_i - p_i p_i') G_i`, which is Fisher's information.

    :math:`G_i` is the Jacobian of the logits of observation i. Positive semi-definite, unlike the second derivative, which it
    equals in expectation where the model is right.

    Parameters
    ----------
    derivatives : Derivatives
        Over all observations, or over some of the windows.
    scale : float
        Number of all observations over those that are read.

    References
    ----------
    Schraudolph (2002), Fast curvature matrix-vector products. Neural Computation 14. Martens (2020), New insights
    and perspectives on the natural gradient method. JMLR 21.
    """

    def __init__(self, derivatives: Derivatives, scale: float = 1.0) -> None:
        p = derivatives.nweights
        super().__init__(derivatives.dtype, (p, p))
        self.derivatives = derivatives
        self.scale = scale
        self._damped: dict[bytes, Damped] = {}

    def __add__(self, other: Any) -> Any:
        """The sum with a diagonal matrix, which remembers what it has solved; with others as of any operator."""
        if not (sparse.issparse(other) and other.format == "dia"):
            return super().__add__(other)
        diagonal = other.diagonal()
        key = diagonal.tobytes() if (diagonal != diagonal[0]).any() else diagonal[:1].tobytes()
        if key not in self._damped:
            self._damped[key] = Damped(self, diagonal, self._preconditioner)
        return self._damped[key]

    def _matmat(self, directions: Array) -> Array:
        directions = np.asarray(directions, float)
        if "_written" in self.__dict__ or self.shape[0] <= min(SMALL, directions.shape[1]):
            return np.asarray(self._written @ directions)
        return self.scale * self.derivatives.curved(directions)

    @cached_property
    def _written(self) -> Array:
        """The matrix itself, once as many products are asked as would make it."""
        return self.scale * self.derivatives.curved(np.eye(self.shape[0]))

    def _matvec(self, direction: Array) -> Array:
        return self._matmat(np.asarray(direction).reshape(-1, 1))[:, 0]

    def _adjoint(self) -> GaussNewton:
        return self

    def _transpose(self) -> GaussNewton:
        return self

    def _preconditioner(self, damping: Array) -> Callable[[Array], Array]:
        """From (p, q) to about the damped inverse times it."""
        return self.kronecker.preconditioner(damping)

    @cached_property
    def kronecker(self) -> Kronecker:
        """The curvature layer by layer, for preconditioning."""
        return Kronecker.of(self.derivatives, self.scale)

    @cached_property
    def spectrum(self) -> Spectrum:
        """All eigenvalues of a small matrix; a quadrature of them by Lanczos's method of a large one."""
        p = self.shape[0]
        if p <= SMALL:
            return dense_spectrum(self.matmat(np.eye(p)))
        return lanczos_spectrum(self.matmat, p, np.random.default_rng(0))


class KroneckerInformation(scipy.sparse.linalg.LinearOperator):  # type: ignore[misc]  # scipy has no types
    """The curvature layer by layer in place of the Gauss-Newton matrix: an approximation whose inverse costs nothing.

    Layers are taken as independent, and inputs and output gradients of each as well (Martens and Grosse 2015): so for influence
    functions of large language models (Grosse et al. 2023).

    Parameters
    ----------
    derivatives : Derivatives
    scale : float

    References
    ----------
    Martens and Grosse (2015), Optimizing neural networks with Kronecker-factored approximate curvature. ICML. Grosse
    et al. (2023), Studying large language model generalization with influence functions.
    """

    def __init__(self, derivatives: Derivatives, scale: float = 1.0) -> None:
        p = derivatives.nweights
        super().__init__(np.float64, (p, p))
        self.derivatives = derivatives
        self.kronecker = Kronecker.of(derivatives, scale)
        self._damped: dict[bytes, DirectlyDamped] = {}

    def _matmat(self, directions: Array) -> Array:
        return self.kronecker.product(np.asarray(directions, float))

    def _matvec(self, direction: Array) -> Array:
        return self._matmat(np.asarray(direction).reshape(-1, 1))[:, 0]

    def _adjoint(self) -> KroneckerInformation:
        return self

    def _transpose(self) -> KroneckerInformation:
        return self

    def __add__(self, other: Any) -> Any:
        """The sum with a diagonal matrix, which is solved directly."""
        if not (sparse.issparse(other) and other.format == "dia"):
            return super().__add__(other)
        key = other.diagonal().tobytes()
        if key not in self._damped:
            self._damped[key] = DirectlyDamped(self, other.diagonal())
        return self._damped[key]

    @cached_property
    def spectrum(self) -> Spectrum:
        """Its eigenvalues."""
        values = self.kronecker.eigenvalues
        return Spectrum(values, np.ones(len(values)), True)


class DirectlyDamped(Damped):
    """A `KroneckerInformation` plus a diagonal; both matrix and factor."""

    def __init__(self, operator: KroneckerInformation, diagonal: Array) -> None:
        super().__init__(operator, diagonal)
        self._inverse = operator.kronecker.preconditioner(self.diagonal)

    @cached_property
    def factor(self) -> Any:
        """Itself."""
        return self

    def solve(self, right: Matrix) -> Array:
        """Solution, (p,) or (p, q) as `right`."""
        right = dense(right).astype(float)
        return self._inverse(right[:, None])[:, 0] if right.ndim == 1 else self._inverse(right)

    def inverse_diagonal(self) -> Array:
        """Not given: errors are of functionals."""
        raise NoEstimate(
            "The approximation of the curvature by layers is for functionals, and has no table of weights. Ask for "
            "functional(...) or "
            "predict(contexts, interval=0.95)."
        )

    def inverse_root(self, right: Array) -> Array:
        """Not given."""
        return self.inverse_diagonal()
