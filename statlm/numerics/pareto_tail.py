"""Pareto smoothing of importance weights: how far draws from an approximation can be trusted, and weights that mend them."""

from __future__ import annotations

import numpy as np

from statlm.numerics.types import Array

SHORTEST_TAIL = 5  # weights from which a tail is fitted
PRIOR_SHARE = 10  # pseudo-observations that pull k towards 1/2


def pareto_smoothed(log_weights: Array) -> tuple[Array, float]:
    r"""Importance weights whose largest are replaced by order statistics of a generalised Pareto distribution.

    Parameters
    ----------
    log_weights : (S,) array
        Logarithms of ratios of target to proposal, up to a constant; ``-inf`` where the target is 0.

    Returns
    -------
    smoothed : (S,) array
        Logarithms of weights that sum to 1.
    k : float
        Shape of the tail: above 0.7 the weights do not mend the approximation, whatever the number of draws. Not a number
        where there are too few draws in the tail to tell.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling. JMLR 25. Zhang and Stephens (2009), A
    new and efficient estimation method for the generalized Pareto distribution. Technometrics 51.

    Examples
    --------
    >>> smoothed, k = pareto_smoothed(np.log(np.random.default_rng(0).exponential(size=4000)))
    >>> round(float(np.exp(smoothed).sum()), 12), bool(k < 0.5)
    (1.0, True)
    """
    values = np.asarray(log_weights, float) - np.max(log_weights)
    size = len(values)
    length = int(np.ceil(min(0.2 * size, 3.0 * np.sqrt(size))))
    order = np.argsort(values, kind="stable")
    smoothed, k = values.copy(), np.nan
    if SHORTEST_TAIL <= length < size:
        tail, cutoff = order[-length:], max(values[order[-length - 1]], np.log(np.finfo(float).tiny))
        excess = np.exp(values[tail]) - np.exp(cutoff)
        if excess[-1] > 0:
            k, scale = _fit(np.maximum(excess, 0.0))
            quantiles = (np.arange(length) + 0.5) / length
            smoothed[tail] = np.minimum(np.log(_quantile(quantiles, k, scale) + np.exp(cutoff)), 0.0)
        else:
            k = -np.inf  # all weights of the tail are equal
    smoothed -= np.log(np.exp(smoothed).sum())
    return smoothed, float(k)


def _fit(x: Array) -> tuple[float, float]:
    """Shape and scale of the generalised Pareto distribution of sorted excesses (Zhang and Stephens), k drawn towards 1/2."""
    n = len(x)
    grid = 30 + int(np.sqrt(n))
    quartile = max(x[int(n / 4 + 0.5) - 1], np.finfo(float).tiny)
    b = 1.0 / x[-1] + (1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3.0 * quartile)
    shape = np.log1p(-b[:, None] * x).mean(axis=1)
    profile = n * (np.log(-b / shape) - shape - 1.0)
    weight = np.exp(profile - profile.max())
    mean = float((b * weight).sum() / weight.sum())
    k = float(np.log1p(-mean * x).mean())
    scale = -k / mean
    return (n * k + PRIOR_SHARE * 0.5) / (n + PRIOR_SHARE), scale


def _quantile(probability: Array, k: float, scale: float) -> Array:
    """Quantiles of the generalised Pareto distribution."""
    if abs(k) < 1e-12:
        return -scale * np.log1p(-probability)
    return scale * np.expm1(-k * np.log1p(-probability)) / k
