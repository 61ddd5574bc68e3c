"""Distinct rows of integer columns, in lexicographic order, with their counts.

Counting n-grams is this and nothing else. Several columns are packed into one 64-bit key, so that the work is
a plain sort of integers, the fastest primitive there is; columns that do not fit are first replaced, two at a
time, by the dense rank of the pair, which keeps the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from statlm.numerics.types import Array

KEY_BITS = 63  # of a non-negative int64


@dataclass(frozen=True, slots=True)
class UniqueRows:
    """Distinct rows in lexicographic order.

    Attributes
    ----------
    columns : tuple of (U,) int64 arrays
        One array a column, first column most significant.
    counts : (U,) int64 array
        How often each row occurs.
    index : (N,) int64 array or None
        For each original row the position of its distinct row.
    """

    columns: tuple[Array, ...]
    counts: Array
    index: Array | None


def bits_for(size: int) -> int:
    """Bits that hold the integers 0, ..., size - 1."""
    return max(int(size) - 1, 1).bit_length()


def dense_rank(key: Array, bits: int) -> tuple[Array, Array]:
    """Rank of each key among the distinct keys, counted from 0.

    Parameters
    ----------
    key : (N,) int64 array
        Non-negative, below ``2 ** bits``.
    bits : int
        Width of the keys.

    Returns
    -------
    ranks : (N,) int64 array
    unique : (U,) int64 array
        The distinct keys, ascending; ``unique[ranks]`` is ``key``.
    """
    n = len(key)
    if n == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    position_bits = bits_for(n)
    ranks = np.empty(n, np.int64)
    if bits + position_bits <= KEY_BITS:
        # Sorting the position along in the low bits is several times faster than argsort.
        ordered = key << position_bits
        ordered |= np.arange(n, dtype=np.int64)
        ordered.sort()
        position = ordered & ((1 << position_bits) - 1)
        ordered >>= position_bits
    else:
        position = np.argsort(key)
        ordered = key[position]
    new = _run_starts(ordered)
    ranks[position] = np.cumsum(new) - 1
    return ranks, ordered[new]


def unique_rows(columns: Sequence[Array], bits: int, *, index: bool = False) -> UniqueRows:
    """Distinct rows of ``columns`` with their counts.

    Parameters
    ----------
    columns : sequence of (N,) integer arrays
        Non-negative, each below ``2 ** bits``; the first is the most significant. At least one.
    bits : int
        Width of every column.
    index : bool
        Whether to return, for each row, which distinct row it is; costs about twice the time.

    Returns
    -------
    UniqueRows

    Examples
    --------
    >>> found = unique_rows([np.array([1, 0, 1]), np.array([2, 5, 2])], bits=3)
    >>> [column.tolist() for column in found.columns], found.counts.tolist()
    ([[0, 1], [5, 2]], [1, 2])
    """
    parts = [_Part(column, bits, None) for column in columns]
    while sum(part.bits for part in parts) > KEY_BITS:
        # The narrowest neighbouring pair is the likeliest to take the fast path of dense_rank.
        left = min(range(len(parts) - 1), key=lambda i: parts[i].bits + parts[i + 1].bits)
        parts[left : left + 2] = [_merge(parts[left], parts[left + 1])]
    width = sum(part.bits for part in parts)
    key = _pack(parts)
    if index:
        ranks, unique = dense_rank(key, width)
        counts = np.bincount(ranks, minlength=len(unique))
    else:
        ranks = None
        key.sort()
        starts = np.flatnonzero(_run_starts(key))
        unique = key[starts]
        counts = np.diff(starts, append=len(key))
    return UniqueRows(tuple(_unpack(unique, parts)), counts, ranks)


@dataclass(frozen=True, slots=True)
class _Part:
    """A column, or several columns replaced by the dense rank of their rows; ``leaves`` undoes the latter."""

    values: Array
    bits: int
    leaves: list[Array] | None


def _merge(left: _Part, right: _Part) -> _Part:
    ranks, unique = dense_rank(_pack([left, right]), left.bits + right.bits)
    return _Part(ranks, bits_for(len(unique)), _unpack(unique, [left, right]))


def _pack(parts: Sequence[_Part]) -> Array:
    key = parts[0].values.astype(np.int64)
    for part in parts[1:]:
        key <<= part.bits
        key |= part.values
    return key


def _unpack(key: Array, parts: Sequence[_Part]) -> list[Array]:
    columns: list[Array] = []
    shift = sum(part.bits for part in parts)
    for part in parts:
        shift -= part.bits
        value = (key >> shift) & ((1 << part.bits) - 1)
        columns.extend([value] if part.leaves is None else [leaf[value] for leaf in part.leaves])
    return columns


def _run_starts(ordered: Array) -> Array:
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return new
