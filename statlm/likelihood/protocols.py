"""A distribution over the next token, and one that is indexed by parameters.

A model supplies these few primitives; everything else in the package is written once, as functions of them. Nothing
mutates: `at` and `on` give new objects, so that profiles, score tests, bootstrap and held-out evaluation are
ordinary calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import getattr_static
from typing import Any, Protocol, Self, TypeGuard, runtime_checkable

import pandas as pd

from statlm.errors import NoEstimate
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
class Penalised(Protocol):
    """A likelihood whose estimate maximises more than the likelihood: a penalty, or a prior."""

    @property
    def penalised(self) -> bool:
        """Whether there is a penalty."""
        ...

    def penalty_curvature(self) -> Matrix:
        """(p, p) minus the second derivative of the log-prior, at the estimate: the prior's precision."""
        ...


@runtime_checkable
class Unidentified(Protocol):
    """A likelihood whose parameters may not be identified one by one: only functionals of them mean something."""

    @property
    def params(self) -> Array:
        """(p,) parameter values."""
        ...

    @property
    def identified(self) -> bool:
        """Whether they are."""
        ...

    def damping_curvature(self) -> Matrix:
        """(p, p) what is added to the information, which has no inverse: the precision of a prior."""
        ...


@runtime_checkable
class GaussNewtonInformation(Protocol):
    """A likelihood that says in which form its information is."""

    @property
    def gauss_newton(self) -> bool:
        """Whether it is the expected outer product of scores, and not minus the second derivative of the log-likelihood."""
        ...


@runtime_checkable
class Approached(Protocol):
    """A likelihood whose estimate was approached by a descent that may have ended short of the maximum."""

    def shortfall(self) -> str | None:
        """Why the estimate is no maximum of the likelihood, as a clause; None where it is one."""
        ...


@runtime_checkable
class Conventional(Protocol):
    """A distribution whose probabilities on a corpus rest on a convention, such as how long documents are read."""

    def convention(self) -> str | None:
        """The convention, as a clause; None where this corpus does not need it."""
        ...


@runtime_checkable
class Standing(Protocol):
    """A fit or an evaluation: something that stands for the model it holds."""

    likelihood: Predictive


@runtime_checkable
class LagModel(Protocol):
    """A specification of a model spanned by indicators of the last tokens, by maximum likelihood."""

    def span(self) -> tuple[int, int] | None:
        """Number of lags, and the largest number of them in an interaction; None where a penalty or smoothing is fitted.

        The n-gram, which is saturated, has (n - 1, n - 1); the uniform distribution (-1, 0).
        """
        ...


def spans(large: object, small: object) -> bool:
    """Whether one model of lags is a special case of another, as a likelihood-ratio test needs.

    It is where it looks back no further, and has no interaction of more lags.
    """
    if not (isinstance(large, LagModel) and isinstance(small, LagModel)):
        return False
    a, b = large.span(), small.span()
    return a is not None and b is not None and b[0] <= a[0] and b[1] <= a[1]


class Reader(Protocol):
    """Documents that grow token by token, and the distribution of the next one."""

    def logprobs(self) -> Array:
        """(m, V) log-probabilities of the next token of each document, nats."""
        ...

    def read(self, ids: Array, kept: Array) -> None:
        """Go on with the (m,) tokens in the documents that are `kept`, an (m,) mask; the others are dropped."""
        ...


@runtime_checkable
class Sequential(Protocol):
    """A model that reads on at less cost than it reads a context anew."""

    def reader(self, starts: Sequence[Array]) -> Reader:
        """Documents that begin with these token ids, ``<bos>`` not included."""
        ...


PRIMITIVES = ("params", "param_names", "dof", "score", "information", "at")


def underlying(model: Any) -> Predictive:
    """The model itself, taken out of the fit or evaluation that holds it."""
    return model.likelihood if isinstance(model, Standing) else model


def is_penalised(model: Any) -> bool:
    """Whether a model's estimate is not the maximum of its likelihood, so that AIC and likelihood-ratio tests do not hold."""
    model = underlying(model)
    return isinstance(model, Penalised) and model.penalised


def check_identified(model: Any) -> None:
    """Refuse errors of all parameters where they are not identified one by one.

    Raises
    ------
    NoEstimate
        If they are not.
    """
    model = underlying(model)
    if isinstance(model, Unidentified) and not model.identified:
        raise NoEstimate(
            f"The {len(model.params):,} weights of this network are not identified one by one: permuting or rescaling "
            f"hidden units gives the same "
            "probabilities with other weights, so a table of their standard errors would mean nothing. Ask for functionals: "
            "predict(contexts, interval=0.95, cov=...), functional(Probability(...)), held_out_error(fit, test); or "
            "for head(fit), the "
            "last layer with its features held fixed."
        )


def why_no_maximum(model: Any) -> str | None:
    """Why a model's estimate is not the maximum of its likelihood, as a clause; None where there is no reason known."""
    held = underlying(model)
    if isinstance(held, Approached):
        return held.shortfall()
    return "it is penalised (a prior count or a ridge)" if is_penalised(held) else None


def is_likelihood(model: Any) -> TypeGuard[Likelihood]:
    """Whether a model has parameters and derivatives, or is a distribution only.

    The attributes are looked up without being computed: the names of ten million parameters take a while.
    """
    model = underlying(model)
    return all(getattr_static(model, name, None) is not None for name in PRIMITIVES)
