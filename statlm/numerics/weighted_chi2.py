"""The distribution of a weighted sum of independent chi-squares of one degree of freedom."""

from __future__ import annotations

import numpy as np

from statlm.errors import NoEstimate
from statlm.numerics.types import Array

NEGLIGIBLE = 1e-12  # share of the largest weight below which a weight is rounding
TOLERANCE = 1e-10  # relative error asked of the integral
ACCEPTED = 1e-6  # relative error at which its value is still given


def weighted_chi2_sf(x: float, weights: Array) -> float:
    r"""Upper tail :math:`P(\sum_j \lambda_j Z_j^2 > x)` with independent standard normal :math:`Z_j`.

    Parameters
    ----------
    x : float
    weights : (m,) array
        The :math:`\lambda_j`, of either sign; those below 1e-12 of the largest count as 0.

    Returns
    -------
    float
        Between 0 and 1, with a relative error of about 1e-10 however far out the tail (for negative x an absolute one).

    Raises
    ------
    NoEstimate
        If a weight or x is not finite, or the integral does not converge.

    Notes
    -----
    The tail is Imhof's inversion of the characteristic function,

    .. math::

        P(Q > x) = \frac{1}{2 \pi i} \int \exp\{K(s) - s x\} \frac{ds}{s},
        \qquad K(s) = -\tfrac12 \sum_j \log(1 - 2 \lambda_j s),

    which he takes along the imaginary axis, where the integrand oscillates and tails come out as differences of numbers near
    1/2: far out they are lost in rounding, or negative. The integral is the same along every path that passes between 0 and the
    first singularity b = 1 / (2 max λ). Here it is a parabola that opens around the positive axis, through the point where the
    integrand is smallest on the way: there it falls off fast and without changes of sign to speak of (Rice 1980).

    References
    ----------
    Imhof (1961), Computing the distribution of quadratic forms in normal variables. Biometrika 48.
    Rice (1980), Distribution of quadratic forms in normal random variables: evaluation by numerical integration. SIAM Journal on
    Scientific and Statistical Computing 1.

    Examples
    --------
    >>> round(weighted_chi2_sf(3.841459, [1.0]), 6)
    0.05
    >>> round(weighted_chi2_sf(0.0, [2.0, 1.0, -1.0, -2.0]), 6)
    0.5
    """
    weights = np.atleast_1d(np.asarray(weights, float))
    if not (np.isfinite(weights).all() and np.isfinite(x)):
        raise NoEstimate(
            f"The tail of a weighted sum of chi-squares is asked for at {x} with {np.count_nonzero(~np.isfinite(weights)):,} of "
            f"{len(weights):,} weights not finite. Check the information and the scores that the weights were made of."
        )
    largest = np.abs(weights).max(initial=0.0)
    if largest == 0:
        return float(x < 0)
    weights, x = weights[np.abs(weights) > NEGLIGIBLE * largest] / largest, float(x) / largest
    if x < 0:
        return 1.0 - _upper_tail(-x, -weights)
    return _upper_tail(x, weights)


def _upper_tail(x: float, weights: Array) -> float:
    """``P(Q > x)`` for x >= 0 and weights of which the largest is 1 in size."""
    from scipy.integrate import quad
    from scipy.optimize import brentq

    if weights.max() <= 0:
        return 0.0
    barrier = 0.5 / weights.max()

    def slope(s: float) -> float:
        """Derivative of ``K(s) - s x - log s`` on the real axis: rising from -inf at 0 to inf at the barrier."""
        return float((weights / (1.0 - 2.0 * weights * s)).sum()) - x - 1.0 / s

    # Near the barrier the slope is about 1 / (2 (barrier - s)) - x, so the root is this far from it at least.
    nearest = min(0.1 * barrier, 0.1 / (x + 1.0 / barrier + np.abs(weights).sum()))
    low = 0.1 * barrier
    while slope(low) > 0:
        low *= 0.1
    centre = float(brentq(slope, low, barrier - nearest, xtol=1e-14 * barrier))
    curvature = float(2.0 * ((weights / (1.0 - 2.0 * weights * centre)) ** 2).sum()) + centre**-2
    bend, scale = 1.0 / (3.0 * (barrier - centre)), curvature**-0.5

    def exponent(s: complex) -> complex:
        return complex(-0.5 * np.log(1.0 - 2.0 * weights * s).sum() - s * x - np.log(s))

    height = exponent(complex(centre)).real

    def integrand(t: float) -> float:
        t *= scale
        s = complex(centre + bend * t * t, t)
        return float((np.exp(exponent(s) - height) * complex(2.0 * bend * t, 1.0)).imag)

    value, error = quad(integrand, 0.0, np.inf, epsabs=0.0, epsrel=TOLERANCE, limit=500, full_output=1)[:2]
    if not error <= ACCEPTED * value:
        raise NoEstimate(
            f"The integral for the tail of a weighted sum of {len(weights):,} chi-squares at {x:.4g} did not converge (value "
            f"{value:.3g}, error {error:.2g}). Simulate the sum instead: (rng.chisquare(1, (10**6, m)) @ weights > x).mean()."
        )
    return float(min(np.exp(height) * value * scale / np.pi, 1.0))
