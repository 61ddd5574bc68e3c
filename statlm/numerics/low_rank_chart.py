"""Coordinates for factors of a low-rank matrix: which entries vary, and which are held so that each matrix is written once.

The factors A and B of a coefficient matrix A B' are free up to an invertible r x r matrix. Holding r rows of B at the identity
takes that freedom away: A then *is* the coefficients of r pivot classes, and each other class is a combination of those.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg

from statlm.numerics.low_rank_logit import Factors
from statlm.numerics.types import Array


@dataclass(frozen=True, eq=False)
class Chart:
    """The free entries of intercepts, left and right factor, in this order, each row by row.

    Parameters
    ----------
    classes : (q,) integer array
        Classes with an intercept: all but the reference.
    rows : (k,) integer array
        Rows of the left factor.
    others : (q - r,) integer array
        Rows of the right factor: neither the reference nor a pivot.
    shape : tuple of (J, P, r)
    """

    classes: Array
    rows: Array
    others: Array
    shape: tuple[int, int, int]

    @property
    def size(self) -> int:
        """Number of coordinates, q + r (k + q - r)."""
        return len(self.classes) + self.shape[2] * (len(self.rows) + len(self.others))

    def coordinates(self, at: Factors) -> Array:
        """(..., p) free entries of a point, or of directions."""
        lead, rank = at.intercepts.shape[:-1], self.shape[2]
        return np.concatenate(
            [
                at.intercepts[..., self.classes],
                at.left[..., self.rows, :].reshape(*lead, rank * len(self.rows)),
                at.right[..., self.others, :].reshape(*lead, rank * len(self.others)),
            ],
            axis=-1,
        )

    def embedded(self, coordinates: Array) -> Factors:
        """The (..., p) coordinates in their places, zero elsewhere."""
        lead = coordinates.shape[:-1]
        nclasses, ncolumns, rank = self.shape
        ends = [len(self.classes), len(self.classes) + rank * len(self.rows)]
        parts = np.split(coordinates, ends, axis=-1)
        intercepts = np.zeros((*lead, nclasses))
        left, right = np.zeros((*lead, ncolumns, rank)), np.zeros((*lead, nclasses, rank))
        intercepts[..., self.classes] = parts[0]
        left[..., self.rows, :] = parts[1].reshape(*lead, len(self.rows), rank)
        right[..., self.others, :] = parts[2].reshape(*lead, len(self.others), rank)
        return Factors(intercepts, left, right)

    def replaced(self, at: Factors, coordinates: Array) -> Factors:
        """The point with its free entries set to these coordinates."""
        old = self.embedded(self.coordinates(at))
        new = self.embedded(coordinates)
        return Factors(
            at.intercepts - old.intercepts + new.intercepts, at.left - old.left + new.left, at.right - old.right + new.right
        )


def pivots_of(right: Array, weights: Array) -> Array:
    """(r,) classes whose rows of the (J, r) right factor span it best, frequent ones before rare ones.

    Greedy, by a QR decomposition with pivoting of the rows weighted by the root of `weights`.
    """
    rank = right.shape[1]
    if rank == 0:
        return np.zeros(0, np.int64)
    _, _, order = scipy.linalg.qr((right * np.sqrt(weights)[:, None]).T, mode="economic", pivoting=True)
    return np.sort(order[:rank]).astype(np.int64)


def cornered(at: Factors, pivots: Array) -> Factors:
    """The same coefficient matrix with the pivot rows of the right factor at the identity."""
    corner = at.right[pivots]
    right = np.linalg.solve(corner.T, at.right.T).T
    right[pivots] = np.eye(len(pivots))  # exactly
    return Factors(at.intercepts, at.left @ corner.T, right)


@dataclass(frozen=True, eq=False)
class NuclearPenalty:
    r"""Strength times the nuclear norm of the centred coefficient matrix, at factors of full rank.

    The least of :math:`\tfrac12 (\lVert A G \rVert^2 + \lVert B G^{-\top} \rVert^2)` over invertible G, with the rows of A
    centred
    within each group and those of B over the classes, is the nuclear norm of the centred A B' (Srebro, Rennie and Jaakkola 2005).
    It does not depend on the factors, only on the matrix, and is smooth where the rank is what it seems.

    Parameters
    ----------
    strength : float
    at : Factors
        A row for each design column; each group has one level more, whose row is zero.
    groups : tuple of integer arrays
        Rows of the left factor by lag.
    """

    strength: float
    at: Factors
    groups: tuple[Array, ...]

    def centred_left(self, left: Array) -> Array:
        """(..., P, r) rows minus the mean of their group; with the level at zero counted in the mean."""
        result = left.copy()
        for rows in self.groups:
            result[..., rows, :] -= left[..., rows, :].sum(axis=-2, keepdims=True) / (len(rows) + 1)
        return result

    @staticmethod
    def centred_right(right: Array) -> Array:
        """(..., J, r) rows minus their mean."""
        return right - right.mean(axis=-2, keepdims=True)

    @cached_property
    def balance(self) -> tuple[Array, Array]:
        """The (r, r) matrix G that balances the factors, and the (r,) singular values."""
        p = self.at.left.T @ self.centred_left(self.at.left)
        q = self.at.right.T @ self.centred_right(self.at.right)
        lower_p, lower_q = np.linalg.cholesky(p), np.linalg.cholesky(q)
        u, values, _ = np.linalg.svd(lower_p.T @ lower_q)
        return scipy.linalg.solve_triangular(lower_p.T, u * np.sqrt(values)), values

    def value(self) -> float:
        """The penalty."""
        return self.strength * float(self.balance[1].sum())

    def product(self, along: Factors) -> Factors:
        """Its second derivative times q directions."""
        g, values = self.balance
        inverse = np.linalg.inv(g)  # r x r
        spread = g @ g.T
        left, right = self.centred_left(along.left), self.centred_right(along.right)
        balanced_left, balanced_right = self.at.left @ g, self.at.right @ inverse.T
        # Moving the point moves the balance: what is saved by balancing anew is taken off.
        x = balanced_left.T @ left @ g - balanced_right.T @ right @ inverse.T  # (q, r, r)
        saved = (x + x.swapaxes(-1, -2)) / (values[:, None] + values)
        out_left = left @ spread - self.centred_left(balanced_left @ saved @ g.T)
        out_right = right @ np.linalg.inv(spread) + self.centred_right(balanced_right @ saved @ inverse)
        return Factors(np.zeros_like(along.intercepts), self.strength * out_left, self.strength * out_right)
