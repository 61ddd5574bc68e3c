"""The precision of a normal prior under which an estimate is most probable, by Laplace's method."""

from __future__ import annotations

import numpy as np

from statlm.numerics.spectrum import Spectrum
from statlm.numerics.types import Array

GRID = np.logspace(-6, 6, 97)


def log_evidence(spectrum: Spectrum, squared_norm: float, precision: float) -> float:
    r"""Laplace's log marginal likelihood, but for what does not depend on the precision.

    .. math:: -\tfrac{\lambda}{2} \lVert \theta \rVert^2 + \tfrac{p}{2} \log \lambda - \tfrac12 \log \det (H + \lambda I)

    Parameters
    ----------
    spectrum : Spectrum
        Of H.
    squared_norm : float
        Of the parameters from the prior's mean.
    precision : float

    References
    ----------
    MacKay (1992), A practical Bayesian framework for backpropagation networks. Neural Computation 4.
    """
    p = spectrum.size
    return -0.5 * precision * squared_norm + 0.5 * p * np.log(precision) - 0.5 * spectrum.log_determinant(precision)


def best_precision(spectrum: Spectrum, squared_norm: float) -> float:
    r"""The precision of largest evidence: where :math:`\lambda \lVert\theta\rVert^2` is the effective number of parameters.

    Examples
    --------
    Two parameters that the data know well, of squared length 8 together:

    >>> round(best_precision(Spectrum(np.array([1e6, 1e6]), np.ones(2), True), 8.0), 4)
    0.25
    """
    values = np.array([log_evidence(spectrum, squared_norm, precision) for precision in GRID])
    best = int(np.argmax(values))
    if best in (0, len(GRID) - 1):
        return float(GRID[best])
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda x: -log_evidence(spectrum, squared_norm, float(np.exp(x))),
        bounds=(np.log(GRID[best - 1]), np.log(GRID[best + 1])),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def evidence_curve(spectrum: Spectrum, squared_norm: float, precisions: Array) -> tuple[Array, Array]:
    """Log-evidence, and effective number of parameters, at each precision."""
    evidence = np.array([log_evidence(spectrum, squared_norm, float(x)) for x in precisions])
    effective = np.array([spectrum.effective(float(x)) for x in precisions])
    return evidence, effective
