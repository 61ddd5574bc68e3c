"""What a singular system of equations determines, and the directions that it leaves open."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sparse

from statlm.numerics.types import Array

RANK = 1e-10  # of a unit diagonal
ZERO = 1e-8  # entries of an open direction below this are rounding error


class Determined(NamedTuple):
    """A point, and the directions in which it is not determined.

    Attributes
    ----------
    values : (p,) array
    open : (p, d) sparse array
        Columns are the directions along which the point could as well be elsewhere.
    """

    values: Array
    open: sparse.csc_array


def undetermined_at(values: Array, start: Array) -> Determined:
    """Values of which those that are not finite are not determined; these are put at `start`."""
    lacking = np.flatnonzero(~np.isfinite(values))
    unit = (np.ones(len(lacking)), (lacking, np.arange(len(lacking))))
    filled = values.copy()
    filled[lacking] = start[lacking]
    return Determined(filled, sparse.csc_array(unit, shape=(len(values), len(lacking))))


def identified_solution(matrix: Array, right: Array, start: Array) -> Determined:
    """Solution of ``matrix x = right`` that is at `start` where it can be anywhere.

    Parameters
    ----------
    matrix : (p, p) array
        Symmetric, positive semi-definite.
    right : (p,) array
        In its range.
    start : (p,) array

    Examples
    --------
    The first two coordinates are known by their sum only:

    >>> matrix = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    >>> found = identified_solution(matrix, np.array([1.0, 1.0, 6.0]), np.zeros(3))
    >>> found.values[:2].sum().round(9), found.values[2].round(9), found.open.toarray().round(9).ravel().tolist()
    (np.float64(1.0), np.float64(3.0), [-1.0, 1.0, 0.0])
    """
    p = len(right)
    values = np.array(start, float)
    scale = np.sqrt(np.diag(matrix))
    touched = np.flatnonzero(scale > 0)
    untouched = np.flatnonzero(scale == 0)
    rest = (right - matrix @ values)[touched]
    scale = scale[touched]
    if len(touched) == 0:
        return undetermined_at(np.full(p, np.nan), values)
    scaled = matrix if len(touched) == p else matrix[np.ix_(touched, touched)]
    scaled = scaled / scale
    scaled /= scale[:, None]
    # The transpose of a symmetric matrix in C order is the matrix in the order of Fortran: nothing is copied.
    factor, pivot, rank, _ = scipy.linalg.lapack.dpstrf(scaled.T, lower=1, tol=RANK, overwrite_a=1)
    order = pivot - 1
    inside, outside = order[:rank], order[rank:]
    inner = factor[:rank, :rank]  # its upper triangle is never read
    solved = scipy.linalg.cho_solve((inner, True), (rest / scale)[inside], check_finite=False)
    values[touched[inside]] += solved / scale[inside]
    moved = scipy.linalg.solve_triangular(
        inner, factor[rank:, :rank].T, lower=True, trans="T", check_finite=False
    )  # (rank, d)
    moved[np.abs(moved) < ZERO] = 0.0
    row, column = np.nonzero(moved)
    data = np.concatenate([-moved[row, column] / scale[inside[row]] * scale[outside[column]], np.ones(p - rank)])
    rows = np.concatenate([touched[inside[row]], touched[outside], untouched])
    columns = np.concatenate([column, np.arange(p - rank)])
    return Determined(values, sparse.csc_array((data, (rows, columns)), shape=(p, p - rank)))
