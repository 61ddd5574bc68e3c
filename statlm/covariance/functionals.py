"""What a covariance is asked for: functionals of the parameters, never a p x p matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sparse

from statlm.likelihood import Likelihood
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array, Matrix

# Numbers held at a time, 128 MB: memory then grows with the observations or the parameters, and not with their product.
HELD = 1 << 24


@runtime_checkable
class Covariance(Protocol):
    """How to estimate the covariance of functionals of the parameters."""

    def of(self, model: Likelihood, gradients: Matrix) -> Array:
        """(q, q) covariance of functionals.

        Parameters
        ----------
        model : Likelihood
            At its estimate, on the corpus it was fitted to.
        gradients : (q, p) array or sparse array
            A row the gradient of a functional with respect to the parameters.
        """
        ...

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) diagonal of `of`, of all parameters where `gradients` is None; never forms a matrix."""
        ...

    def reference_dof(self, model: Likelihood) -> float:
        """Degrees of freedom of the t distribution to refer ratios to; ``inf`` for the normal."""
        ...

    def describe(self, model: Likelihood) -> str:
        """The assumption in words."""
        ...


def row_slices(gradients: Matrix, height: int = 0) -> list[Matrix]:
    """The rows of a (q, p) matrix of gradients, as many at a time as keep (p, rows) and (height, rows) arrays within `HELD`."""
    height = max(height, gradients.shape[1])
    gradients = sparse.csr_array(gradients) if sparse.issparse(gradients) else np.asarray(gradients)
    width = min(max(HELD // max(height, 1), 1), 256)
    return [gradients[i : i + width] for i in range(0, gradients.shape[0], width)]


def quadratic_forms(gradients: Matrix, solved: Callable[[Matrix], Matrix]) -> Array:
    """(q,) diagonal of ``g solved(g')`` for a (q, p) matrix of gradients."""
    parts = []
    for some in row_slices(gradients):
        inverse = solved(some.T)
        if sparse.issparse(some):
            parts.append(np.asarray(some.multiply(inverse.T).sum(axis=1)).ravel())
        else:
            parts.append((some * dense(inverse).T).sum(axis=1))
    return np.concatenate(parts) if parts else np.zeros(0)
