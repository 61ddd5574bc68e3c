"""The score of a network, (nobs, p), as products only."""

from __future__ import annotations

import numpy as np
import scipy.sparse.linalg

from statlm.networks.derivatives import Derivatives
from statlm.networks.differences import differenced
from statlm.networks.window_products import window_products
from statlm.numerics.kept_products import KeptProducts
from statlm.numerics.types import Array

FEW = 2  # directions up to which products go by observation
WORK = 1 << 34  # weights times observations times directions up to which products are exact
ENOUGH = 1_000  # windows from which random signs tell them to about 2 %


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
        self._windows = KeptProducts()

    def _matmat(self, directions: Array) -> Array:
        return self._kept.columns(np.asarray(directions, float), self._pushed)

    def _pushed(self, directions: Array) -> Array:
        """(n, q) products: exact, or by differences that agree with exact ones where those are much work."""
        found = differenced(self.derivatives, directions) if self._large(directions) else None
        return self.derivatives.pushed(directions) if found is None else found

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
        if self._kept.holds(directions):
            return self._by_observation(index, size, directions)
        ends = np.cumsum(windows.nscored)
        first, last = index[ends - windows.nscored], index[ends - 1]
        whole = bool(np.array_equal(first, last)) and bool((np.repeat(first, windows.nscored) == index).all())
        if whole and directions.shape[1] > FEW:
            result = np.zeros((size, directions.shape[1]))
            np.add.at(result, first, self._summed(directions)[: len(windows)])
            return result
        return self._by_observation(index, size, directions)

    def sum_of_squares(self, directions: Array) -> Array:
        r"""(q,) sums over observations of squared products with (p, q) directions.

        Along several directions, where that is much work, by random signs :math:`e_i` within windows:
        :math:`(\sum_{i \in w} e_i s_i' u)^2` has the sum of squares of the window as its expectation (Hutchinson 1990), and the
        relative error of a standard error made of W windows is about :math:`1 / \sqrt{2 W}`. The signs are the same each time.
        """
        directions = np.asarray(directions, float)
        windows = len(self.derivatives.reading.windows)
        several = directions.shape[1] > FEW
        if several and self._large(directions) and windows >= ENOUGH and not self._kept.holds(directions):
            found = self._summed(directions)
            if len(found) == 2 * windows:
                return np.asarray((found[windows:] ** 2).sum(axis=0))
        return np.asarray((self._matmat(directions) ** 2).sum(axis=0))

    def describe(self) -> list[str]:
        """A sentence on how products and sums of squares are made, where they are not exact."""
        d, windows = self.derivatives, len(self.derivatives.reading.windows)
        if d.nobs * d.nweights <= WORK:
            return []
        one = (
            "Scores along one quantity or two are central differences where these agree with derivatives to 0.2 % (root mean "
            "square), and else derivatives"
        )
        if windows < ENOUGH:
            return [one + "."]
        return [
            f"{one}; of more quantities at once, HC0 variances are from random signs within {windows:,} windows, with a relative "
            f"Monte-Carlo error of about {100 / np.sqrt(2 * windows):.1f} % in a standard error."
        ]

    def _large(self, directions: Array) -> bool:
        return self.derivatives.nobs * self.derivatives.nweights * directions.shape[1] > WORK

    def _summed(self, directions: Array) -> Array:
        """(2 W, q) sums by window, plain and with random signs; (W, q) plain ones where a network needs its gradients."""

        def sums(columns: Array) -> Array:
            found = window_products(self.derivatives, columns)
            return self.derivatives.by_window(columns) if found is None else np.concatenate(found)

        return self._windows.columns(directions, sums)

    def _by_observation(self, index: Array, size: int, directions: Array) -> Array:
        product = self._matmat(directions)
        return np.stack([np.bincount(index, weights=column, minlength=size) for column in product.T], axis=1)
