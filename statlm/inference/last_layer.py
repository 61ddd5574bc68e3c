"""Draws of the last layer of a network, the features held fixed: a softmax regression with the network's prior."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy.special import log_softmax

from statlm.errors import NoEstimate
from statlm.likelihood import Likelihood, Unidentified
from statlm.numerics.linalg import factorise
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

LOGITS = 1 << 24  # held at once: 128 MB


@runtime_checkable
class LastLayer(Protocol):
    """A multinomial logit on the features of a network."""

    network: Any
    coefficients: Array
    reference: int


@dataclass(frozen=True, eq=False)
class LastLayerDraws:
    """Draws of the coefficients of the features.

    Parameters
    ----------
    model : Likelihood
        A `LastLayer`.
    params : (S, p) array
        Against the reference.
    half_distance : (S,) array
        Half the squared distance of each draw from the estimate, in the metric of its precision.
    between : (V - 1, V - 1) array
        Precision of the prior between tokens; it is the same for each feature.
    """

    model: Any
    params: Array
    half_distance: Array
    between: Array

    def terms(self, corpus: Corpus) -> Iterator[tuple[Array, Array, Array]]:
        """Some draws, some observations, and the (draws, observations) log-probabilities of what is observed there."""
        targets = corpus.targets.astype(np.int64)
        features = np.asarray(self.model.network.on(corpus).features_obs(), float)
        draws = np.arange(len(self.params))
        tokens = len(self.model.coefficients)
        for start in range(0, len(features), max(LOGITS // (tokens * len(draws)), 1)):
            which = np.arange(start, min(start + max(LOGITS // (tokens * len(draws)), 1), len(features)))
            logprobs = self._logprobs(draws, features[which])
            inside = targets[which] < tokens
            found = np.full(logprobs.shape[:2], -np.inf)
            found[:, inside] = logprobs[:, np.flatnonzero(inside), targets[which][inside]]
            yield draws, which, found

    def logprobs_of(self, draws: Array, contexts: Array) -> Array:
        """(q, m, V) log-probabilities of the next token under some draws."""
        return self._logprobs(np.asarray(draws), np.asarray(self.model.network.features(contexts), float))

    def log_ratio(self) -> Array:
        """(S,) log-density of the prior less that of the normal distribution of the draws, up to a constant."""
        rows = self.params.reshape(len(self.params), len(self.between), -1)  # (S, V - 1, D)
        return self.half_distance - 0.5 * ((self.between @ rows) * rows).sum(axis=(1, 2))

    def _logprobs(self, draws: Array, features: Array) -> Array:
        """(q, n, V)."""
        shape = len(draws), len(self.model.coefficients) - 1, features.shape[1]
        rows = np.insert(self.params[draws].reshape(shape), self.model.reference, 0.0, axis=1)  # (q, V, D)
        return log_softmax(features @ rows.transpose(0, 2, 1), axis=2)


def last_layer_draws(model: Likelihood, size: int, seed: int) -> tuple[LastLayerDraws, float]:
    r"""Laplace draws around the coefficients, and the precision of their prior.

    Coefficients have independent normal priors with mean 0 and the precision :math:`\lambda` that the network's own errors rest
    on; those against a reference have then the precision :math:`\lambda (I - 1 1' / V)` between tokens.

    Raises
    ------
    NoEstimate
        If the network names no precision.
    """
    assert isinstance(model, LastLayer)
    network, tokens = model.network, len(model.coefficients)
    if not isinstance(network, Unidentified):
        raise NoEstimate(
            f"{type(network).__name__} names no prior for its last layer, and features may depend on each other linearly, so "
            "that a flat prior would leave it without a posterior. TransformerDecoder has one: damped(fit, precision)."
        )
    damping = float(network.damping_curvature().diagonal().max())
    between = damping * (np.eye(tokens - 1) - 1.0 / tokens)
    matrix = np.array(model.information())
    d = model.coefficients.shape[1]
    for feature in range(d):
        matrix[feature::d, feature::d] += between
    normal = np.random.default_rng(seed).standard_normal((len(matrix), size))
    params = np.asarray(model.params) + factorise(matrix).inverse_root(normal).T
    return LastLayerDraws(model, params, 0.5 * (normal**2).sum(axis=0), between), damping
