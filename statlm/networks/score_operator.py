"""The score of a network, (nobs, p), as products only."""

from __future__ import annotations

import numpy as np
import scipy.sparse.linalg

from statlm.networks.derivatives import Derivatives
from statlm.numerics.kept_products import KeptProducts
from statlm.numerics.types import Array

FEW = 2  # directions up to which sums by document go by observation


class NetworkScore(scipy.sparse.linalg.LinearOperator):  # type: ignore[misc]  # scipy has no types
    """The (nobs, p) matrix whose row i is the gradient of the log-likelihood of observation i.

    Products with it run over the text once; those made lately are kept, so that several covariances of one functional share
    them.

    Parameters
    ----------
    derivatives : Derivatives
    """

    def __init__(self, derivatives: Derivatives) -> None:
        super().__init__(np.float64, (derivatives.nobs, derivatives.nweights))
        self.derivatives = derivatives
        self._kept = KeptProducts()

    def _matmat(self, directions: Array) -> Array:
        return self._kept.columns(np.asarray(directions, float), self.derivatives.pushed)

    def _matvec(self, direction: Array) -> Array:
        return self._matmat(np.asarray(direction).reshape(-1, 1))[:, 0]

    def _rmatmat(self, weights: Array) -> Array:
        return self.derivatives.pulled(np.asarray(weights, float))

    def _rmatvec(self, weights: Array) -> Array:
        return self._rmatmat(np.asarray(weights).reshape(-1, 1))[:, 0]

    def toarray(self) -> Array:
        """The dense (nobs, p) array."""
        return self.derivatives.rows()

    def summed_product(self, index: Array, size: int, directions: Array) -> Array:
        """(size, q) product of the sums of the rows by group with (p, q) directions.

        From the gradients of windows, where groups are unions of windows and there are several directions: then ten of them cost
        little more than one.
        """
        directions = np.asarray(directions, float)
        windows = self.derivatives.reading.windows
        ends = np.cumsum(windows.nscored)
        first, last = index[ends - windows.nscored], index[ends - 1]
        whole = bool(np.array_equal(first, last)) and bool((np.repeat(first, windows.nscored) == index).all())
        if whole and directions.shape[1] > FEW and not self._kept.holds(directions):
            result = np.zeros((size, directions.shape[1]))
            np.add.at(result, first, self.derivatives.by_window(directions))
            return result
        product = self._matmat(directions)
        return np.stack([np.bincount(index, weights=column, minlength=size) for column in product.T], axis=1)
