"""A ridge penalty on multinomial coefficients that does not depend on which class is the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.numerics.types import Array


@dataclass(frozen=True, eq=False)
class Ridge:
    r"""Half the sum of squares of the coefficients about their mean over classes, weighted by column.

    :math:`\tfrac12 \sum_a s_a \sum_j (B_{aj} - \bar B_a)^2`: penalising deviations from the mean over all J classes, instead of
    from the reference, gives the same fit whatever the reference.

    Parameters
    ----------
    strength : (P,) array
        Weight of each column; 0 for the intercept, which is not penalised.
    nclasses : int
        Number J of classes.
    """

    strength: Array
    nclasses: int

    def value(self, coefficients: Array) -> float:
        """The penalty of (P, J) coefficients."""
        return 0.5 * float((coefficients * self.product(coefficients)).sum())

    def product(self, direction: Array) -> Array:
        """(P, J) product of the penalty's matrix with a (P, J) direction."""
        return self.strength[:, None] * (direction - direction.mean(axis=1, keepdims=True))

    def toarray(self, index: tuple[Array, Array]) -> Array:
        """The dense matrix on the coefficients with these columns and classes."""
        columns, classes = index
        same_column = columns[:, None] == columns
        same = same_column & (classes[:, None] == classes)
        return self.strength[columns][:, None] * (same - np.where(same_column, 1.0 / self.nclasses, 0.0))
