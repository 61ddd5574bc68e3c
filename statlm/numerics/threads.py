"""Work over large arrays, split between threads: numpy does it outside of the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from statlm.numerics.types import Array

THREADS = 2  # memory bound: more share the bus without gain
PART = 1 << 19
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``[work(item) for item in items]``; a single item is done here and now.

    Examples
    --------
    >>> in_threads(abs, [-1, 2])
    [1, 2]
    """
    items = list(items)
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))


def gather(values: Array, index: Array) -> Array:
    """``values[index]``, `index` from 0 on.

    Examples
    --------
    >>> gather(np.array([5, 6, 7]), np.array([2, 0])).tolist()
    [7, 5]
    """
    if len(values) == 0:
        return values[index]
    result = np.empty(len(index), values.dtype)

    def work(part: slice) -> None:
        values.take(index[part], mode="clip", out=result[part])  # the other modes check bounds

    in_threads(work, parts_of(len(index)))
    return result


def parts_of(total: int) -> list[slice]:
    """Slices that cut `total` entries into parts for threads."""
    return [slice(begin, min(begin + PART, total)) for begin in range(0, total, PART)]
