"""A softmax regression with its covariates held at one value each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from statlm.models.softmax.covariates import Values
from statlm.numerics.repeated_rows import RepeatedRows
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

if TYPE_CHECKING:
    from statlm.models.softmax.likelihood import SoftmaxLikelihood


@dataclass(frozen=True, eq=False)
class HeldCovariates:
    """The distribution of a softmax regression with its covariates held at one value each.

    A distribution only: its parameters and their errors are those of the fit, whose corpus has the covariates that it has.

    Parameters
    ----------
    model : SoftmaxLikelihood
        On its training corpus.
    values : Values
        One row.
    corpus : Corpus
    """

    model: SoftmaxLikelihood
    values: Values
    corpus: Corpus

    @cached_property
    def _standing(self) -> SoftmaxLikelihood:
        return replace(self.model, corpus=self.corpus, held=self.values)

    @property
    def memory(self) -> int:
        """Number of lags."""
        return self.model.memory

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        return self._standing.loglike_obs()

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token, nats."""
        return self._standing.logprobs(contexts)

    def on(self, corpus: Corpus) -> HeldCovariates:
        """The same distribution on another corpus of the same vocabulary."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return replace(self, corpus=corpus)

    def score(self) -> RepeatedRows:
        """(nobs, p) derivative of `loglike_obs` with respect to the parameters of the model."""
        return self._standing.score()

    def unseen(self, contexts: Array) -> Array:
        """(m,) whether a context holds a token that training never saw at its lag."""
        return self.model.unseen(contexts)

    def upper_limits(self, contexts: Array, alpha: float) -> Array:
        """(m, V) one-sided upper limits for the tokens that have probability 0, from the training corpus."""
        return self.model.upper_limits(contexts, alpha, self.values)
