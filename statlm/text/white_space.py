"""Texts cut at white space, many at once: distinct chunks are then tokenised once each, however often they occur."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from statlm.numerics.types import Array

# Unicode's property White_Space, at which the library's pre-tokenizers cut. str.split() cuts at four control characters too.
WHITE_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
CONTROLS = "\x1c\x1d\x1e\x1f"
CHUNK = re.compile(f"[^{WHITE_SPACE}]+")
BATCH = 1 << 22  # characters cut at a time
IS_SPACE = np.zeros(ord(WHITE_SPACE[-1]) + 2, bool)
IS_SPACE[[ord(c) for c in WHITE_SPACE]] = True


@dataclass(frozen=True, eq=False, slots=True)
class Chunks:
    """The stretches of a text without white space.

    Attributes
    ----------
    distinct : list of str
    code : (n,) int32 array
        Which of the distinct ones each is.
    start, stop : (n,) int64 arrays
        Where each begins and ends, in characters.
    """

    distinct: list[str]
    code: Array
    start: Array
    stop: Array


def cut(text: str, points: Array) -> Chunks:
    """Cut a text at white space.

    Parameters
    ----------
    text : str
    points : array
        Its code points.

    Examples
    --------
    >>> found = cut("to be  to", np.frombuffer(b"to be  to", np.uint8))
    >>> found.distinct, found.code.tolist(), found.start.tolist(), found.stop.tolist()
    (['to', 'be'], [0, 1, 0], [0, 3, 7], [2, 5, 9])
    """
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    chunks = split(text)
    code = np.fromiter(map(numbers.__getitem__, chunks), np.int32, len(chunks))
    outside = np.ones(len(points) + 2, bool)
    outside[1:-1] = IS_SPACE[points if points.dtype == np.uint8 else np.minimum(points, len(IS_SPACE) - 1)]
    edges = np.flatnonzero(outside[1:] != outside[:-1])
    return Chunks(list(numbers), code, edges[::2], edges[1::2])


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
