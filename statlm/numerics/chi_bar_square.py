"""The distribution of a likelihood ratio whose null hypothesis lies on the boundary: a mixture of chi-squares."""

from __future__ import annotations

import numpy as np

from statlm.errors import NoEstimate
from statlm.numerics.types import Array

DRAWS = 20_000  # for the weights of more than two parameters; a p-value is then good to about 1 % of itself


def project(z: Array, covariance: Array) -> tuple[Array, Array]:
    r"""The nearest points of the positive orthant, by the distance :math:`(z - b)' C^{-1} (z - b)`.

    Parameters
    ----------
    z : (R, k) array
    covariance : (k, k) array C

    Returns
    -------
    points : (R, k) array
    squares : (R,) array
        Squared length :math:`b' C^{-1} b` of each point.
    """
    from scipy.linalg import solve_triangular
    from scipy.optimize import nnls

    root = np.linalg.cholesky(covariance)
    design = solve_triangular(root, np.eye(len(root)), lower=True)
    points = np.stack([nnls(design, row)[0] for row in np.atleast_2d(z) @ design.T])
    return points, ((points @ design.T) ** 2).sum(axis=1)


def chi_bar_weights(covariance: Array) -> Array:
    r"""Weights of chi-squares with 0, ..., k degrees of freedom for testing that k non-negative parameters are 0.

    Weight j is the probability that the projection of a normal vector with this covariance onto the positive orthant has j
    positive coordinates. Closed for k of 1 and 2, simulated beyond.

    Parameters
    ----------
    covariance : (k, k) array
        Of the estimates if there were no boundary, up to a factor.

    References
    ----------
    Shapiro (1985), Asymptotic distribution of test statistics in the analysis of moment structures under inequality constraints.
    Biometrika 72. Silvapulle and Sen (2005), Constrained statistical inference, section 3.5.

    Examples
    --------
    >>> chi_bar_weights(np.eye(2)).tolist()
    [0.25, 0.5, 0.25]
    """
    k = len(covariance)
    if k == 1:
        return np.array([0.5, 0.5])
    if k == 2:
        correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        none = float(np.arccos(np.clip(correlation, -1.0, 1.0)) / (2 * np.pi))
        return np.array([none, 0.5, 0.5 - none])
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((DRAWS, k)) @ np.linalg.cholesky(covariance).T
    points, _ = project(draws, covariance)
    return np.bincount((points > 1e-12).sum(axis=1), minlength=k + 1) / DRAWS


def chi_bar_sf(statistic: float, weights: Array) -> float:
    """Upper tail of the mixture of chi-squares; 1 at a statistic of 0.

    Examples
    --------
    >>> round(chi_bar_sf(2.705543, np.array([0.5, 0.5])), 6)
    0.05
    """
    from scipy.stats import chi2

    if not np.isfinite(statistic):
        raise NoEstimate(f"The statistic is {statistic}, which has no p-value. Check the probabilities that it was made of.")
    if statistic <= 0:
        return 1.0
    return float(weights[1:] @ chi2.sf(statistic, np.arange(1, len(weights))))
