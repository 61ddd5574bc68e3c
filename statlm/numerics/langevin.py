"""Markov chains that follow a gradient: exact ones with a Metropolis step, and stochastic ones for large models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from statlm.numerics.types import Array

TARGET_ACCEPTANCE = 0.574  # optimal for Langevin proposals (Roberts and Rosenthal 1998)

LogDensity = Callable[[Array], tuple[float, float, Array]]


@dataclass(frozen=True, eq=False)
class Chains:
    """What chains visited.

    Attributes
    ----------
    values : (C, T) array
        The quantity that is averaged, a row a chain.
    acceptance : float
        Share of proposals accepted after warm-up; 1 where there is no Metropolis step.
    """

    values: Array
    acceptance: float


def mala(
    target: LogDensity, start: Array, precision: Array, *, draws: int, warmup: int, chains: int, rng: np.random.Generator
) -> Chains:
    r"""Metropolis-adjusted Langevin chains, with the inverse of `precision` as their metric.

    The proposal is :math:`w' = w + \tfrac{\epsilon^2}{2} M^{-1} \nabla U(w) + \epsilon M^{-1/2} z`. The step is adapted during
    warm-up, by dual averaging, and fixed afterwards.

    Parameters
    ----------
    target : callable
        Of (p,) parameters: the log-density up to a constant (``-inf`` outside of the space), the value to keep, the gradient.
    start : (p,) array
        Chains start at normal draws around it, with covariance the inverse of `precision`, where these lie in the space.
    precision : (p, p) array
        Positive definite: about minus the second derivative of the log-density.
    draws, warmup, chains : int
    rng : numpy Generator

    Raises
    ------
    numpy.linalg.LinAlgError
        If `precision` is not positive definite.

    References
    ----------
    Roberts and Rosenthal (1998), Optimal scaling of discrete approximations to Langevin diffusions. JRSS B 60. Hoffman and Gelman
    (2014), The No-U-Turn sampler, section 3.2, JMLR 15.
    """
    factor = scipy.linalg.cholesky(precision, lower=True)
    p = len(start)

    def moved(v: Array) -> Array:
        return start + scipy.linalg.solve_triangular(factor, v, lower=True, trans="T", check_finite=False)

    def whitened(v: Array) -> tuple[float, float, Array]:
        density, value, gradient = target(moved(v))
        return density, value, scipy.linalg.solve_triangular(factor, gradient, lower=True, check_finite=False)

    values = np.empty((chains, draws))
    accepted = 0
    for chain in range(chains):
        v = rng.standard_normal(p)
        here = whitened(v)
        for _ in range(100):  # nearer and nearer to the start, which lies in the space
            if np.isfinite(here[0]):
                break
            v = 0.7 * v
            here = whitened(v)
        step = _DualAveraging(1.0 / p ** (1 / 6))
        for t in range(-warmup, draws):
            epsilon = step.epsilon if t < 0 else step.settled
            noise = rng.standard_normal(p)
            proposal = v + 0.5 * epsilon**2 * here[2] + epsilon * noise
            there = whitened(proposal)
            ratio = -np.inf
            if np.isfinite(there[0]):
                back = (v - proposal - 0.5 * epsilon**2 * there[2]) / epsilon
                ratio = there[0] - here[0] - 0.5 * float(back @ back) + 0.5 * float(noise @ noise)
            probability = float(np.exp(min(ratio, 0.0)))
            if rng.random() < probability:
                v, here = proposal, there
                accepted += t >= 0
            if t < 0:
                step.update(probability)
            else:
                values[chain, t] = here[1]
    return Chains(values, accepted / (chains * draws))


class _DualAveraging:
    """Step size that drives the rate of acceptance to its target (Hoffman and Gelman 2014, algorithm 5)."""

    def __init__(self, epsilon: float) -> None:
        self.epsilon = self.settled = epsilon
        self._centre = np.log(2.0 * epsilon)
        self._count, self._error = 0, 0.0

    def update(self, probability: float) -> None:
        self._count += 1
        weight = 1.0 / (self._count + 10)
        self._error = (1 - weight) * self._error + weight * (TARGET_ACCEPTANCE - probability)
        log_epsilon = self._centre - np.sqrt(self._count) / 0.05 * self._error
        share = self._count**-0.75
        self.settled = float(np.exp(share * log_epsilon + (1 - share) * np.log(self.settled)))
        self.epsilon = float(np.exp(log_epsilon))


def sgld(
    gradient: Callable[[Array, int], Array],
    value: Callable[[Array], float],
    start: Array,
    *,
    step: float,
    draws: int,
    warmup: int,
    every: int,
    chains: int,
    rng: np.random.Generator,
) -> Chains:
    r"""Stochastic-gradient Langevin chains, :math:`w' = w + \tfrac{\epsilon}{2} \hat\nabla U(w) + \sqrt\epsilon z`.

    Parameters
    ----------
    gradient : callable
        Of (p,) parameters and a random integer that picks the batch: an unbiased estimate of the gradient of the log-density.
    value : callable
        What is averaged, kept each `every` steps.
    start : (p,) array
    step : float
        The :math:`\epsilon`.
    draws, warmup : int
        Values kept of each chain, and left out before.
    every, chains : int
    rng : numpy Generator

    References
    ----------
    Welling and Teh (2011), Bayesian learning via stochastic gradient Langevin dynamics. ICML.
    """
    values = np.empty((chains, draws))
    for chain in range(chains):
        w = start.copy()
        for t in range(-warmup, draws):
            for _ in range(every):
                w = w + 0.5 * step * gradient(w, int(rng.integers(2**31))) + np.sqrt(step) * rng.standard_normal(len(w))
            if t >= 0:
                values[chain, t] = value(w)
    return Chains(values, 1.0)


def batch_means_error(values: Array) -> float:
    """Standard error of the mean of (C, T) values of chains, from the means of batches of about sqrt(T) of them.

    Batches of all chains are compared with the grand mean, so that chains that disagree widen it.
    """
    chains, draws = values.shape
    length = max(int(np.sqrt(draws)), 1)
    number = draws // length
    means = values[:, : number * length].reshape(chains * number, length).mean(axis=1)
    return float(np.sqrt(means.var(ddof=1) / len(means)))


def split_r_hat(values: Array) -> float:
    """Ratio of the spread of all draws to that within half chains; 1 where (C, T) chains agree (Gelman et al. 2013, 11.4)."""
    half = values.shape[1] // 2
    parts = np.concatenate([values[:, :half], values[:, half : 2 * half]])
    within = parts.var(axis=1, ddof=1).mean()
    if within == 0:
        return 1.0 if np.ptp(parts) == 0 else np.inf
    between = half * parts.mean(axis=1).var(ddof=1)
    return float(np.sqrt(((half - 1) * within + between) / half / within))
