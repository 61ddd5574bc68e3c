"""Laplace's approximation: what a normal distribution around the estimate says of the next token."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.errors import NoEstimate, SpecificationError
from statlm.likelihood import Likelihood, Penalised
from statlm.numerics.types import Array, Matrix
from statlm.numerics.unique_rows import bits_for, unique_rows
from statlm.text.corpus import Corpus

TABLE_MEMORY = 7  # lags up to which contexts recur often enough to be scored once each
TABLE_SHARE = 4.0  # a table of contexts by types is used where it has no more numbers than this many times the text
STATIONARY = 1e-4  # of the gradient: how far the penalty may be from balancing the likelihood


@dataclass(frozen=True, eq=False)
class LaplaceDraws:
    """Draws of a normal distribution around an estimate.

    Parameters
    ----------
    model : Likelihood
    params : (S, p) array
    half_distance : (S,) array
        Half the squared distance of each draw from the estimate, in the metric of its precision: minus the log-density of the
        normal distribution, up to a constant.
    precision : (p, p) matrix or None
        Of the normal prior with mean 0; None for a flat one.
    """

    model: Likelihood
    params: Array
    half_distance: Array
    precision: Matrix | None

    def pairs(self, corpus: Corpus) -> tuple[Array, Array]:
        """(S, M) log-probabilities of distinct (context, token) pairs, and the (nobs,) pair of each observation."""
        nobs, size, memory = corpus.nobs, corpus.vocabulary.size, self.model.memory
        one_by_one = memory is None or memory > TABLE_MEMORY
        contexts, context = distinct_contexts(corpus, 0 if memory is None or one_by_one else memory)
        if one_by_one or len(contexts) * size > TABLE_SHARE * nobs:
            return np.stack([self._at(s, corpus) for s in range(len(self.params))]), np.arange(nobs)
        targets = corpus.targets.astype(np.int64)
        keys, index = np.unique(context * corpus.vocabulary.nids + targets, return_inverse=True)
        row, token = np.divmod(keys, corpus.vocabulary.nids)
        inside = token < size
        result = np.full((len(self.params), len(keys)), -np.inf)
        for s in range(len(self.params)):
            result[s, inside] = self.logprobs(s, contexts)[row[inside], token[inside]]
        return result, index

    def logprobs(self, draw: int, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token under one draw; not numbers where it lies outside of the space."""
        try:
            return self.model.at(self.params[draw]).logprobs(contexts)
        except SpecificationError:
            return np.full((len(contexts), self.model.corpus.vocabulary.size), -np.inf)

    def log_ratio(self) -> Array:
        """(S,) log-density of the prior less that of the normal distribution of the draws, up to a constant."""
        if self.precision is None:
            return self.half_distance
        return self.half_distance - 0.5 * (self.params * np.asarray(self.precision @ self.params.T).T).sum(axis=1)

    def _at(self, draw: int, corpus: Corpus) -> Array:
        try:
            return self.model.at(self.params[draw]).on(corpus).loglike_obs()
        except SpecificationError:
            return np.full(corpus.nobs, -np.inf)


def distinct_contexts(corpus: Corpus, memory: int) -> tuple[Array, Array]:
    """(C, memory) distinct contexts, oldest token first, and the (nobs,) one of each observation."""
    if memory == 0:
        return np.zeros((1, 0), np.int64), np.zeros(corpus.nobs, np.int64)
    found = unique_rows(corpus.context_columns(memory), bits_for(corpus.vocabulary.nids), index=True)
    assert found.index is not None
    return np.stack(found.columns[::-1], axis=1), found.index


def check_flat_prior(model: Likelihood, name: str) -> None:
    """Raise NoEstimate where a flat prior leaves the posterior improper: parameters that have no finite estimate."""
    lost = model.dof - len(model.params)
    if lost > 0:
        raise NoEstimate(
            f"{lost:,} of the {model.dof:,} parameters of the {name} have no finite estimate inside of their space (tokens "
            "that never follow a context: coefficients at infinity, probabilities of 0). Under a flat prior the posterior "
            "does not integrate to 1 there, so it has no draws. Give a prior: SoftmaxRegression(lags, penalty='ridge', "
            "strength=1), or for an n-gram posterior(fit, prior=0.5); or merge rare types (min_count=)."
        )


def quadratic_prior(model: Likelihood, name: str) -> Matrix:
    """Precision of the normal prior with mean 0 that a penalty amounts to.

    Raises
    ------
    SpecificationError
        If the penalty does not balance the likelihood there: the model is not at its estimate, or its penalty is of another
        form.
    """
    assert isinstance(model, Penalised)
    precision = model.penalty_curvature()
    gradient = np.asarray(model.score().T @ np.ones(model.corpus.nobs)).ravel()
    pull = np.asarray(precision @ model.params).ravel()
    scale = max(np.abs(gradient).max(initial=0.0), np.abs(pull).max(initial=0.0), 1e-9 * model.corpus.nobs)
    if np.abs(gradient - pull).max(initial=0.0) > STATIONARY * scale:
        raise SpecificationError(
            f"The {name} does not stand where its likelihood and a normal prior balance (gradients of "
            f"{np.abs(gradient).max():.3g} and {np.abs(pull).max():.3g}), so Laplace's approximation there would be of "
            "another posterior. Pass the fit itself, on the corpus it was fitted to; an n-gram with a pseudo-count has an "
            "exact posterior: method='exact'."
        )
    return precision
