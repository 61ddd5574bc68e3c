"""The positions of a text sorted by the tokens that end there, most recent first: all its n-grams, of every length, at once.

In this order the n-grams that end alike are neighbours, so that the distinct m-grams are runs for every m up to n, and what
is counted of them are run lengths. Tokens are compared a few at a time, packed into one integer together with where they
stand, because a plain sort of integers is the fastest primitive there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from statlm.numerics.types import Array
from statlm.numerics.unique_rows import KEY_BITS, bits_for

THREADS = 2  # more share the memory bus without gain
CHUNK = 1 << 19


@dataclass(frozen=True, slots=True)
class WindowOrder:
    """Positions of a stream in the order of their windows.

    A window is the token at a position, the one before it, and so on back to the document's start, at most n of them.

    Attributes
    ----------
    position : (N,) int32 array
        Positions of the stream, sorted.
    shared : (N,) int8 array
        How many of its most recent tokens each window shares with the one sorted before it; n where both are equal.
    """

    position: Array
    shared: Array


def window_order(stream: Array, n: int, start: int, pad: int, size: int) -> WindowOrder:
    """Sort the windows of a stream of documents.

    Parameters
    ----------
    stream : (N,) int32 array
        Documents end to end, each with the token `start` before it.
    n : int
        Length of the windows, at least 1.
    start, pad : int
        A window is filled with `pad` from where it would reach beyond `start`.
    size : int
        All ids, `pad` included, are below this.

    Returns
    -------
    WindowOrder

    Examples
    --------
    >>> order = window_order(np.array([2, 0, 1, 0, 1], np.int32), n=2, start=2, pad=3, size=4)
    >>> order.position.tolist(), order.shared.tolist()
    ([3, 1, 2, 4, 0], [0, 1, 0, 2, 0])
    """
    bits, total = bits_for(size), len(stream)
    place_bits = bits_for(total)
    first = min(n, max((KEY_BITS - place_bits) // bits, 1))
    key, ended = _pack(stream, np.arange(total, dtype=np.int32), 0, first, start, pad, bits)
    key <<= place_bits
    key |= np.arange(total, dtype=np.int64)
    key.sort()
    position = (key & ((1 << place_bits) - 1)).astype(np.int32)
    key >>= place_bits
    ended = ended[position]
    shared = np.empty(total, np.int8)
    shared[:1] = 0
    shared[1:] = _equal_leading(key[1:], key[:-1], first, bits, n)
    del key
    done = first
    step = max((KEY_BITS - 2 * bits_for(CHUNK)) // bits, 1)
    while done < n:
        taken = min(step, n - done)
        _refine(stream, position, shared, ended, done, taken, start, pad, bits, n)
        done += taken
    return WindowOrder(position, shared)


def _pack(stream: Array, position: Array, skip: int, take: int, start: int, pad: int, bits: int) -> tuple[Array, Array]:
    """Tokens `skip` to `skip + take` before each position in one integer, and whether the document's start is among them."""
    key = np.zeros(len(position), np.int64)
    ended = np.zeros(len(position), bool)
    for lag in range(skip, skip + take):
        token = stream[position - lag]  # what lies beyond the first document is replaced below
        token[ended] = pad
        key <<= bits
        key |= token
        ended |= token == start
    return key, ended


def _equal_leading(key: Array, before: Array, take: int, bits: int, n: int) -> Array:
    """How many leading tokens two packed keys share; n where the keys are equal."""
    differ = key ^ before
    count = np.zeros(len(key), np.int8)
    for j in range(1, take + 1):
        count += (differ >> (bits * (take - j))) == 0
    count[count == take] = n
    return count


def _refine(
    stream: Array,
    position: Array,
    shared: Array,
    ended: Array,
    done: int,
    take: int,
    start: int,
    pad: int,
    bits: int,
    n: int,
) -> None:
    """Sort windows that agree in their `done` most recent tokens by the `take` before those; in place."""
    # A window that stands alone, or whose document has begun, is in its place already.
    same = shared == n
    tied = same.copy()
    tied[:-1] |= same[1:]
    tied &= ~ended
    active = np.flatnonzero(tied).astype(np.int32)
    if len(active) == 0:
        return
    opens = ~same[active]

    def work(bounds: tuple[int, int]) -> None:
        rows = active[slice(*bounds)]
        here = position[rows]
        key, over = _pack(stream, here, done, take, start, pad, bits)
        group = np.cumsum(opens[slice(*bounds)], dtype=np.int64) - 1
        place_bits = bits_for(len(rows))
        if bits_for(int(group[-1]) + 1) + take * bits + place_bits <= KEY_BITS:
            packed = (group << (take * bits)) | key
            packed <<= place_bits
            packed |= np.arange(len(rows))
            packed.sort()
            index = packed & ((1 << place_bits) - 1)
            key = (packed >> place_bits) & ((1 << (take * bits)) - 1)
        else:
            index = np.lexsort((key, group))
            key = key[index]
        position[rows] = here[index]
        ended[rows] = over[index]
        equal = _equal_leading(key[1:], key[:-1], take, bits, n - done) + done
        later = ~opens[slice(*bounds)][1:]
        shared[rows[1:][later]] = equal[later]

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, _chunks(opens)))


def _chunks(opens: Array) -> Iterator[tuple[int, int]]:
    """Ranges of about CHUNK rows that cut no group apart."""
    begin, total = 0, len(opens)
    while begin < total:
        end = min(begin + CHUNK, total)
        if end < total:
            back = np.flatnonzero(opens[begin + 1 : end + 1])
            if len(back):
                end = begin + 1 + int(back[-1])
            else:
                ahead = np.flatnonzero(opens[end:])
                end = end + int(ahead[0]) if len(ahead) else total
        yield begin, end
        begin = end
