"""What follows the nearest of many keys: exact, a block of distances at a time, or through an index of faiss."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlm.errors import SpecificationError
from statlm.numerics.types import Array

HELD = 1 << 24  # distances at a time: 64 MB
MARGIN = 1e-5  # relative error of distances in single precision, with room to spare
TIE = 1e-9  # distances that differ by less are the same
PROBES = 32  # cells of the index that are searched for each query
PER_CELL = 39  # keys a cell needs to be placed, as faiss asks


def nearest_shares(queries: Array, keys: Array, labels: Array, size: int, neighbours: int, bandwidth: float) -> Array:
    r"""Shares of labels among the nearest keys of each query, weighted by :math:`\exp(-d^2 / h)`.

    All keys at the distance of the last neighbour count, so that the result does not depend on the order of the keys.

    Parameters
    ----------
    queries : (m, d) array
    keys : (N, d) array
    labels : (N,) integer array
        Below `size`.
    size : int
    neighbours : int
    bandwidth : float
        h, in squared units of distance.

    Returns
    -------
    (m, size) array
        Rows sum to 1.

    Examples
    --------
    >>> keys = np.array([[0.0], [1.0], [5.0]])
    >>> nearest_shares(np.array([[0.2]]), keys, np.array([0, 1, 1]), 2, 2, 1.0).round(3).tolist()
    [[0.646, 0.354]]
    """
    queries, keys = (np.ascontiguousarray(x, np.float32) for x in (queries, keys))
    squares = np.einsum("nd,nd->n", keys, keys)
    result = np.empty((len(queries), size))
    k = min(neighbours, len(keys))
    step = max(HELD // len(keys), 1)
    for first in range(0, len(queries), step):
        some = queries[first : first + step]
        own = np.einsum("md,md->m", some, some)
        distance = np.maximum(squares[None, :] - 2.0 * (some @ keys.T) + own[:, None], 0.0)  # (B, N), squared
        last = np.partition(distance, k - 1, axis=1)[:, k - 1]
        # Single precision, and the order in which a block is multiplied, err relative to the squares that are subtracted. So
        # candidates are taken with a margin, and their distances found again in double precision, one by one.
        row, key = np.nonzero(distance <= (last + MARGIN * (last + own))[:, None])
        exact = _distances(some, keys, row, key)
        order = np.lexsort((exact, row))
        of_last = exact[order][np.searchsorted(row[order], np.arange(len(some))) + k - 1]
        near = exact <= of_last[row] * (1 + TIE) + TIE
        shares = _shares(exact[near], row[near], labels[key[near]], len(some), size, bandwidth)
        result[first : first + step] = shares
    return result


def _distances(queries: Array, keys: Array, row: Array, key: Array) -> Array:
    """(q,) squared distances of pairs of queries and keys."""
    result = np.empty(len(row))
    step = max(HELD // max(queries.shape[1], 1), 1)
    for first in range(0, len(row), step):
        some = slice(first, first + step)
        gap = queries[row[some]].astype(float) - keys[key[some]]
        result[some] = np.einsum("qd,qd->q", gap, gap)
    return result


def build_index(keys: Array) -> Any:
    """An index of faiss over (N, d) keys, in cells around centres found by k-means.

    Raises
    ------
    SpecificationError
        If faiss is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise SpecificationError(
            "search='faiss' needs the library faiss, which is not installed: pip install 'statlm[retrieval]'. Without it, "
            "search='exact' gives the exact neighbours, in a time that grows with the number of keys."
        ) from error
    keys = np.ascontiguousarray(keys, np.float32)
    cells = int(max(1, min(np.sqrt(len(keys)), len(keys) / PER_CELL)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(keys.shape[1]), keys.shape[1], cells)
    index.cp.seed = 1
    index.cp.niter = 8
    index.cp.max_points_per_centroid = 64  # centres need not be good: several cells are searched
    index.cp.min_points_per_centroid = 1
    index.train(keys)
    index.add(keys)
    index.nprobe = min(PROBES, cells)
    return index


def indexed_shares(index: Any, queries: Array, labels: Array, size: int, neighbours: int, bandwidth: float) -> Array:
    """The same as `nearest_shares` among the neighbours that an index finds, of ties only as many as are asked for."""
    distance, key = index.search(np.ascontiguousarray(queries, np.float32), min(neighbours, len(labels)))
    row, column = np.nonzero(key >= 0)  # -1 where the searched cells hold fewer keys
    return _shares(np.maximum(distance[row, column], 0.0), row, labels[key[row, column]], len(queries), size, bandwidth)


def _shares(distance: Array, row: Array, label: Array, m: int, size: int, bandwidth: float) -> Array:
    nearest = np.full(m, np.inf)
    np.minimum.at(nearest, row, distance)
    weight = np.exp(-(distance - nearest[row]) / bandwidth)  # the nearest has weight 1, so no row underflows
    shares = np.bincount(row * size + label, weight, m * size).reshape(m, size)
    result: Array = shares / shares.sum(axis=1, keepdims=True)
    return result
