"""Maximum-likelihood weights of a mixture of fixed components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.errors import NoEstimate
from statlm.numerics.types import Array

GAIN = 1e-10  # nats a row that another mixture could gain at most, where the iterations stop
MAX_CYCLES = 20_000
NOTHING = 1e-6  # weight that may be set to 0 if the maximum stays


@dataclass(frozen=True, eq=False)
class MixtureWeights:
    """The maximum.

    Attributes
    ----------
    weights : (k,) array
    loglike : float
        Log-likelihood of the mixture, nats.
    ratios : (k,) array
        Mean over rows of the component's probability to the mixture's; at the maximum none is above 1.
    path : (cycles + 1,) array
        Log-likelihood after each cycle, never falling.
    """

    weights: Array
    loglike: float
    ratios: Array
    path: Array


def mixture_weights(logs: Array) -> MixtureWeights:
    r"""Weights that maximise :math:`\sum_i \log \sum_k w_k e^{l_{ik}}` by the EM algorithm.

    A step multiplies each weight by its ratio :math:`g_k = n^{-1} \sum_i p_{ik} / \sum_j w_j p_{ij}`. The objective is concave,
    so no mixture is better by more than :math:`\max_k g_k - 1` a row: where that is small the iterations stop. Two steps are
    extrapolated (SQUAREM) where that climbs higher.

    Parameters
    ----------
    logs : (n, k) array
        Log-probabilities; ``-inf`` allowed, but not in a whole row.

    Raises
    ------
    NoEstimate
        If the iterations do not converge.

    References
    ----------
    Dempster, Laird and Rubin (1977). Varadhan and Roland (2008), Simple and globally convergent methods for accelerating the
    convergence of any EM algorithm. Scandinavian Journal of Statistics 35.

    Examples
    --------
    >>> import numpy as np
    >>> mixture_weights(np.log([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])).weights.round(4).tolist()
    [0.7083, 0.2917]
    """
    top = logs.max(axis=1)
    p = np.exp(logs - top[:, None])  # each row's largest is 1, so no row underflows as a whole
    n, k = p.shape

    def evaluate(w: Array) -> tuple[float, Array]:
        mixed = p @ w
        if not (mixed > 0).all():
            return -np.inf, np.zeros(k)
        return float(np.log(mixed).sum()), (1.0 / mixed) @ p / n

    w = np.full(k, 1.0 / k)
    value, ratios = evaluate(w)
    path = [value]
    for _ in range(MAX_CYCLES):
        if ratios.max() - 1.0 <= GAIN:
            break
        once = w * ratios
        twice = once * evaluate(once)[1]
        change, bend = once - w, twice - 2.0 * once + w
        w, stepped = twice / twice.sum(), twice
        best = evaluate(w)
        if (length := float(np.linalg.norm(bend))) > 0:
            stride = max(float(np.linalg.norm(change)) / length, 1.0)
            stepped = once - change + 2.0 * stride * change + stride**2 * bend
            if (stepped > 0).all():  # a weight of exactly 0 would stay there
                further = stepped / stepped.sum()
                there = evaluate(further)
                if there[0] > best[0]:
                    w, best = further, there
        value, ratios = best
        path.append(value)
    else:
        raise NoEstimate(
            f"The weights of {k} components did not converge in {MAX_CYCLES:,} cycles: another mixture could still gain "
            f"{ratios.max() - 1.0:.2g} nats a row ({GAIN:g} is asked). Leave out components that are nearly the same."
        )
    kept = np.where((w < NOTHING) & (ratios < 1.0), 0.0, w)
    if (kept != w).any():
        kept /= kept.sum()
        there = evaluate(kept)
        if there[0] >= value - n * GAIN and there[1].max() - 1.0 <= 1e3 * GAIN:
            w, (value, ratios) = kept, there
    return MixtureWeights(w, value + float(top.sum()), ratios, np.array(path) + float(top.sum()))
