"""The multinomial logit on a table of contexts: log-likelihood, derivatives, curvature products.

All costs depend on the number of distinct contexts, never on the number of observations.

Notation: C contexts, P design columns, J classes (reference included), ``x_c`` row c of the design, ``B`` the (P, J)
coefficients, ``eta = X B`` and ``p_c`` the softmax of ``eta_c`` over the classes that are possible in context c.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from statlm.numerics.types import Array

# Outer products of probabilities held at a time while the information is summed: 32 MB of float64.
BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class GroupedLogit:
    """The data of a multinomial logit.

    Parameters
    ----------
    design : (C, P) sparse array
    counts : (C, J) array
        How often each class followed each context.
    possible : (C, J) boolean array
        Classes that have positive probability; all with a positive count among them.
    free : (P, J) boolean array
        The coefficients that vary; the others keep their value.
    """

    design: sparse.csr_array
    counts: Array
    possible: Array
    free: Array

    @cached_property
    def totals(self) -> Array:
        """(C,) observations of each context."""
        return self.counts.sum(axis=1)

    @cached_property
    def nobs(self) -> float:
        """Number of observations."""
        return float(self.totals.sum())

    @cached_property
    def index(self) -> tuple[Array, Array]:
        """Column and class of each of the p free coefficients, class by class."""
        classes, columns = np.nonzero(self.free.T)
        return columns, classes

    @property
    def nfree(self) -> int:
        """Number p of free coefficients."""
        return int(np.count_nonzero(self.free))

    @cached_property
    def _transposed(self) -> sparse.csr_array:
        return sparse.csr_array(self.design.T)

    @cached_property
    def _column_pairs(self) -> tuple[sparse.csr_array, Array, Array]:
        return _column_pairs(self.design)

    def log_probabilities(self, coefficients: Array) -> Array:
        """(C, J) log-probabilities, ``-inf`` where impossible."""
        return log_softmax(np.asarray(self.design @ coefficients), self.possible)

    def loglike(self, log_probabilities: Array) -> float:
        """Log-likelihood in nats."""
        seen = self.counts > 0
        return float((self.counts[seen] * log_probabilities[seen]).sum())

    def gradient(self, probabilities: Array) -> Array:
        """(P, J) gradient of the log-likelihood; entries that are not free are zero."""
        residual = self.counts - self.totals[:, None] * probabilities
        return np.where(self.free, self._transposed @ residual, 0.0)

    def curvature(self, weights: Array) -> Curvature:
        """Information at the (C, J) weights ``n_c p_cj``."""
        return Curvature(self, weights)


class Curvature:
    r"""The matrix :math:`\sum_c (\mathrm{diag}(w_c) - w_c w_c' / \bar w_c) \otimes x_c x_c'` on the free coefficients.

    With :math:`w_{cj} = n_c p_{cj}` and :math:`\bar w_c = \sum_j w_{cj}` it is the information of the multinomial logit; with
    other weights the normal matrix of a least-squares problem with an effect for each context.

    Parameters
    ----------
    data : GroupedLogit
    weights : (C, J) array
    """

    def __init__(self, data: GroupedLogit, weights: Array) -> None:
        self.data = data
        self.weights = weights
        self.shape = (data.nfree, data.nfree)
        total = weights.sum(axis=1, keepdims=True)
        self._share = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)

    def __matmul__(self, direction: Array) -> Array:
        """Product with a (p,) direction; costs two sparse products."""
        data = self.data
        full = np.zeros(data.free.shape)
        full[data.index] = direction
        return self.product(full)[data.index]

    def product(self, direction: Array) -> Array:
        """(P, J) product with a (P, J) direction, before the restriction to the free coefficients."""
        moved = np.asarray(self.data.design @ direction)  # (C, J)
        mean = (self._share * moved).sum(axis=1, keepdims=True)
        return np.asarray(self.data._transposed @ (self.weights * (moved - mean)))

    def toarray(self) -> Array:
        """The dense (p, p) matrix, summed over pairs of design columns that occur together."""
        data = self.data
        ncolumns, nclasses = data.free.shape
        pairs, first, second = data._column_pairs
        step = max(1, BLOCK // nclasses**2)
        blocks = np.zeros((len(first), nclasses * nclasses))
        for start in range(0, len(self.weights), step):
            w, share = self.weights[start : start + step], self._share[start : start + step]
            outer = -w[:, :, None] * share[:, None, :]  # (c, J, J)
            diagonal = np.arange(nclasses)
            outer[:, diagonal, diagonal] += w
            blocks += pairs[start : start + step].T @ outer.reshape(len(w), -1)
        position = np.full((ncolumns, nclasses), -1)
        position[data.index] = np.arange(data.nfree)
        matrix = np.zeros(self.shape)
        for start in range(0, len(first), step):
            part = slice(start, start + step)
            row, column = position[first[part]], position[second[part]]  # (pairs, J) each
            pair, i, j = np.nonzero((row >= 0)[:, :, None] & (column >= 0)[:, None, :])
            value = blocks[part].reshape(-1, nclasses, nclasses)[pair, i, j]
            row, column = row[pair, i], column[pair, j]
            matrix[row, column] = value
            matrix[column, row] = value
        return matrix

    def column_blocks(self) -> list[tuple[Array, Array]]:
        """For each design column the positions of its free coefficients and their (J_a, J_a) diagonal block."""
        data = self.data
        nclasses = data.free.shape[1]
        squared = sparse.csr_array(data.design.multiply(data.design).T)
        step = max(1, BLOCK // nclasses**2)
        outer = np.zeros((data.free.shape[0], nclasses * nclasses))
        for start in range(0, len(self.weights), step):
            w, share = self.weights[start : start + step], self._share[start : start + step]
            outer -= squared[:, start : start + step] @ (w[:, :, None] * share[:, None, :]).reshape(len(w), -1)
        diagonal = squared @ self.weights  # (P, J)
        columns, classes = data.index
        position = np.full(data.free.shape, -1)
        position[columns, classes] = np.arange(data.nfree)
        result = []
        for a in range(data.free.shape[0]):
            here = np.flatnonzero(data.free[a])
            if len(here):
                block = outer[a].reshape(nclasses, nclasses)[np.ix_(here, here)] + np.diag(diagonal[a, here])
                result.append((position[a, here], block))
        return result


def log_softmax(eta: Array, possible: Array) -> Array:
    """(C, J) logarithm of the softmax of each row over its possible entries, ``-inf`` elsewhere."""
    eta = np.where(possible, eta, -np.inf)
    eta -= eta.max(axis=1, keepdims=True)
    eta -= np.log(np.exp(eta).sum(axis=1, keepdims=True))
    return eta


def _column_pairs(design: sparse.csr_array) -> tuple[sparse.csr_array, Array, Array]:
    """Products of pairs of columns: a (C, pairs) sparse array, and the two columns (first <= second) of each pair."""
    ncolumns = design.shape[1]
    lengths = np.diff(design.indptr)
    width = int(lengths.max(initial=0))
    # Rows padded to a common length, so that pairs are formed for all rows at once.
    padded = np.full((design.shape[0], width), -1)
    values = np.zeros((design.shape[0], width))
    row = np.repeat(np.arange(design.shape[0]), lengths)
    place = np.arange(design.nnz) - np.repeat(design.indptr[:-1], lengths)
    padded[row, place] = design.indices
    values[row, place] = design.data
    rows, keys, products = [], [], []
    for i in range(width):
        for j in range(i, width):
            both = np.flatnonzero((padded[:, i] >= 0) & (padded[:, j] >= 0))
            low = np.minimum(padded[both, i], padded[both, j])
            high = np.maximum(padded[both, i], padded[both, j])
            rows.append(both)
            keys.append(low.astype(np.int64) * ncolumns + high)
            products.append(values[both, i] * values[both, j])
    distinct, place = np.unique(np.concatenate(keys), return_inverse=True)
    table = sparse.csr_array(
        (np.concatenate(products), (np.concatenate(rows), place)), shape=(design.shape[0], len(distinct))
    )
    return table, distinct // ncolumns, distinct % ncolumns
