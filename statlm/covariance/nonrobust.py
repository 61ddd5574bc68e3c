"""The inverse of the information."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.covariance.functionals import quadratic_forms
from statlm.likelihood import Likelihood
from statlm.numerics.linalg import inverse_diagonal, solve
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array, Matrix


@dataclass(frozen=True)
class NonRobust:
    """Inverse of the information: right where the model is right."""

    def of(self, model: Likelihood, gradients: Matrix) -> Array:
        """(q, q) ``g H^-1 g'``."""
        return dense(gradients @ solve(model.information(), gradients.T))

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) diagonal."""
        information = model.information()
        if gradients is None:
            return inverse_diagonal(information)
        return quadratic_forms(gradients, lambda g: solve(information, g))

    def reference_dof(self, model: Likelihood) -> float:
        """The normal distribution."""
        return np.inf

    def describe(self, model: Likelihood) -> str:
        """In words."""
        return "nonrobust (the model is right)"
