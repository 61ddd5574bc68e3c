"""A distribution over the next token, and one that is indexed by parameters.

A model supplies these few primitives; everything else in the package is written once, as functions of them. Nothing
mutates: `at` and `on` give new objects, so that profiles, score tests, bootstrap and held-out evaluation are
ordinary calls.
"""

from __future__ import annotations

from inspect import getattr_static
from typing import Any, Protocol, Self, TypeGuard, runtime_checkable

import pandas as pd

from statlm.numerics.types import Array, Matrix
from statlm.text.corpus import Corpus


class Predictive(Protocol):
    """A distribution over the next token, standing on a corpus."""

    @property
    def corpus(self) -> Corpus:
        """The observations."""
        ...

    @property
    def memory(self) -> int | None:
        """How many tokens before an observation its distribution may depend on; None if all of them."""
        ...

    def loglike_obs(self) -> Array:
        """(nobs,) float64 ``log p(y_i | x_i)`` in nats; ``-inf`` where the model gives probability 0."""
        ...

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) float64 ``log p(. | context)`` in nats over the support, rows summing to 1 in probability.

        Parameters
        ----------
        contexts : (m, k) integer array
            Token ids, oldest first, the most recent in the last column; ``<bos>`` where the document starts and
            ``<pad>`` before it. Columns beyond the model's memory are ignored; missing ones count as ``<pad>``.
        """
        ...

    def on(self, corpus: Corpus) -> Self:
        """The same distribution on other observations."""
        ...


class Likelihood(Predictive, Protocol):
    """A Predictive indexed by a parameter vector, with derivatives."""

    @property
    def params(self) -> Array:
        """(p,) parameter values."""
        ...

    @property
    def param_names(self) -> pd.MultiIndex:
        """The p names: levels ``response`` (the token whose probability it concerns) and ``term``."""
        ...

    @property
    def dof(self) -> int:
        """Number of free parameters q, as AIC and the likelihood-ratio test count them."""
        ...

    def score(self) -> Matrix:
        """(nobs, p) derivative of `loglike_obs` with respect to `params`."""
        ...

    def information(self) -> Matrix:
        """(p, p) minus the second derivative of the log-likelihood, or its Gauss-Newton form."""
        ...

    def at(self, params: Array) -> Self:
        """The likelihood at other parameter values."""
        ...


@runtime_checkable
class Standing(Protocol):
    """A fit or an evaluation: something that stands for the model it holds."""

    likelihood: Predictive


PRIMITIVES = ("params", "param_names", "dof", "score", "information", "at")


def underlying(model: Any) -> Predictive:
    """The model itself, taken out of the fit or evaluation that holds it."""
    return model.likelihood if isinstance(model, Standing) else model


def is_likelihood(model: Any) -> TypeGuard[Likelihood]:
    """Whether a model has parameters and derivatives, or is a distribution only.

    The attributes are looked up without being computed: the names of ten million parameters take a while.
    """
    model = underlying(model)
    return all(getattr_static(model, name, None) is not None for name in PRIMITIVES)
