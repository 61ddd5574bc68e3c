"""The distribution of a weighted sum of independent chi-squares of one degree of freedom."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from statlm.errors import NoEstimate
from statlm.numerics.types import Array

NEGLIGIBLE = 1e-12  # share of the largest weight below which a weight is rounding
TOLERANCE = 1e-10  # relative error asked of the integral
SMALLEST = 1e-100  # in units of the largest weight: nearer to 0 is 0
UNDERFLOW = -745.0  # exp() of less is 0
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
        Between 0 and 1. The smaller of the two tails has a relative error of about 1e-10, however far out it is.

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

    which he takes along the imaginary axis, where the integrand oscillates, and tails come out as differences of numbers near
    1/2: far out they are lost in rounding, or negative. The integral is the same along every path between the same
    singularities. Here it is a parabola that opens to the right, through the point of the real axis where the integrand is
    smallest: from there it falls, nearly without oscillation (Rice 1980). Below the mean the path passes on the other side of 0,
    which gives the lower tail.

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
    x = x if abs(x) > SMALLEST else 0.0
    if x < 0:
        return 1.0 - _tail(-x, -weights, True) if -x > -weights.sum() else _tail(-x, -weights, False)
    return _tail(x, weights, True) if x > weights.sum() else 1.0 - _tail(x, weights, False)


def _tail(x: float, weights: Array, upper: bool) -> float:
    """``P(Q > x)`` or ``P(Q < x)`` for x >= 0 and weights of which the largest is 1 in size."""
    from scipy.integrate import quad

    if (upper and weights.max() <= 0) or (not upper and x == 0 and weights.min() >= 0):
        return 0.0
    if upper:
        inside = 0.45 / weights.max()  # Chernoff's bound there
        if -0.5 * np.log1p(-2.0 * weights * inside).sum() - inside * x < UNDERFLOW:
            return 0.0
    centre = _saddlepoint(x, weights, upper)
    barrier = 0.5 / weights.max() if upper else 0.0
    scale = float(2.0 * ((weights / (1.0 - 2.0 * weights * centre)) ** 2).sum() + centre**-2) ** -0.5

    def exponent(s: Array) -> Array:
        """Logarithm of the integrand at complex points; the tail below comes with -s for s."""
        terms = np.log(1.0 - 2.0 * weights * s[..., None]).sum(axis=-1)
        return -0.5 * terms - s * x - np.log(s if upper else -s)

    height = float(exponent(np.array(complex(centre))).real)
    bend = _bend(lambda s: exponent(s).real, centre, scale, 1.0 / (3.0 * (barrier - centre)))

    def integrand(t: float) -> float:
        t *= scale
        s = np.array(complex(centre + bend * t * t, t))
        return float((np.exp(exponent(s) - height) * complex(2.0 * bend * t, 1.0)).imag)

    value, error = quad(integrand, 0.0, np.inf, epsabs=0.0, epsrel=TOLERANCE, limit=500, full_output=1)[:2]
    if not error <= ACCEPTED * value:
        raise NoEstimate(
            f"The integral for the tail of a weighted sum of {len(weights):,} chi-squares at {x:.4g} did not converge (value "
            f"{value:.3g}, error {error:.2g}). Simulate the sum instead: (rng.chisquare(1, (10**6, m)) @ weights > x).mean()."
        )
    return float(min(np.exp(height) * value * scale / np.pi, 1.0))


def _saddlepoint(x: float, weights: Array, upper: bool) -> float:
    """Where ``K(s) - s x - log|s|``, which is convex, is smallest: between 0 and the first singularity on its side."""
    from scipy.optimize import brentq

    def slope(s: float) -> float:
        return float((weights / (1.0 - 2.0 * weights * s)).sum()) - x - 1.0 / s

    sign = 1.0 if upper else -1.0
    widest = float((sign * weights).max())
    near = 0.1
    while sign * slope(sign * near) > 0:
        near *= 0.1
    if widest > 0:
        barrier = 0.5 / widest
        near, gap = min(near, 0.1 * barrier), 0.1 * barrier
        while sign * slope(sign * near) > 0:
            near *= 0.1
        while sign * slope(sign * (barrier - gap)) < 0:
            gap *= 0.1
        far = barrier - gap
    else:
        far = 1.0
        while sign * slope(sign * far) < 0:
            far *= 10.0
    return float(brentq(slope, sign * near, sign * far, xtol=1e-300, rtol=1e-13))


def _bend(size: Callable[[Array], Array], centre: float, scale: float, start: float) -> float:
    """The strongest curvature of the path, at most `start`, along which the integrand only falls; 0 always does."""
    t = scale * np.geomspace(1e-2, 1e8, 400)
    bend = start
    for _ in range(20):
        if (np.diff(size(centre + bend * t**2 + 1j * t)) <= 0).all():
            return bend
        bend *= 0.3
    return 0.0
