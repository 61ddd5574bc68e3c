"""Scores of a low-rank logit, a row for each distinct pair of context and token, never written out.

A row holds a number for every parameter, and for a thousand words the rows together would not fit into memory; their products
cost as much as the table of contexts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.numerics.low_rank_chart import Chart
from statlm.numerics.low_rank_logit import Factors, LowRankLogit
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array, Matrix

MAX_ENTRIES = 20_000_000  # of the rows up to which they are written out all the same: 160 MB


@dataclass(frozen=True, eq=False)
class ScoreRows:
    """The (K, p) matrix of the derivatives of ``log p(token | context)``.

    Parameters
    ----------
    chart : Chart
    data : LowRankLogit
    context, target : (K,) integer arrays
        Row of the table and class of each pair.
    """

    chart: Chart
    data: LowRankLogit
    context: Array
    target: Array

    @property
    def shape(self) -> tuple[int, int]:
        """(K, p)."""
        return len(self.context), self.chart.size

    @property
    def T(self) -> TransposedCombined:
        """The transpose, good for products."""
        return TransposedCombined(Combined(None, self))

    def __matmul__(self, other: Matrix) -> Array:
        right = dense(other).astype(float)
        columns = right[:, None] if right.ndim == 1 else right
        shares = np.exp(self.data.log_probabilities)
        result = np.empty((len(self.context), columns.shape[1]))
        for i, column in enumerate(columns.T):
            moved = self.data.predictors(self.chart.embedded(column[None]))[0]
            mean = (shares * moved).sum(axis=1)
            result[:, i] = moved[self.context, self.target] - mean[self.context]
        return result[:, 0] if right.ndim == 1 else result

    def __rmatmul__(self, other: Matrix) -> Combined:
        return Combined(other, self)

    def __getitem__(self, which: Array) -> Array:
        """(m, p) array of some of the rows."""
        context, target = self.context[which], self.target[which]
        residual = -np.exp(self.data.log_probabilities[context])
        residual[np.arange(len(context)), target] += 1.0
        left = dense(self.data.design[context])[:, :, None] * (residual @ self.data.at.right)[:, None, :]
        right = residual[:, :, None] * self.data.scores[context][:, None, :]
        return self.chart.coordinates(Factors(residual, left, right))

    def summed(self, weights: Array) -> Array:
        """(p, q) products of the transpose with (K, q) weights."""
        result = np.empty((self.chart.size, weights.shape[1]))
        shares = np.exp(self.data.log_probabilities)
        for i, column in enumerate(weights.T):
            table = np.zeros(shares.shape)
            np.add.at(table, (self.context, self.target), column)
            table -= shares * table.sum(axis=1, keepdims=True)
            along = Factors(
                table.sum(axis=0), self.data.transposed @ (table @ self.data.at.right), table.T @ self.data.scores
            )
            result[:, i] = self.chart.coordinates(along)
        return result


class Combined:
    """Linear combinations of `ScoreRows`: sums by document, say. Products are lazy, its array is made on request.

    Parameters
    ----------
    weights : (m, K) matrix or None
        None stands for the identity.
    rows : ScoreRows
    """

    def __init__(self, weights: Matrix | None, rows: ScoreRows) -> None:
        self.weights = weights
        self.rows = rows
        self.shape = (rows.shape[0] if weights is None else weights.shape[0], rows.shape[1])

    def __matmul__(self, other: Matrix) -> Array:
        product = self.rows @ other
        return product if self.weights is None else dense(self.weights @ product)

    def __mul__(self, factor: float) -> Combined:
        return Combined(factor if self.weights is None else self.weights * factor, self.rows)

    @property
    def T(self) -> TransposedCombined:
        """The transpose, good for products."""
        return TransposedCombined(self)

    def __array__(self, dtype: object = None, copy: object = None) -> Array:
        return np.stack([self.T @ row for row in np.eye(self.shape[0])]) if self.shape[0] else np.zeros(self.shape)


class TransposedCombined:
    """Transpose of a `Combined`."""

    def __init__(self, of: Combined) -> None:
        self.T = of
        self.shape = of.shape[::-1]

    def __matmul__(self, other: Matrix) -> Array:
        if isinstance(other, Combined):
            other = np.asarray(other)
        right = dense(other).astype(float)
        columns = right[:, None] if right.ndim == 1 else right
        weights = columns if self.T.weights is None else dense(self.T.weights.T @ columns)
        found = self.T.rows.summed(weights)
        return found[:, 0] if right.ndim == 1 else found
