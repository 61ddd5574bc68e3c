"""The spectrum of a matrix that is known by its products: what its traces and determinants need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from statlm.numerics.types import Array

BREAKDOWN = 1e-10  # of the norm: the Krylov space is exhausted


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of a positive semi-definite (p, p) matrix, or a quadrature of them.

    Attributes
    ----------
    values : (m,) array
        Not negative.
    weights : (m,) array
        How many eigenvalues each stands for; they sum to p.
    exact : bool
        Whether they are all the eigenvalues.
    """

    values: Array
    weights: Array
    exact: bool

    @property
    def size(self) -> float:
        """Number p of eigenvalues."""
        return float(self.weights.sum())

    def log_determinant(self, damping: float) -> float:
        """Log-determinant of the matrix plus `damping` times the identity."""
        return float(self.weights @ np.log(self.values + damping))

    def effective(self, damping: float) -> float:
        """Trace of ``H (H + damping I)^-1``: how many parameters the data determine, and not the prior (MacKay 1992)."""
        return float(self.weights @ (self.values / (self.values + damping)))


def dense_spectrum(matrix: Array) -> Spectrum:
    """All eigenvalues of a symmetric array; what rounding makes negative is 0."""
    values = np.maximum(scipy.linalg.eigvalsh(matrix), 0.0)
    return Spectrum(values, np.ones(len(values)), True)


def lanczos_spectrum(
    product: Callable[[Array], Array], size: int, rng: np.random.Generator, *, probes: int = 4, steps: int = 40
) -> Spectrum:
    """Stochastic Lanczos quadrature: the spectrum as some random vectors see it.

    Parameters
    ----------
    product : callable
        From (p, probes) to the matrix times it.
    size : int
        p.
    rng : Generator
    probes : int
        Random vectors of signs.
    steps : int
        Products; a quadrature of this many nodes for each vector is exact for polynomials up to twice the degree.

    References
    ----------
    Golub and Meurant (1994), Matrices, moments and quadrature. Ubaru, Chen and Saad (2017), Fast estimation of tr(f(A)) via
    stochastic Lanczos quadrature. SIAM Journal on Matrix Analysis 38.

    Examples
    --------
    >>> import numpy as np
    >>> found = lanczos_spectrum(lambda x: 3.0 * x, 10, np.random.default_rng(0))
    >>> round(found.log_determinant(1.0) - 10 * float(np.log(4.0)), 6) + 0.0
    0.0
    """
    steps = min(steps, size)
    vectors = [rng.choice([-1.0, 1.0], size=(size, probes)) / np.sqrt(size)]
    alphas, betas = np.zeros((steps, probes)), np.zeros((steps, probes))
    alive = np.full(probes, steps)
    for k in range(steps):
        image = product(vectors[k])
        alphas[k] = (vectors[k] * image).sum(axis=0)
        for _ in range(2):  # orthogonal to all before, to working precision
            for before in vectors:
                image -= before * (before * image).sum(axis=0)
        betas[k] = np.linalg.norm(image, axis=0)
        ended = betas[k] <= BREAKDOWN * max(float(np.abs(alphas[: k + 1]).max()), 1e-300)
        alive = np.where(ended, np.minimum(alive, k + 1), alive)
        if ended.all():
            break
        vectors.append(np.where(ended, 0.0, image / np.where(ended, 1.0, betas[k])))
    values, weights = [], []
    for j in range(probes):
        m = int(alive[j])
        nodes, inner = scipy.linalg.eigh_tridiagonal(alphas[:m, j], betas[: m - 1, j])
        values.append(np.maximum(nodes, 0.0))
        weights.append(inner[0] ** 2 * size / probes)
    return Spectrum(np.concatenate(values), np.concatenate(weights), False)
