"""The log-likelihood of a text and its gradient as functions of the parameters: what maximisers and chains call for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from statlm.likelihood.protocols import Likelihood
from statlm.numerics.types import Array


@runtime_checkable
class Summed(Protocol):
    """A likelihood whose sum over its text is known from counts."""

    def summed(self, params: Array) -> tuple[float, Array]:
        """Log-likelihood of the corpus at some parameters, nats, and its (p,) gradient."""
        ...


def summed(model: Likelihood) -> Callable[[Array], tuple[float, Array]]:
    """From (p,) parameters to the log-likelihood of the model's corpus, nats, and its (p,) gradient.

    The function raises SpecificationError for parameters outside of their space. Where the log-likelihood is not finite the
    gradient is no number.
    """
    return model.summed if isinstance(model, Summed) else _by_observations(model)


def _by_observations(model: Likelihood) -> Callable[[Array], tuple[float, Array]]:
    ones = np.ones(model.corpus.nobs)

    def found(params: Array) -> tuple[float, Array]:
        there = model.at(params)
        value = float(there.loglike_obs().sum())
        if not np.isfinite(value):
            return value, np.full(len(params), np.nan)
        return value, np.asarray(there.score().T @ ones).ravel()

    return found
