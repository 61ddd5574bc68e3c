"""The inverse of the information."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.covariance.bread import bread
from statlm.covariance.functionals import quadratic_forms
from statlm.likelihood import Likelihood
from statlm.likelihood.composite import check_full_likelihood
from statlm.numerics.linalg import factorise, solve
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array, Matrix


@dataclass(frozen=True)
class NonRobust:
    """Inverse of the information: right where the model is right."""

    def of(self, model: Likelihood, gradients: Matrix) -> Array:
        """(q, q) ``g H^-1 g'``."""
        check_full_likelihood(model, "The inverse of the information")
        return dense(gradients @ solve(bread(model), gradients.T))

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) diagonal."""
        check_full_likelihood(model, "The inverse of the information")
        inverse = factorise(bread(model))
        return inverse.inverse_diagonal() if gradients is None else quadratic_forms(gradients, inverse.solve)

    def reference_dof(self, model: Likelihood) -> float:
        """The normal distribution."""
        return np.inf

    def describe(self, model: Likelihood) -> str:
        """In words."""
        return "nonrobust (the model is right)"
