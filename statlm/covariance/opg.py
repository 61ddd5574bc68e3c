"""The inverse of the outer product of the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.covariance.functionals import quadratic_forms
from statlm.likelihood import Likelihood
from statlm.likelihood.composite import check_full_likelihood
from statlm.numerics.linalg import factorise, solve
from statlm.numerics.repeated_rows import crossproduct, dense
from statlm.numerics.types import Array, Matrix


@dataclass(frozen=True)
class OPG:
    """Inverse of the outer product of the scores (Berndt, Hall, Hall and Hausman 1974)."""

    def of(self, model: Likelihood, gradients: Matrix) -> Array:
        """(q, q) ``g J^-1 g'``."""
        check_full_likelihood(model, "The outer product of the scores")
        return dense(gradients @ solve(crossproduct(model.score()), gradients.T))

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) diagonal."""
        check_full_likelihood(model, "The outer product of the scores")
        inverse = factorise(crossproduct(model.score()))
        return inverse.inverse_diagonal() if gradients is None else quadratic_forms(gradients, inverse.solve)

    def reference_dof(self, model: Likelihood) -> float:
        """The normal distribution."""
        return np.inf

    def describe(self, model: Likelihood) -> str:
        """In words."""
        return "outer product of gradients (the model is right)"
