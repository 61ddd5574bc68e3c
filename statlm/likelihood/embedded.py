"""What a model with embeddings offers to the verbs about similarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from statlm.numerics.types import Array


@dataclass(frozen=True, eq=False)
class Side:
    """Vectors of tokens, as one factor of a coefficient matrix whose other factor is `others`.

    The coefficients of token i, centred, are ``others @ vectors[i]``: its effect on each thing on the other side. Only these
    products mean something; both factors can be multiplied by an invertible matrix and its inverse.

    Attributes
    ----------
    tokens : tuple of m str
    vectors : (m, r) array
        Rows sum to zero.
    others : (k, r) array
        All that the other side has.
    """

    tokens: tuple[str, ...]
    vectors: Array
    others: Array


@runtime_checkable
class Embedded(Protocol):
    """A likelihood in which tokens have vectors."""

    @property
    def nlags(self) -> int:
        """Number of lags, each with context embeddings of its own."""
        ...

    def side(self, side: str, lag: int) -> Side:
        """Vectors of tokens as contexts at a lag, or as responses."""
        ...

    def pulled_back(self, side: str, lag: int, vectors: Array, others: Array) -> Array:
        """(q, p) gradients with respect to `params`, of functions whose gradients in `Side.vectors` and `others` are given.

        Parameters
        ----------
        side : "context" or "response"
        lag : int
        vectors : (q, m, r) array
        others : (q, k, r) array
        """
        ...
