"""The multinomial logit whose coefficient matrix has low rank: log-likelihood, gradient, curvature products.

Notation: C contexts, P columns of the design (without an intercept), J classes, rank r. The linear predictors are
``eta_c = b + Z_c B'`` with ``Z = X A``; `left` is the (P, r) matrix A, `right` the (J, r) matrix B, `intercepts` the (J,) b. All
classes have a row: which directions are redundant is the business of the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from statlm.numerics.grouped_logit import log_softmax
from statlm.numerics.types import Array

# Numbers in an array of directions by contexts by classes that is held at a time: 64 MB.
HELD = 1 << 23


@dataclass(frozen=True, eq=False)
class Factors:
    """Intercepts (..., J), left (..., P, r) and right (..., J, r): a point, or with a leading axis several directions."""

    intercepts: Array
    left: Array
    right: Array

    @property
    def rank(self) -> int:
        """Number r of columns."""
        return int(self.left.shape[-1])

    def packed(self) -> Array:
        """(..., J + P r + J r) one vector of all."""
        lead = self.intercepts.shape[:-1]
        sizes = [self.left.shape[-2] * self.rank, self.right.shape[-2] * self.rank]
        return np.concatenate(
            [self.intercepts, self.left.reshape(*lead, sizes[0]), self.right.reshape(*lead, sizes[1])], axis=-1
        )

    def unpacked(self, vector: Array) -> Factors:
        """The factors of a (..., J + P r + J r) vector, shaped as these."""
        lead = vector.shape[:-1]
        nclasses, ncolumns = self.right.shape[-2], self.left.shape[-2]
        intercepts, left, right = np.split(vector, [nclasses, nclasses + ncolumns * self.rank], axis=-1)
        return Factors(intercepts, left.reshape(*lead, ncolumns, self.rank), right.reshape(*lead, nclasses, self.rank))


@dataclass(frozen=True, eq=False)
class LowRankLogit:
    """A table of contexts at a point.

    Parameters
    ----------
    design : (C, P) sparse array
    counts : (C, J) array
    at : Factors
    """

    design: sparse.csr_array
    counts: Array
    at: Factors

    def moved(self, to: Factors) -> LowRankLogit:
        """The same table at another point."""
        return LowRankLogit(self.design, self.counts, to)

    @cached_property
    def totals(self) -> Array:
        """(C,) observations of each context."""
        return self.counts.sum(axis=1)

    @cached_property
    def nobs(self) -> float:
        """Number of observations."""
        return float(self.counts.sum())

    @cached_property
    def scores(self) -> Array:
        """(C, r) Z, the places of the contexts in the low-dimensional space."""
        return np.asarray(self.design @ self.at.left)

    @cached_property
    def log_probabilities(self) -> Array:
        """(C, J)."""
        return log_softmax(self.at.intercepts + self.scores @ self.at.right.T, np.ones((1, 1), bool))

    @cached_property
    def loglike(self) -> float:
        """Log-likelihood in nats."""
        seen = self.counts > 0
        return float((self.counts[seen] * self.log_probabilities[seen]).sum())

    @cached_property
    def weights(self) -> Array:
        """(C, J) expected counts ``n_c p_cj``."""
        return self.totals[:, None] * np.exp(self.log_probabilities)

    @cached_property
    def residuals(self) -> Array:
        """(C, J) observed minus expected counts."""
        return self.counts - self.weights

    def gradient(self) -> Factors:
        """Gradient of the log-likelihood."""
        residuals = self.residuals
        return Factors(residuals.sum(axis=0), self.transposed @ (residuals @ self.at.right), residuals.T @ self.scores)

    @cached_property
    def transposed(self) -> sparse.csr_array:
        """(P, C) the design's transpose."""
        return sparse.csr_array(self.design.T)

    def predictors(self, along: Factors) -> Array:
        """(q, C, J) derivative of the linear predictors along q directions."""
        return self._contexts_moved(along)[0]

    def product(self, along: Factors, exact: bool = True) -> Factors:
        """Minus the second derivative of the log-likelihood, or its expectation, times q directions."""
        q = len(along.intercepts)
        step = max(1, HELD // self.counts.size)
        parts = [self._product(_some(along, slice(i, i + step)), exact) for i in range(0, q, step)]
        return Factors(
            np.concatenate([part.intercepts for part in parts]),
            np.concatenate([part.left for part in parts]),
            np.concatenate([part.right for part in parts]),
        )

    def _product(self, along: Factors, exact: bool) -> Factors:
        moved, scores = self._contexts_moved(along)
        moved -= (self._shares * moved).sum(axis=2, keepdims=True)
        moved *= self.weights  # (q, C, J)
        left, right = moved @ self.at.right, moved.transpose(0, 2, 1) @ self.scores  # (q, C, r) and (q, J, r)
        if exact:  # the predictors are bilinear, and their own curvature is weighted by residuals whose expectation is 0
            left -= self.residuals @ along.right
            right -= self.residuals.T @ scores
        return Factors(moved.sum(axis=1), _each(self.transposed, left), right)

    def _contexts_moved(self, along: Factors) -> tuple[Array, Array]:
        scores = _each(self.design, along.left)  # (q, C, r)
        moved = scores @ self.at.right.T
        moved += self.scores @ along.right.transpose(0, 2, 1)
        moved += along.intercepts[:, None, :]
        return moved, scores

    @cached_property
    def _shares(self) -> Array:
        return np.exp(self.log_probabilities)

    def left_blocks(self) -> Array:
        """(P, r, r) expected information of each row of the left factor by itself."""
        right, weights, rank = self.at.right, self.weights, self.at.rank
        pairs = (right[:, :, None] * right[:, None, :]).reshape(len(right), rank**2)
        mean = self._shares @ right
        blocks = weights @ pairs - (self.totals[:, None, None] * mean[:, :, None] * mean[:, None, :]).reshape(
            len(mean), rank**2
        )
        squared = self.transposed.multiply(self.transposed)
        return np.asarray(squared @ blocks).reshape(self.design.shape[1], rank, rank)

    def right_blocks(self) -> Array:
        """(J, 1 + r, 1 + r) expected information of each class by itself: its intercept and its row of the right factor."""
        z = np.concatenate([np.ones((len(self.scores), 1)), self.scores], axis=1)
        pairs = (z[:, :, None] * z[:, None, :]).reshape(len(z), -1)
        return np.asarray((self.weights * (1 - self._shares)).T @ pairs).reshape(-1, z.shape[1], z.shape[1])


def _some(along: Factors, which: slice) -> Factors:
    return Factors(along.intercepts[which], along.left[which], along.right[which])


def _each(matrix: sparse.csr_array, stacked: Array) -> Array:
    """(q, m, r) product of a sparse (m, n) matrix with each of q (n, r) arrays."""
    q, n, r = stacked.shape
    flat = stacked.transpose(1, 0, 2).reshape(n, q * r)
    return np.asarray(matrix @ flat).reshape(matrix.shape[0], q, r).transpose(1, 0, 2)
