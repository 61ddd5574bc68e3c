"""Forecasts of a binary event put into bins, and the scores of forecasts recalibrated by isotonic regression."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statlm.numerics.types import Array


class ScoreParts(NamedTuple):
    """A mean score of forecasts and what it is made of: score = miscalibration - discrimination + uncertainty.

    Attributes
    ----------
    score : float
        Of the forecasts.
    miscalibration : float
        What is lost against the same forecasts recalibrated.
    discrimination : float
        What recalibrated forecasts gain over the overall frequency.
    uncertainty : float
        Score of the overall frequency.
    """

    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float

    @property
    def refinement(self) -> float:
        """Score of the recalibrated forecasts, ``uncertainty - discrimination``."""
        return self.uncertainty - self.discrimination


def bin_edges(probability: Array, bins: int, strategy: str) -> Array:
    """Edges of bins of equal width on [0, 1], or of equal numbers of forecasts ("quantile"), repeated edges once."""
    share = np.linspace(0.0, 1.0, bins + 1)
    if strategy == "uniform":
        return share
    edges: Array = np.unique(np.quantile(probability, share))
    return edges


def bin_index(probability: Array, edges: Array) -> Array:
    """(n,) bin of each forecast: the first whose upper edge it does not exceed."""
    index: Array = np.searchsorted(edges[1:-1], probability)
    return index


def brier(probability: Array, happened: Array) -> float:
    """Mean squared difference of forecast and outcome."""
    return float(((probability - happened) ** 2).mean())


def log_loss(probability: Array, happened: Array) -> float:
    """Mean of minus the logarithm of what was forecast for the outcome, nats; infinite where that was 0."""
    with np.errstate(divide="ignore"):
        return float(-np.where(happened, np.log(probability), np.log1p(-probability)).mean())


def score_parts(probability: Array, happened: Array) -> tuple[ScoreParts, ScoreParts]:
    """Brier score and log-loss with their parts, the recalibration being isotonic regression.

    Parameters
    ----------
    probability : (n,) array
    happened : (n,) bool array

    References
    ----------
    Dimitriadis, Gneiting and Jordan (2021), Stable reliability diagrams for probabilistic classifiers. PNAS 118.

    Examples
    --------
    >>> import numpy as np
    >>> parts, _ = score_parts(np.array([0.2, 0.2, 0.7, 0.7]), np.array([False, True, True, True]))
    >>> [round(x, 4) for x in parts]
    [0.215, 0.09, 0.0625, 0.1875]
    """
    from scipy.optimize import isotonic_regression

    _, index = np.unique(probability, return_inverse=True)
    counts = np.bincount(index)
    share = np.bincount(index, weights=happened) / counts
    recalibrated = np.clip(isotonic_regression(share, weights=counts).x, 0.0, 1.0)[index]
    overall = np.full(len(probability), np.mean(happened))
    found = []
    for score in (brier, log_loss):
        own, best, base = (score(p, happened) for p in (probability, recalibrated, overall))
        found.append(ScoreParts(own, own - best, base - best, base))
    return found[0], found[1]
