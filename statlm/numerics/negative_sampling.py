"""Negative sampling with the samples replaced by their expectation: a weighted logistic regression of low rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
from scipy.special import expit, log_expit

from statlm.numerics.types import Array


@dataclass(frozen=True, eq=False)
class Sampled:
    """Where the objective is highest.

    Attributes
    ----------
    centres, neighbours : (V, r) arrays
        Vectors of tokens in either role.
    objective : float
        Nats, with the penalty.
    iterations : int
    converged : bool
    gradient : float
        Largest entry of the gradient a pair.
    """

    centres: Array
    neighbours: Array
    objective: float
    iterations: int
    converged: bool
    gradient: float


def objective(logits: Array, positive: Array, negative: Array) -> float:
    """Sum of ``n log sigma(s) + m log sigma(-s)`` over all pairs of tokens, nats.

    Parameters
    ----------
    logits : (V, V) array
        s.
    positive, negative : (V, V) arrays
        n, how often a pair occurs, and m, how often it is drawn as a false one in expectation.
    """
    return float((positive * log_expit(logits)).sum() + (negative * log_expit(-logits)).sum())


def maximise(
    positive: Array, negative: Array, rank: int, ridge: float, *, tolerance: float = 1e-7, iterations: int = 2000
) -> Sampled:
    """Vectors at the maximum of the objective of `objective` at their inner products, less a ridge, by L-BFGS.

    From the singular value decomposition of the unrestricted maximum ``log(n / m)``, clipped: so nothing is random.

    Parameters
    ----------
    positive, negative : (V, V) arrays
    rank : int
    ridge : float
        Precision of a normal prior on every number.
    tolerance : float
        Of the gradient, a pair.
    iterations : int
        At most.
    """
    size, total = len(positive), float(positive.sum())
    with np.errstate(divide="ignore"):
        ratio = np.clip(np.log(positive) - np.log(negative), -2.0, None)
    left, values, right = np.linalg.svd(ratio, full_matrices=False)
    root = np.sqrt(values[:rank])
    start = np.concatenate([(left[:, :rank] * root).ravel(), (right[:rank].T * root).ravel()])

    def cost(flat: Array) -> tuple[float, Array]:
        centres, neighbours = flat.reshape(2, size, rank)
        logits = centres @ neighbours.T
        slope = positive - (positive + negative) * expit(logits)  # (V, V)
        value = objective(logits, positive, negative) - 0.5 * ridge * float(flat @ flat)
        gradient = np.concatenate([(slope @ neighbours).ravel(), (slope.T @ centres).ravel()]) - ridge * flat
        return -value / total, -gradient / total

    found = scipy.optimize.minimize(
        cost,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "maxfun": 2 * iterations, "gtol": tolerance, "ftol": 0.0},
    )
    centres, neighbours = found.x.reshape(2, size, rank)
    gradient = float(np.abs(found.jac).max())
    return Sampled(centres, neighbours, -found.fun * total, int(found.nit), gradient <= 10 * tolerance, gradient)
