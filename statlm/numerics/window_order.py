"""The positions of a text sorted by the tokens that end there, most recent first: all its n-grams, of every length, at once.

In this order the n-grams that end alike are neighbours, so that the distinct m-grams are runs for every m up to n, and what
is counted of them are run lengths. Tokens are compared a few at a time, packed into one integer together with where they
stand, because a plain sort of integers is the fastest primitive there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from statlm.numerics.threads import in_threads
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import KEY_BITS, bits_for

PART = 1 << 20  # windows sorted at a time; more where one token ends more of them
MOST_PARTS = 250  # their numbers fit into a byte
CHUNK = 1 << 16  # windows that are told apart further at a time: few, so that their keys have room for tokens


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
    bounds : (parts + 1,) int64 array
        Where each part of the order begins; the windows of a part end in other tokens than those of the one before.
    """

    position: Array
    shared: Array
    bounds: Array

    @property
    def parts(self) -> list[slice]:
        """The parts of the order."""
        return [slice(a, b) for a, b in zip(self.bounds[:-1].tolist(), self.bounds[1:].tolist(), strict=True)]


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
    bits = bits_for(size)
    tokens = np.bincount(stream, minlength=size)
    part_of = ((np.cumsum(tokens) - tokens) // max(PART, len(stream) // MOST_PARTS)).astype(np.uint8)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(part_of, tokens).astype(np.int64))])
    part_at = part_of[stream]
    position = np.empty(len(stream), np.int32)
    shared = np.empty(len(stream), np.int8)

    def work(part: int) -> None:
        rows = slice(bounds[part], bounds[part + 1])
        if rows.start < rows.stop:
            here = np.flatnonzero(part_at == part).astype(np.int32)
            low, high = np.flatnonzero(part_of == part)[[0, -1]].tolist()
            _sort_part(stream, here, position[rows], shared[rows], low, bits_for(high - low + 1), n, start, pad, bits)

    in_threads(work, range(len(bounds) - 1))
    return WindowOrder(position, shared, bounds)


def _sort_part(
    stream: Array,
    here: Array,
    position: Array,
    shared: Array,
    low: int,
    low_bits: int,
    n: int,
    start: int,
    pad: int,
    bits: int,
) -> None:
    """Sort the windows that end at the positions `here`, in tokens from `low` on; fills `position` and `shared`."""
    place_bits = bits_for(len(here))
    done = min(n, 1 + (KEY_BITS - place_bits - low_bits) // bits)
    key, ended = _pack(stream, here, 0, done, start, pad, bits, low)
    key <<= place_bits
    key |= np.arange(len(here))
    key.sort()
    place = key & ((1 << place_bits) - 1)
    here.take(place, mode="clip", out=position)
    ended = ended[place]
    key >>= place_bits
    shared[:1] = 0
    shared[1:] = _equal_leading(key[1:], key[:-1], done, bits, n)
    if done == n:
        return
    same = shared == n
    for rows in _chunks(~same):
        _refine(stream, position[rows], shared[rows], ended[rows], done, start, pad, bits, n)


def _pack(
    stream: Array, position: Array, skip: int, take: int, start: int, pad: int, bits: int, low: int = 0
) -> tuple[Array, Array]:
    """Tokens `skip` to `skip + take` before each position in one integer, and whether the document's start is among them.

    `low` is subtracted from the first of them.
    """
    key = np.zeros(len(position), np.int64)
    ended = np.zeros(len(position), bool)
    for lag in range(skip, skip + take):
        token = stream.take(position - lag, mode="clip")  # what lies beyond the first document is replaced below
        token[ended] = pad
        key <<= bits
        key |= token if lag > skip else token - low
        ended |= token == start
    return key, ended


def _equal_leading(key: Array, before: Array, take: int, bits: int, n: int) -> Array:
    """How many leading tokens two packed keys share; n where the keys are equal."""
    differ = key ^ before
    count = np.zeros(len(key), np.int8)
    for j in range(1, take):
        count += differ < (1 << (bits * (take - j)))
    count[differ == 0] = n
    return count


def _refine(
    stream: Array, position: Array, shared: Array, ended: Array, done: int, start: int, pad: int, bits: int, n: int
) -> None:
    """Sort windows that agree in their `done` most recent tokens, group by group, by those before; in place.

    `shared` is n where a window is in the group of the one before it.
    """
    while done < n:
        same = shared == n
        tied = same.copy()
        tied[:-1] |= same[1:]
        tied &= ~ended  # a window that stands alone, or whose document has begun, is in its place already
        active = np.flatnonzero(tied)
        if len(active) == 0:
            return
        here, opens = position[active], ~same[active]
        group = np.cumsum(opens) - 1
        place_bits = bits_for(len(active))
        room = (KEY_BITS - place_bits - bits_for(int(group[-1]) + 1)) // bits
        take = min(max(room, 1), n - done)
        key, over = _pack(stream, here, done, take, start, pad, bits)
        if room >= 1:
            packed = (group << (take * bits)) | key
            packed <<= place_bits
            packed |= np.arange(len(active))
            packed.sort()
            index = packed & ((1 << place_bits) - 1)
            key = (packed >> place_bits) & ((1 << (take * bits)) - 1)
        else:
            index = np.lexsort((key, group))
            key = key[index]
        position[active] = here[index]
        ended[active] = over[index]
        equal = _equal_leading(key[1:], key[:-1], take, bits, n - done) + done
        later = ~opens[1:]
        shared[active[1:][later]] = equal[later]
        done += take


def _chunks(opens: Array) -> Iterator[slice]:
    """Ranges of about CHUNK rows that cut no group apart."""
    begin, total = 0, len(opens)
    while begin < total:
        end = min(begin + CHUNK, total)
        if end < total:
            back = np.flatnonzero(opens[begin + 1 : end + 1])
            if len(back):
                end = begin + 1 + int(back[-1])
            else:
                ahead = opens[end:].argmax()
                end = end + int(ahead) if opens[end + ahead] else total
        yield slice(begin, end)
        begin = end
