"""Draws of a network from Laplace's approximation with the Gauss-Newton curvature; no (p, p) matrix is formed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from statlm.errors import ApproximateCurvatureWarning, SpecificationError
from statlm.inference.damping import Spectral
from statlm.likelihood import Likelihood
from statlm.numerics.leading import leading_pairs
from statlm.numerics.linalg import factorise
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.prompts import continuations

LEFT_OUT = 0.1  # of the prior's precision: an eigenvalue below changes a variance by less than a tenth
MOST_PAIRS = 400  # eigenpairs that are looked for unasked
MOST = 250_000_000  # numbers held: 2 GB
TOGETHER = 16  # directions


@runtime_checkable
class Linearisable(Protocol):
    """A likelihood that can be had as a linear function of its weights, around where they stand."""

    def linearised(self) -> Any:
        """With ``logprobs(directions)`` and ``curvature_draws(streams)``."""
        ...


@runtime_checkable
class AtMode(Protocol):
    """A second derivative, which knows the Gauss-Newton matrix beside it."""

    @property
    def gauss_newton(self) -> Any:
        """The Gauss-Newton matrix: what the linear function has for an information."""
        ...


class Steps(Protocol):
    """How far each draw is from the estimate."""

    @property
    def words(self) -> str:
        """How they were made."""
        ...

    @property
    def half_distance(self) -> Array:
        """(S,) half the squared length of each step, in the metric of its precision."""
        ...

    def __getitem__(self, some: Sequence[int] | Array) -> Array:
        """(p, q) steps of some draws."""
        ...


@dataclass(frozen=True, eq=False)
class LowRankSteps:
    r"""Normal steps with covariance :math:`(U \mathrm{diag}(h) U' + \lambda I)^{-1}`, made again whenever they are asked for.

    With :math:`z` standard normal a step is :math:`\lambda^{-1/2} z + U ((h + \lambda)^{-1/2} - \lambda^{-1/2}) U' z`.

    Parameters
    ----------
    values : (k,) array
        h, the leading eigenvalues of the information.
    vectors : (p, k) array
        U.
    damping : float
        The prior's precision.
    size : int
        Number S of draws.
    seed : int
    """

    values: Array
    vectors: Array
    damping: float
    size: int
    seed: int

    @property
    def words(self) -> str:
        """How they were made."""
        p, k = self.vectors.shape
        return "all of its curvature" if k == p else f"the {k:,} leading directions of its curvature"

    def __getitem__(self, some: Sequence[int] | Array) -> Array:
        """(p, q) steps."""
        z = np.stack([self._normal(int(s)) for s in some], axis=1)
        weight = 1 / np.sqrt(self.values + self.damping) - 1 / np.sqrt(self.damping)
        return z / np.sqrt(self.damping) + self.vectors @ (weight[:, None] * (self.vectors.T @ z))

    @cached_property
    def half_distance(self) -> Array:
        """(S,) half the squared length of z."""
        return np.array([0.5 * float((self._normal(s) ** 2).sum()) for s in range(self.size)])

    def _normal(self, draw: int) -> Array:
        return np.random.default_rng([self.seed, draw]).standard_normal(len(self.vectors))


@dataclass(frozen=True, eq=False)
class SolvedSteps:
    r"""Normal steps with covariance :math:`(H + \lambda I)^{-1}`, a solve each: none of the curvature is left out.

    Parameters
    ----------
    steps : (p, S) array
    half_distance : (S,) array
    """

    steps: Array
    half_distance: Array

    @property
    def words(self) -> str:
        """How they were made."""
        return "all of its curvature, by a solve for each draw"

    def __getitem__(self, some: Sequence[int] | Array) -> Array:
        """(p, q) steps."""
        return self.steps[:, np.asarray(some)]


@dataclass(frozen=True, eq=False)
class NetworkDraws:
    """Draws of a network.

    Parameters
    ----------
    model : Likelihood
        At its estimate.
    steps : Steps
    size : int
        Number S of draws.
    damping : float
        Precision of the prior, which is normal with mean 0.
    linear : bool
        Whether probabilities are those of the network as a linear function of its weights, or of the network itself.
    """

    model: Any
    steps: Steps
    size: int
    damping: float
    linear: bool

    @property
    def params(self) -> Array:
        """(S, p) draws of the weights.

        Raises
        ------
        SpecificationError
            If they do not fit into memory.
        """
        centre = self.model.params
        if self.size * len(centre) > MOST:
            raise SpecificationError(
                f"{self.size:,} draws of {len(centre):,} weights are {8e-9 * self.size * len(centre):,.0f} GB, so they are made "
                "as they are needed. Ask for what they say: loglike(corpus), probabilities(contexts)."
            )
        return centre + self.steps[range(self.size)].T

    def terms(self, corpus: Corpus) -> Iterator[tuple[Array, Array, Array]]:
        """Some draws, some observations, and the (draws, observations) log-probabilities of what is observed there."""
        if not self.linear:
            for s in range(self.size):
                yield np.array([s]), np.arange(corpus.nobs), self._at(s).on(corpus).loglike_obs()[None]
            return
        targets = corpus.targets.astype(np.int64)
        for rows, which, logprobs in self._moved(corpus, np.arange(self.size)):
            wanted = targets[which]
            inside = wanted < logprobs.shape[2]
            found = np.full(logprobs.shape[:2], -np.inf)
            found[:, inside] = logprobs[:, np.flatnonzero(inside), wanted[inside]]
            yield rows, which, found

    def logprobs_of(self, draws: Array, contexts: Array) -> Array:
        """(q, m, V) log-probabilities of the next token under some draws."""
        vocabulary = self.model.corpus.vocabulary
        if not self.linear:
            return np.stack([self._at(int(s)).logprobs(contexts) for s in draws])
        contexts = np.asarray(contexts, np.int64)[:, max(np.shape(contexts)[1] - self.model.memory, 0) :]
        ids = [row[(row != vocabulary.bos) & (row != vocabulary.pad)] for row in contexts]
        corpus = continuations(vocabulary, ids, [np.zeros(1, np.int64)] * len(ids))  # any token: all of them are asked for
        result: Array | None = None
        for rows, which, logprobs in self._moved(corpus, np.asarray(draws)):
            if result is None:
                result = np.empty((len(draws), len(ids), logprobs.shape[2]))
            result[np.ix_(rows, which)] = logprobs
        assert result is not None
        return result

    def log_ratio(self) -> Array:
        """(S,) log-density of the prior less that of the normal distribution of the draws, up to a constant."""
        centre = self.model.params
        squares = [
            ((centre[:, None] + self.steps[some]) ** 2).sum(axis=0) for some in _portions(np.arange(self.size), TOGETHER)
        ]
        return self.steps.half_distance - 0.5 * self.damping * np.concatenate(squares)

    def _at(self, draw: int) -> Any:
        return self.model.at(self.model.params + self.steps[[draw]][:, 0])

    def _moved(self, corpus: Corpus, draws: Array) -> Iterator[tuple[Array, Array, Array]]:
        """Places among the draws, observations, and (draws, observations, V) log-probabilities of the linear function."""
        there = self.model.on(corpus).linearised()
        for places in _portions(np.arange(len(draws)), TOGETHER):
            for some, which, logprobs in there.logprobs(self.steps[draws[places]]):
                yield places[some], which, logprobs


def network_steps(model: Likelihood, size: int, rank: int | None, damping: float, seed: int) -> Steps:
    """Steps of Laplace's approximation of a network.

    Parameters
    ----------
    model : Likelihood
        A `Linearisable` one.
    size : int
        Number of draws.
    rank : int or None
        How many leading directions of the curvature are told from the prior. None: as many as matter, and where these are too
        many to look for, all of them, by solves.
    damping : float
    seed : int

    Warns
    -----
    ApproximateCurvatureWarning
        If directions that the text determines are left to the prior.
    """
    information: Any = model.information()
    if isinstance(information, AtMode):
        information = information.gauss_newton
    p = information.shape[0]
    room = min(p if p <= 1_500 else p - 1, max(MOST // (2 * p), 1))
    if rank is None:
        assert isinstance(information, Spectral)
        spectrum = information.spectrum
        needed = p if spectrum.exact else int(np.ceil(spectrum.weights[spectrum.values > LEFT_OUT * damping].sum()))
        if needed > min(MOST_PAIRS, room) and not spectrum.exact:
            return _solved(model, information, size, damping, seed)
        rank = min(max(needed, 1), room)
    elif rank > room:
        raise SpecificationError(
            f"rank={rank:,}: at most {room:,} eigenvectors of {p:,} weights are held. Take fewer, or rank=None, which solves "
            "with all of the curvature where that many would be needed."
        )
    values, vectors = leading_pairs(information, rank)
    if rank < p and values[-1] > 2 * LEFT_OUT * damping:
        warnings.warn(
            f"The text determines more than {rank:,} directions: the last eigenvalue of the information that was taken is "
            f"{values[-1] / damping:,.2g} times the prior's precision, so variances along some of those left out are up to "
            f"{1 + values[-1] / damping:,.3g} times too large. Use a larger rank=, or rank=None.",
            ApproximateCurvatureWarning,
            stacklevel=4,
        )
    return LowRankSteps(values, vectors, damping, size, seed)


def _solved(model: Any, information: Any, size: int, damping: float, seed: int) -> SolvedSteps:
    """A solve for each draw: right-hand sides with covariance H + damping."""
    streams = [np.random.default_rng([seed, s]) for s in range(size)]
    right = model.linearised().curvature_draws(streams)
    right += np.sqrt(damping) * np.stack([stream.standard_normal(len(right)) for stream in streams], axis=1)
    solver = factorise(information + model.damping_curvature())
    steps = np.concatenate([solver.solve(right[:, some]) for some in _portions(np.arange(size), TOGETHER)], axis=1)
    return SolvedSteps(steps, 0.5 * (steps * right).sum(axis=0))


def _portions(places: Array, size: int) -> list[Array]:
    return [places[start : start + size] for start in range(0, len(places), size)]
