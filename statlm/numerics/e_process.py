"""E-processes for a mean: what a bettor against it would have won, which under the null is large with small probability."""

from __future__ import annotations

import numpy as np

from statlm.numerics.types import Array

STAKES = 2.0 ** -np.arange(10)  # shares of the largest stake that can be bet


def betting(x: Array, means: Array, bound: float) -> Array:
    r"""Capital of bettors that the mean of bounded values is not m.

    Each bets a constant stake, :math:`\prod_i (1 + \lambda (x_i - m))`, with stakes that cannot lose everything; the result is
    the mean over stakes of both signs.

    Parameters
    ----------
    x : (n,) array
        Within [-bound, bound].
    means : (q,) array
        The m, strictly inside.
    bound : float

    Returns
    -------
    (n, q) array
        After each value. If the conditional mean given the past is m, a nonnegative martingale that starts from 1.

    References
    ----------
    Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting. JRSS B 86.

    Examples
    --------
    >>> betting(np.array([0.5, 0.5]), np.array([0.0]), 1.0).round(3).ravel().tolist()
    [1.0, 1.033]
    """
    capital = np.zeros((len(x), len(means)))
    for stake in STAKES:
        for way, room in ((1.0, bound + means), (-1.0, bound - means)):  # the most that x - m can be against the bet
            rate = way * 0.99 * stake / room
            capital += np.exp(np.minimum(np.cumsum(np.log1p(rate * (x[:, None] - means)), axis=0), 700.0))
    capital /= 2 * len(STAKES)
    return capital


def symmetric(x: Array, means: Array, scale: float) -> Array:
    r"""Evidence that values are not symmetric about m, self-normalised.

    With :math:`z_i = x_i - m` over the root mean square of the earlier ones,
    :math:`\exp(\lambda \sum z - \lambda^2 \sum z^2 / 2)` is a supermartingale where each :math:`z_i` is symmetric about 0 given
    the past; :math:`\lambda` is integrated over a normal density of variance ``1 / scale``. The first value only sets the scale.

    Parameters
    ----------
    x : (n,) array
    means : (q,) array
    scale : float
        Positive; about the number of values for which it is sharpest, over 6.

    Returns
    -------
    (n, q) array

    References
    ----------
    de la Peña (1999), A general class of exponential inequalities for martingales and ratios. Annals of Probability 27. Robbins
    (1970) for the mixture.
    """
    z = x[:, None] - means
    before = np.sqrt(np.cumsum(z**2, axis=0)[:-1] / np.arange(1, len(x))[:, None])
    ratio = np.zeros_like(z)
    ratio[1:] = np.where(before > 0, z[1:] / np.where(before > 0, before, 1.0), 0.0)
    total, square = np.cumsum(ratio, axis=0), np.cumsum(ratio**2, axis=0)
    result: Array = np.exp(np.minimum(total**2 / (2 * (scale + square)), 700.0)) * np.sqrt(scale / (scale + square))
    return result


def normal_mixture(x: Array, means: Array, scale: float) -> Array:
    r"""Robbins's normal mixture with an estimated variance: an e-process for long sequences only.

    Parameters
    ----------
    x : (n,) array
    means : (q,) array
    scale : float
        Positive; as of `symmetric`.

    Returns
    -------
    (n, q) array
        1 where fewer than two values, or values without variance, give no standard deviation.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Time-uniform central limit theory and asymptotic confidence sequences.
    Annals of Statistics 52.
    """
    n = np.arange(1, len(x) + 1)
    mean = np.cumsum(x) / n
    variance = np.maximum(np.cumsum(x**2) / n - mean**2, 0.0) * n / np.maximum(n - 1, 1)
    known = (n > 1) & (variance > 1e-24 * np.maximum(mean**2, 1e-300))
    t2 = (n[:, None] * (mean[:, None] - means)) ** 2 / np.where(known, variance, 1.0)[:, None]
    total = scale + n[:, None]
    capital = np.exp(np.minimum(t2 / (2 * total), 700.0)) * np.sqrt(scale / total)
    return np.where(known[:, None], capital, 1.0)
