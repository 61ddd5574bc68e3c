"""A distribution of the next token raised to a power: its log-likelihood in that power, and the maximum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from statlm.errors import NoEstimate
from statlm.likelihood import Predictive
from statlm.likelihood.next_token import NextTokens, next_tokens
from statlm.numerics.types import Array

KEPT = 1 << 25  # doubles of distributions that are kept for all steps, 256 MB; beyond, they are asked for again at each
TOLERANCE = 1e-9
MAX_STEPS = 60


@dataclass(frozen=True, eq=False)
class Tempered:
    """Log-likelihood of ``p^power / sum p^power`` at each observation, and its derivatives in the power.

    Attributes
    ----------
    loglike_obs : (nobs,) array
        Nats.
    slope : (nobs,) array
        ``log p(y) - E log p`` under the tempered distribution.
    curvature : (nobs,) array
        Minus the second derivative: the variance of ``log p`` under the tempered distribution.
    """

    loglike_obs: Array
    slope: Array
    curvature: Array


def tempered(
    model: Predictive,
    power: float,
    parts: Iterator[NextTokens] | list[NextTokens] | None = None,
    own: Array | None = None,
) -> Tempered:
    """The tempered distribution of a model on its corpus.

    Parameters
    ----------
    model : Predictive
    power : float
        One over the temperature; 0 or more. At 0 it is uniform over the support.
    parts : iterator, optional
        What `next_tokens` gives, if it is at hand.
    own : (nobs,) array, optional
        The model's `loglike_obs`, if it is at hand.
    """
    own = np.asarray(model.loglike_obs(), float) if own is None else own
    loglike, slope, curvature = np.empty(len(own)), np.empty(len(own)), np.empty(len(own))
    for part in next_tokens(model) if parts is None else parts:
        logs = part.logprobs
        possible = ~np.isneginf(logs)
        finite = np.where(possible, logs, 0.0)
        top = (power * finite).max(axis=1, where=possible, initial=-np.inf)
        weight = np.where(possible, np.exp(power * finite - top[:, None]), 0.0)
        total = weight.sum(axis=1)
        weight /= total[:, None]
        mean = np.einsum("mv,mv->m", weight, finite)
        variance = np.einsum("mv,mv->m", weight, (finite - mean[:, None]) ** 2)
        normaliser = top + np.log(total)
        loglike[part.where] = power * own[part.where] - normaliser[part.row]
        slope[part.where] = own[part.where] - mean[part.row]
        curvature[part.where] = variance[part.row]
    return Tempered(loglike, slope, curvature)


def best_power(model: Predictive) -> tuple[float, int]:
    """The power of highest likelihood, and the number of Newton steps that found it.

    Raises
    ------
    NoEstimate
        If an observation has probability 0, all distributions are uniform, or there is no maximum inside (0, infinity).
    """
    own = np.asarray(model.loglike_obs(), float)
    if impossible := int(np.count_nonzero(np.isneginf(own))):
        raise NoEstimate(
            f"{impossible:,} of {len(own):,} observations have probability 0 under the model, and so at every temperature. "
            "Use a model with pseudo_count > 0 or a smoothing."
        )
    fetch = distributions(model)
    flat = tempered(model, 0.0, fetch(), own)
    if flat.curvature.sum() <= 1e-14 * len(own):
        raise NoEstimate(
            "Every distribution of the model is uniform over its support, and the same at every temperature: there is "
            "nothing to estimate."
        )
    if flat.slope.sum() <= 0:
        raise NoEstimate(
            f"On these {len(own):,} tokens the model's probabilities are no better than uniform ones: the likelihood rises all "
            "the way to an infinite temperature, and there is no estimate inside. The model knows nothing about this text."
        )
    modal = 0
    for part in fetch():
        modal += int(np.count_nonzero(own[part.where] >= part.logprobs.max(axis=1)[part.row] - 1e-12))
    if modal == len(own):
        raise NoEstimate(
            f"Each of the {len(own):,} observed tokens is the model's most probable one: the likelihood rises all the way to "
            "temperature 0, and there is no estimate inside. Use more text."
        )
    low, high, power = 0.0, np.inf, 1.0
    for step in range(1, MAX_STEPS + 1):
        here = tempered(model, power, fetch(), own)
        slope, curvature = here.slope.sum(), here.curvature.sum()
        low, high = (power, high) if slope > 0 else (low, power)
        newton = power + slope / curvature if curvature > 0 else np.inf
        if abs(newton - power) <= TOLERANCE * power:
            return float(newton), step
        following = newton if low < newton < high else (2.0 * power if np.isinf(high) else 0.5 * (low + high))
        if np.isinf(high):
            following = min(following, 2.0 * power)
        power = following
    raise NoEstimate(f"The temperature did not converge in {MAX_STEPS} steps (it stands at {1 / power:.4g}).")


def distributions(model: Predictive) -> Callable[[], Iterator[NextTokens]]:
    """What gives the next-token distributions of a model again and again, from memory where they fit."""
    kept: list[NextTokens] = []
    size = 0
    for part in next_tokens(model):
        size += part.logprobs.size
        if size > KEPT:
            return lambda: next_tokens(model)
        kept.append(part)
    return lambda: iter(kept)
