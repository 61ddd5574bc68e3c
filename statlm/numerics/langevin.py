"""Markov chains that follow a gradient in a metric: exact ones with a Metropolis step, and stochastic ones for large models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.linalg

from statlm.numerics.types import Array

TARGET_ACCEPTANCE = 0.574  # optimal for Langevin proposals (Roberts and Rosenthal 1998)
ROUNDS = 3  # of twice the length each, until chains agree

LogDensity = Callable[[Array], tuple[float, float, Array]]


class Metric(Protocol):
    """A symmetric positive definite matrix M, about minus the second derivative of a log-density, by what chains need of it."""

    def moved(self, v: Array) -> Array:
        """A root of the inverse of M times a (p,) or (p, q) array: from standard normal numbers to steps."""
        ...

    def whitened(self, gradient: Array) -> Array:
        """The transposed root times (p,) or (p, q) gradients: the gradients by v."""
        ...


class DenseMetric:
    """A (p, p) array.

    Raises
    ------
    numpy.linalg.LinAlgError
        If it is not positive definite.
    """

    def __init__(self, matrix: Array) -> None:
        self._factor = scipy.linalg.cholesky(matrix, lower=True)

    def moved(self, v: Array) -> Array:
        """Solution with the transposed triangle."""
        return scipy.linalg.solve_triangular(self._factor, v, lower=True, trans="T", check_finite=False)

    def whitened(self, gradient: Array) -> Array:
        """Solution with the triangle."""
        return scipy.linalg.solve_triangular(self._factor, gradient, lower=True, check_finite=False)


class LowRankMetric:
    r"""The matrix :math:`U \mathrm{diag}(h) U' + c I`.

    Parameters
    ----------
    values : (k,) array
        h, not negative.
    vectors : (p, k) array
        U, orthonormal.
    constant : float
        c, positive.
    """

    def __init__(self, values: Array, vectors: Array, constant: float) -> None:
        self._vectors = vectors
        self._outside = 1 / np.sqrt(constant)
        self._inside = 1 / np.sqrt(values + constant) - self._outside

    def moved(self, v: Array) -> Array:
        """The symmetric root of the inverse times v."""
        return self._outside * v + self._vectors @ (self._inside * (self._vectors.T @ v).T).T

    def whitened(self, gradient: Array) -> Array:
        """The same: the root is symmetric."""
        return self.moved(gradient)


class Chain(Protocol):
    """One chain, which goes on from where it stands."""

    @property
    def accepted(self) -> int:
        """Proposals accepted since the warm-up."""
        ...

    def advance(self, draws: int) -> Array:
        """(draws,) next values of what is averaged."""
        ...


class Advancing(Protocol):
    """Several chains, which go on from where they stand."""

    @property
    def accepted(self) -> float:
        """Proposals accepted since the warm-up, a chain."""
        ...

    def advance(self, draws: int) -> Array:
        """(C, draws) next values of what is averaged."""
        ...


@dataclass(frozen=True, eq=False)
class Chains:
    """What chains visited.

    Attributes
    ----------
    values : (C, T) array
        The quantity that is averaged, a row a chain.
    acceptance : float
        Share of proposals accepted after warm-up; 1 where there is no Metropolis step.
    warmup : int
        Draws of each chain that were left out after the warm-up proper, because chains did not agree yet.
    """

    values: Array
    acceptance: float
    warmup: int = 0


def run(chains: Advancing, draws: int, agreement: float, rounds: int = ROUNDS) -> Chains:
    """Advance chains until they agree: what they visited before counts as warm-up, and the next stretch is twice as long.

    Parameters
    ----------
    chains : Mala or Separate
        After their warm-up.
    draws : int
        Of each in the first stretch.
    agreement : float
        Split R-hat up to which they agree.
    rounds : int
        Stretches at most; the last one is kept, whether they agree or not.
    """
    past = 0
    for number in range(rounds):
        values = chains.advance(draws)
        if split_r_hat(values) <= agreement or number == rounds - 1:
            break
        past += draws
        draws *= 2
    return Chains(values, min(chains.accepted / (past + draws), 1.0), past)


class Mala:
    r"""Metropolis-adjusted Langevin chains in the metric M, side by side: a step of all of them is one solve with the metric.

    The proposal is :math:`w' = w + \tfrac{\epsilon^2}{2} M^{-1} \nabla U(w) + \epsilon M^{-1/2} z`. The step of each chain is
    adapted during warm-up, by dual averaging, and fixed afterwards.

    Parameters
    ----------
    target : callable
        Of (p,) parameters: the log-density up to a constant (``-inf`` outside of the space), the value to keep, the gradient.
    centre : (p,) array
        Chains start at normal draws around it, with covariance the inverse of the metric, where these lie in the space.
    metric : Metric
    warmup : int
    streams : sequence of C numpy Generators
        One a chain, so that it visits the same places whatever the others do.

    References
    ----------
    Roberts and Rosenthal (1998), Optimal scaling of discrete approximations to Langevin diffusions. JRSS B 60. Hoffman and Gelman
    (2014), The No-U-Turn sampler, section 3.2, JMLR 15.
    """

    def __init__(
        self,
        target: LogDensity,
        centre: Array,
        metric: Metric,
        warmup: int,
        streams: Sequence[np.random.Generator],
    ) -> None:
        self._target, self._centre, self._metric, self._streams = target, centre, metric, streams
        self.size, self.accepted = len(streams), 0.0
        self._v = self._normal()
        self._density, self._value, self._gradient = self._whitened(self._v)
        for _ in range(100):  # nearer and nearer to the start, which lies in the space
            outside = np.flatnonzero(~np.isfinite(self._density))
            if len(outside) == 0:
                break
            self._v[outside] *= 0.7
            self._density[outside], self._value[outside], self._gradient[outside] = self._whitened(self._v[outside])
        steps = [_DualAveraging(1.0 / len(centre) ** (1 / 6)) for _ in streams]
        for _ in range(warmup):
            for step, probability in zip(steps, self._moved(np.array([s.epsilon for s in steps])), strict=True):
                step.update(float(probability))
        self._epsilon = np.array([step.settled for step in steps])
        self.accepted = 0.0  # counted from here

    def advance(self, draws: int) -> Array:
        """(C, draws) next values of what is averaged."""
        values = np.empty((self.size, draws))
        for t in range(draws):
            self._moved(self._epsilon)
            values[:, t] = self._value
        return values

    def _normal(self) -> Array:
        """(C, p) standard normal numbers."""
        return np.stack([stream.standard_normal(len(self._centre)) for stream in self._streams])

    def _whitened(self, v: Array) -> tuple[Array, Array, Array]:
        """Log-densities, values and (C, p) gradients at (C, p) places."""
        there = [self._target(w) for w in self._centre + self._metric.moved(v.T).T]
        density, value, gradient = zip(*there, strict=True)
        return np.array(density), np.array(value), self._metric.whitened(np.stack(gradient).T).T

    def _moved(self, epsilon: Array) -> Array:
        """One step of each; (C,) probabilities of acceptance."""
        noise, step = self._normal(), epsilon[:, None]
        proposal = self._v + 0.5 * step**2 * self._gradient + step * noise
        density, value, gradient = self._whitened(proposal)
        back = (self._v - proposal - 0.5 * step**2 * gradient) / step
        squares = (noise**2).sum(axis=1) - (back**2).sum(axis=1)
        ratio = np.where(np.isfinite(density), density - self._density + 0.5 * squares, -np.inf)
        probability = np.exp(np.minimum(ratio, 0.0))
        taken = np.array([stream.random() for stream in self._streams]) < probability
        self._v[taken], self._density[taken] = proposal[taken], density[taken]
        self._value[taken], self._gradient[taken] = value[taken], gradient[taken]
        self.accepted += float(taken.mean())
        return probability


class Separate:
    """Chains that know nothing of each other."""

    def __init__(self, chains: Sequence[Chain]) -> None:
        self._chains = chains

    @property
    def accepted(self) -> float:
        """Proposals accepted since the warm-up, a chain."""
        return sum(chain.accepted for chain in self._chains) / len(self._chains)

    def advance(self, draws: int) -> Array:
        """(C, draws) next values of what is averaged."""
        return np.stack([chain.advance(draws) for chain in self._chains])


def mala(
    target: LogDensity,
    start: Array,
    precision: Array | Metric,
    *,
    draws: int,
    warmup: int,
    chains: int,
    rng: np.random.Generator,
    agreement: float = np.inf,
) -> Chains:
    """Metropolis-adjusted Langevin chains from normal draws around a start; see `Mala` and `run`.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a `precision` that is an array is not positive definite.
    """
    metric = DenseMetric(precision) if isinstance(precision, np.ndarray) else precision
    return run(Mala(target, start, metric, warmup, rng.spawn(chains)), draws, agreement)


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


class StochasticLangevin:
    r"""A stochastic-gradient Langevin chain in the metric M, :math:`w' = w + \tfrac{\epsilon}{2} M^{-1} \hat\nabla U(w) +
    \sqrt\epsilon M^{-1/2} z`.

    There is no Metropolis step: the spread is too large by about :math:`\epsilon / 4` of itself, and by noise of the gradient.

    Parameters
    ----------
    gradient : callable
        Of (p,) parameters and a generator, which picks the batch: an unbiased estimate of the gradient of the log-density.
    value : callable
        What is averaged, kept each `every` steps.
    centre : (p,) array
        Chains start at a normal draw around it.
    metric : Metric
    step : float
        The :math:`\epsilon`.
    every, warmup : int
        Steps to a draw; draws left out.
    rng : numpy Generator

    References
    ----------
    Welling and Teh (2011), Bayesian learning via stochastic gradient Langevin dynamics. ICML. Li, Chen, Carlson and Carin (2016),
    Preconditioned stochastic gradient Langevin dynamics for deep neural networks. AAAI.
    """

    accepted = 0

    def __init__(
        self,
        gradient: Callable[[Array, np.random.Generator], Array],
        value: Callable[[Array], float],
        centre: Array,
        metric: Metric,
        *,
        step: float,
        every: int,
        warmup: int,
        rng: np.random.Generator,
    ) -> None:
        self._gradient, self._value, self._metric, self._rng = gradient, value, metric, rng
        self._centre, self._step, self._every = centre, step, every
        self._v = rng.standard_normal(len(centre))
        for _ in range(warmup * every):
            self._moved()

    def advance(self, draws: int) -> Array:
        """(draws,) next values of what is averaged."""
        values = np.empty(draws)
        for t in range(draws):
            for _ in range(self._every):
                self._moved()
            values[t] = self._value(self._centre + self._metric.moved(self._v))
        self.accepted += draws
        return values

    def _moved(self) -> None:
        slope = self._metric.whitened(self._gradient(self._centre + self._metric.moved(self._v), self._rng))
        self._v = self._v + 0.5 * self._step * slope + np.sqrt(self._step) * self._rng.standard_normal(len(self._v))


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
