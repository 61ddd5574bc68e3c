"""Chains of a tempered posterior: what Watanabe's criteria are means over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from statlm.errors import NoEstimate, SingularInformation, SpecificationError
from statlm.likelihood import Likelihood
from statlm.likelihood.summed import summed
from statlm.numerics.damped import SMALL
from statlm.numerics.langevin import Chains, DenseMetric, LowRankMetric, Mala, Metric, Separate, StochasticLangevin, run
from statlm.numerics.leading import leading_pairs
from statlm.numerics.types import Array, Matrix

MAX_DENSE = 5_000  # parameters up to which chains move in the metric of the whole information
AFFORDABLE = 20_000  # observations up to which each step of a network is over all of them
PAIRS = 64  # eigenpairs of the metric of a network
PROBES = 8  # random vectors for a trace
INFLATION = 0.02  # of the spread, by stochastic gradients


def tempered_chains(
    model: Likelihood,
    beta: float,
    centre: Array,
    precision: Array,
    *,
    draws: int,
    warmup: int,
    chains: int,
    sampler: str,
    batch: int,
    seed: int,
    agreement: float,
) -> Chains:
    r"""Log-likelihoods along chains of :math:`e^{\beta \ell(w)}` times a normal prior.

    Parameters
    ----------
    model : Likelihood
        At its estimate.
    beta : float
        Inverse temperature.
    centre : (p,) array
        Mean of the prior.
    precision : (p,) or (p, p) array
        Of the prior.
    draws, warmup, chains : int
    sampler : "mala" or "sgld"
    batch : int
        Tokens a step, for "sgld".
    seed : int
    agreement : float
        Split R-hat up to which chains need not go on.

    Raises
    ------
    SingularInformation
        If there is no metric.
    SpecificationError
        If a dense metric would be too large.
    """
    start = np.asarray(model.params, float)
    rng = np.random.default_rng(seed)

    def pull(w: Array) -> Array:
        """Minus the gradient of the log-prior."""
        return precision * (w - centre) if precision.ndim == 1 else precision @ (w - centre)

    metric = _metric(model, beta, precision, seed)
    streams = rng.spawn(chains)
    if sampler == "mala":
        target = _target(model, beta, centre, pull)
        return run(Mala(target, start, metric, warmup, streams), draws, agreement)
    nobs = model.corpus.nobs
    step = 4 * INFLATION / (1 + beta * nobs / min(batch, nobs))
    gradient = _batch_gradient(model, beta, pull, batch)
    every = int(np.ceil(0.5 / step))
    made = [
        StochasticLangevin(
            gradient,
            lambda w: float(model.at(w).loglike_obs().sum()),
            start,
            metric,
            step=step,
            every=every,
            warmup=max(warmup // 10, 1),  # chains start as spread as the metric says
            rng=stream,
        )
        for stream in streams
    ]
    return run(Separate(made), draws, agreement)


def _target(model: Likelihood, beta: float, centre: Array, pull: Callable[[Array], Array]) -> Any:
    along = summed(model)

    def target(w: Array) -> tuple[float, float, Array]:
        """The log-density, the log-likelihood, and the gradient of the first."""
        try:
            value, score = along(w)
        except SpecificationError:  # outside of the parameter space
            return -np.inf, -np.inf, np.zeros(len(w))
        if not np.isfinite(value):
            return -np.inf, -np.inf, np.zeros(len(w))
        drag = pull(w)
        return beta * value - 0.5 * float(drag @ (w - centre)), value, beta * score - drag

    return target


def _batch_gradient(model: Likelihood, beta: float, pull: Callable[[Array], Array], batch: int) -> Any:
    """An unbiased estimate of the gradient, from some of the text."""
    corpus = model.corpus
    if model.memory is None:
        batches = [corpus.subset([d]) for d in range(corpus.ndocuments)]
    else:
        batches = list(corpus.batches(batch, context=max(model.memory, 1)))
    parts = [model.on(part) for part in batches]
    # Batches are drawn with probability proportional to their tokens, so that each token counts alike.
    bounds = np.cumsum([part.corpus.nobs for part in parts])

    def gradient(w: Array, rng: np.random.Generator) -> Array:
        part = parts[int(np.searchsorted(bounds, rng.integers(bounds[-1]), side="right"))]
        try:
            there = part.at(w)
            score = _summed(there.score(), np.ones(there.corpus.nobs))
        except SpecificationError as error:
            raise NoEstimate(
                "Stochastic gradients led out of the parameter space, which they cannot notice beforehand (probabilities of "
                "0 and less). Use sampler='mala', or the softmax regression of the same model."
            ) from error
        return beta * corpus.nobs / there.corpus.nobs * score - pull(w)

    return gradient


def _summed(score: Matrix, ones: Array) -> Array:
    return np.asarray(score.T @ ones).ravel()


def _metric(model: Likelihood, beta: float, precision: Array, seed: int) -> Metric:
    """The information at this temperature plus the prior, or its leading eigenpairs and the mean of the others."""
    information: Any = model.information()
    p = len(model.params)
    if isinstance(information, scipy.sparse.linalg.LinearOperator) and p > SMALL:
        values, vectors = leading_pairs(information, min(PAIRS, p - 1), seed)
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(p, PROBES))
        signs -= vectors @ (vectors.T @ signs)
        rest = float((signs * information.matmat(signs)).sum()) / PROBES / (p - len(values))
        prior = precision if precision.ndim == 1 else np.diag(precision)
        return LowRankMetric(beta * values, vectors, beta * max(rest, 0.0) + float(prior.mean()))
    if p > MAX_DENSE:
        diagonal = np.asarray(information.diagonal() if not isinstance(information, np.ndarray) else np.diag(information))
        prior = precision if precision.ndim == 1 else np.diag(precision)
        return _Diagonal(beta * diagonal + prior)
    matrix = information if isinstance(information, np.ndarray) else _written(information)
    try:
        return DenseMetric(beta * matrix + (np.diag(precision) if precision.ndim == 1 else precision))
    except scipy.linalg.LinAlgError as error:
        raise SingularInformation(
            "The information plus the prior is singular to working precision, so chains have no metric to move in. Give a "
            "tighter prior_sd= or a larger localisation=."
        ) from error


def _written(information: Any) -> Array:
    if isinstance(information, scipy.sparse.linalg.LinearOperator):
        return np.asarray(information.matmat(np.eye(information.shape[0])))
    return np.asarray(information.toarray())


class _Diagonal:
    """A diagonal metric, for models of many parameters whose information is written out by blocks."""

    def __init__(self, diagonal: Array) -> None:
        self._root = 1 / np.sqrt(diagonal)

    def moved(self, v: Array) -> Array:
        return (self._root * v.T).T

    def whitened(self, gradient: Array) -> Array:
        return (self._root * gradient.T).T
