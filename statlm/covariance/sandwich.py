"""The sandwich: right standard errors where the model is wrong, under a stated dependence."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sparse

from statlm.covariance.bread import bread
from statlm.covariance.dependence import Dependence
from statlm.covariance.functionals import HELD, row_slices
from statlm.covariance.independent import Independent
from statlm.errors import FewClustersWarning, NoEstimate
from statlm.likelihood import Likelihood
from statlm.numerics.linalg import factorise, identity, solve
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array, Matrix

FILLED = 0.1  # share of entries from which a sparse factor is multiplied as an array
NOTHING = 1e-18  # of the model-based variance: nine digits of a standard error


@runtime_checkable
class WithCrossproduct(Protocol):
    """A tall matrix F that knows ``F'F`` more cheaply than its products with all unit vectors."""

    def crossproduct(self) -> Array | None:
        """(p, p) ``F'F``; None where it is not cheaper."""
        ...


@runtime_checkable
class WithSumOfSquares(Protocol):
    """A tall matrix F that knows sums of squares of ``F u`` more cheaply than the products."""

    def sum_of_squares(self, directions: Array) -> Array:
        """(q,) sums of squares of the products with (p, q) directions."""
        ...


@dataclass(frozen=True)
class Sandwich:
    """``H^-1 J H^-1`` with J the variance of the summed scores under an assumption on dependence.

    Parameters
    ----------
    dependence : Independent, Clustered or HAC
        HC0, cluster-robust and HAC errors respectively.

    References
    ----------
    Huber (1967); White (1982); Liang and Zeger (1986); Newey and West (1987).
    """

    dependence: Dependence = field(default_factory=Independent)

    def of(self, model: Likelihood, gradients: Matrix) -> Array:
        """(q, q) ``g H^-1 J H^-1 g'``."""
        factor = self.dependence.factor(model.score(), model.corpus)
        solved = solve(bread(model), gradients.T)
        along = dense(factor @ solved)  # (rows, q)
        covariance = along.T @ along
        lost = _lost(np.diag(covariance), gradients, solved)
        if lost.any():
            raise NoEstimate(
                f"{np.count_nonzero(lost):,} of {len(lost):,} quantities rest on a single document, or on documents that agree "
                "exactly: their scores sum to zero, so how they would vary between documents cannot be seen and they have no "
                f"covariance under {self.dependence.describe(model.corpus)}. Leave them out, or use more documents."
            )
        return covariance

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) diagonal."""
        inverse = factorise(bread(model))
        factor = self.dependence.factor(model.score(), model.corpus)
        meat = factor.crossproduct() if gradients is None and isinstance(factor, WithCrossproduct) else None
        factor = _filled(factor)
        gradients = identity(factor.shape[1]) if gradients is None else gradients
        parts = []
        nlost = 0
        for some in row_slices(gradients, factor.shape[0] if meat is None else 0):
            solved = inverse.solve(some.T)
            if meat is None and isinstance(factor, WithSumOfSquares):
                variance = factor.sum_of_squares(dense(solved))
            else:
                variance = (dense(factor @ solved) ** 2 if meat is None else solved * (meat @ dense(solved))).sum(axis=0)
            lost = _lost(variance, some, solved)
            nlost += int(np.count_nonzero(lost))
            parts.append(np.where(lost, np.inf, variance))
        if nlost:
            warnings.warn(
                f"{nlost:,} of {gradients.shape[0]:,} standard errors rest on a single document, or on documents that agree "
                "exactly: their scores sum to zero, so how the quantity would vary between documents cannot be seen. They are "
                'given as infinite. More documents, or cov="HC0" or "HAC", would tell.',
                FewClustersWarning,
                stacklevel=2,
            )
        return np.concatenate(parts) if parts else np.zeros(0)

    def reference_dof(self, model: Likelihood) -> float:
        """That of the dependence."""
        return self.dependence.reference_dof(model.corpus)

    def describe(self, model: Likelihood) -> str:
        """In words."""
        words = f"sandwich, {self.dependence.describe(model.corpus)}"
        p, groups = len(model.params), self.dependence.reference_dof(model.corpus) + 1
        if groups > p:
            return words
        return f"{words}; {p:,} parameters, so joint tests hold for up to {groups - 1:.0f} of them at a time"


def _filled(factor: Matrix) -> Matrix:
    """The same matrix, as an array where it is sparse in name only: products are then several times faster."""
    if not sparse.issparse(factor):
        return factor
    entries = factor.shape[0] * factor.shape[1]
    return factor.toarray() if entries <= HELD and factor.nnz > FILLED * entries else factor


def _lost(variance: Array, gradients: Matrix, solved: Matrix) -> Array:
    """(q,) whether a variance is rounding error beside the model-based one, so that it says nothing."""
    if sparse.issparse(gradients):
        model_based = np.asarray(sparse.csr_array(gradients).multiply(solved.T).sum(axis=1)).ravel()
    else:
        model_based = (gradients * dense(solved).T).sum(axis=1)
    return (variance <= NOTHING * model_based) & (model_based > 0)
