"""A tall matrix each row of which is the outer product of two short ones: the score of a multinomial logit on dense features."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator

from statlm.numerics.types import Array

HELD = 1 << 24  # numbers at a time


class OuterRows(LinearOperator):  # type: ignore[misc]  # scipy has no types
    """The (n, J D) matrix with row i the outer product of ``left[i]`` and ``right[i]``, end to end; never formed.

    Parameters
    ----------
    left : (n, J) array
    right : (n, D) array

    Examples
    --------
    >>> rows = OuterRows(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    >>> rows.toarray().tolist(), (rows @ np.ones(4)).tolist()
    ([[3.0, 4.0, 6.0, 8.0]], [21.0])
    """

    def __init__(self, left: Array, right: Array) -> None:
        super().__init__(np.float64, (len(left), left.shape[1] * right.shape[1]))
        self.left, self.right = left, right

    def _matmat(self, directions: Array) -> Array:
        n, j, d, q = len(self.left), self.left.shape[1], self.right.shape[1], directions.shape[1]
        columns = np.asarray(directions, float).reshape(j, d, q).transpose(1, 0, 2).reshape(d, j * q)
        result = np.empty((n, q))
        step = max(1, HELD // (j * q))
        for start in range(0, n, step):
            some = slice(start, start + step)
            along = (self.right[some] @ columns).reshape(-1, j, q)
            result[some] = np.einsum("nj,njq->nq", self.left[some], along)
        return result

    def _matvec(self, direction: Array) -> Array:
        return self._matmat(np.asarray(direction).reshape(-1, 1))[:, 0]

    def _rmatmat(self, weights: Array) -> Array:
        return np.stack([((self.left * w[:, None]).T @ self.right).ravel() for w in np.asarray(weights, float).T], axis=1)

    def _rmatvec(self, weights: Array) -> Array:
        return self._rmatmat(np.asarray(weights).reshape(-1, 1))[:, 0]

    def toarray(self) -> Array:
        """The dense (n, J D) array."""
        return (self.left[:, :, None] * self.right[:, None, :]).reshape(self.shape)
