"""The sandwich: right standard errors where the model is wrong, under a stated dependence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from statlm.covariance.bread import bread
from statlm.covariance.dependence import Dependence
from statlm.covariance.functionals import row_slices
from statlm.covariance.independent import Independent
from statlm.likelihood import Likelihood
from statlm.numerics.linalg import factorise, identity, solve
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array, Matrix


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
        along = dense(factor @ solve(bread(model), gradients.T))  # (rows, q)
        return along.T @ along

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) diagonal."""
        inverse = factorise(bread(model))
        factor = self.dependence.factor(model.score(), model.corpus)
        gradients = identity(factor.shape[1]) if gradients is None else gradients
        parts = []
        for some in row_slices(gradients, factor.shape[0]):
            along = dense(factor @ inverse.solve(some.T))
            parts.append((along**2).sum(axis=0))
        return np.concatenate(parts) if parts else np.zeros(0)

    def reference_dof(self, model: Likelihood) -> float:
        """That of the dependence."""
        return self.dependence.reference_dof(model.corpus)

    def describe(self, model: Likelihood) -> str:
        """In words."""
        return f"sandwich, {self.dependence.describe(model.corpus)}"
