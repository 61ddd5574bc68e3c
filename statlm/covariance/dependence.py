"""The variance of a sum under an assumption on dependence: one idea that serves parameters, perplexity and comparisons.

Applied to scores it is the meat of the sandwich; to log-likelihoods, the error of perplexity; to their differences,
the paired and Vuong tests. Each assumption is one small frozen object in a file of its own.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from statlm.numerics.types import Array, Matrix
from statlm.text.corpus import Corpus


@runtime_checkable
class Dependence(Protocol):
    """An assumption on how the observations of a corpus depend on each other."""

    def factor(self, x: Matrix, corpus: Corpus) -> Matrix:
        """A matrix F, (rows, p), with ``F'F`` the estimated variance of the sum of the rows of x.

        Parameters
        ----------
        x : (nobs, p) array, sparse array or RepeatedRows
            One row an observation, of mean zero (scores at an estimate, or centred log-likelihoods).
        corpus : Corpus
            Says which observations form documents, and their order.
        """
        ...

    def reference_dof(self, corpus: Corpus) -> float:
        """Degrees of freedom of the t distribution to refer ratios to; ``inf`` for the normal."""
        ...

    def describe(self, corpus: Corpus) -> str:
        """The assumption in words, with its numbers on this corpus."""
        ...


@runtime_checkable
class SeriesDependence(Protocol):
    """An assumption that gives the variance of a mean for a single series, not for a matrix of scores (a bootstrap)."""

    def variance_of_sum(self, x: Array, corpus: Corpus) -> float:
        """Variance of the sum of one (nobs,) series of mean zero."""
        ...

    def reference_dof(self, corpus: Corpus) -> float:
        """Degrees of freedom of the t distribution to refer ratios to; ``inf`` for the normal."""
        ...

    def describe(self, corpus: Corpus) -> str:
        """The assumption in words, with its numbers on this corpus."""
        ...


def variance_of_sum(x: Array, corpus: Corpus, dependence: Dependence | SeriesDependence) -> float:
    """Variance of the sum of one (nobs,) series of mean zero, under an assumption on dependence."""
    if isinstance(dependence, SeriesDependence):
        return dependence.variance_of_sum(x, corpus)
    factor = dependence.factor(np.asarray(x, float)[:, None], corpus)
    along = np.asarray(factor @ np.ones((1, 1)))
    return float((along**2).sum())
