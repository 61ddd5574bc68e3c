"""Texts cut at white space, many at once: distinct chunks are then tokenised once each, however often they occur."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from statlm.numerics.types import Array
from statlm.text.encoding import check_surrogates, code_points, utf8_width

# Unicode's property White_Space, at which the library's pre-tokenizers cut. str.split() cuts at four control characters too.
WHITE_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
CONTROLS = "\x1c\x1d\x1e\x1f"
CHUNK = re.compile(f"[^{WHITE_SPACE}]+")
BATCH = 1 << 22  # characters cut at a time
IS_SPACE = np.zeros(ord(WHITE_SPACE[-1]) + 2, bool)
IS_SPACE[[ord(c) for c in WHITE_SPACE]] = True


@dataclass(frozen=True, eq=False, slots=True)
class Cut:
    """The stretches without white space of several texts that are joined by one character.

    Attributes
    ----------
    code : (n,) int32 array
        Which of the distinct chunks each is.
    start : (n,) integer array
        Where each begins, in characters.
    bounds : (texts + 1,) int64 array
        Where each text begins, and where the next one would.
    byte_start, byte_bounds : arrays like `start` and `bounds`
        The same in bytes of UTF-8.
    """

    code: Array
    start: Array
    bounds: Array
    byte_start: Array
    byte_bounds: Array


class Cutter:
    """Cuts texts at white space and numbers the distinct chunks, through all the texts that it is given.

    Examples
    --------
    >>> cutter = Cutter()
    >>> cut = cutter.cut(["to be", " to"])
    >>> cutter.distinct, cut.code.tolist(), cut.start.tolist(), cut.bounds.tolist()
    (['to', 'be'], [0, 1, 0], [0, 3, 7], [0, 6, 10])
    """

    def __init__(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict()
        self._numbers.default_factory = self._numbers.__len__

    @property
    def distinct(self) -> list[str]:
        """The distinct chunks, by their numbers."""
        return list(self._numbers)

    def cut(self, texts: Sequence[str]) -> Cut:
        """The chunks of texts, each cut as if alone.

        Raises
        ------
        CorpusError
            If a text holds a lone surrogate.
        """
        joined = "\n".join(texts)
        chunks = split(joined)
        code = np.fromiter(map(self._numbers.__getitem__, chunks), np.int32, len(chunks))
        limits = bounds(texts)
        kind = np.int32 if 4 * len(joined) < 2**31 else np.int64
        if joined.isascii():
            start = _starts(IS_SPACE[np.frombuffer(joined.encode(), np.uint8)], kind)
            return Cut(code, start, limits, start, limits)
        for text in texts:
            check_surrogates(text)
        points = code_points(joined)
        start = _starts(IS_SPACE[np.minimum(points, len(IS_SPACE) - 1)], kind)
        wide = np.flatnonzero(points >= 0x80)
        more = np.cumsum(utf8_width(points[wide]) - 1)  # bytes beyond one a character, up to each of them
        return Cut(
            code, start, limits, start + _before(more, wide, start).astype(kind), limits + _before(more, wide, limits)
        )


def _before(sums: Array, places: Array, at: Array) -> Array:
    """The running sum up to the last of `places` before each of `at`; both ascending."""
    added = np.bincount(np.searchsorted(at, places, side="right"), np.diff(sums, prepend=0), len(at) + 1)
    result: Array = np.cumsum(added[:-1]).astype(np.int64)
    return result


def _starts(space: Array, kind: type[np.integer[Any]]) -> Array:
    """Where a stretch without white space begins."""
    opens = ~space
    opens[1:] &= space[:-1]
    return np.flatnonzero(opens).astype(kind)


def split(text: str) -> list[str]:
    """The chunks of a text, in order."""
    return CHUNK.findall(text) if any(c in text for c in CONTROLS) else text.split()


def count(pieces: Iterable[str]) -> Counter[str]:
    """How often each chunk occurs in stretches of text."""
    counts: Counter[str] = Counter()
    for batch in batches(pieces):
        counts.update(split("\n".join(batch)))
    return counts


def batches(pieces: Iterable[str]) -> Iterator[list[str]]:
    """Pieces in lists of about `BATCH` characters."""
    batch: list[str] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece) + 1
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def bounds(texts: Sequence[str]) -> Array:
    """(n + 1,) where each text begins when they are joined by one character, and where the next one would."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return np.concatenate([[0], np.cumsum(lengths + 1)])
