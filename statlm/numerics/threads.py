"""Gathers and scatters over large arrays, split between threads: numpy does them outside of the interpreter's lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from statlm.numerics.types import Array

THREADS = 2  # memory bound: more share the bus without gain
PART = 1 << 19


def gather(values: Array, index: Array) -> Array:
    """``values[index]``.

    Examples
    --------
    >>> gather(np.array([5, 6, 7]), np.array([2, 0])).tolist()
    [7, 5]
    """
    if len(index) < 2 * PART:
        return values[index]
    result = np.empty(len(index), values.dtype)

    def part(begin: int) -> None:
        result[begin : begin + PART] = values[index[begin : begin + PART]]

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(part, range(0, len(index), PART)))
    return result


def scatter(values: Array, index: Array) -> Array:
    """The array r with ``r[index] = values``, `index` a permutation.

    Examples
    --------
    >>> scatter(np.array([5, 6, 7]), np.array([2, 0, 1])).tolist()
    [6, 7, 5]
    """
    result = np.empty_like(values)

    def part(begin: int) -> None:
        result[index[begin : begin + PART]] = values[begin : begin + PART]

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(part, range(0, len(index), PART)))
    return result
