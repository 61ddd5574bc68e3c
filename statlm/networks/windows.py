"""Windows of text: what a network with a bounded context reads at once, in training and in evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from statlm.numerics.ranges import concatenate_ranges
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

POOL = 64  # batches whose windows are sorted by length together, so that little is padding


@dataclass(frozen=True, eq=False)
class Stream:
    """A corpus as a network reads it: ``<bos>`` before each document, ids by embedding.

    Attributes
    ----------
    ids : (T + D,) int64 array
        -1 for tokens without an embedding.
    starts : (D + 1,) int64 array
        Document d is ``ids[starts[d]:starts[d + 1]]``; the place ``starts[d] + i`` predicts token i of the document.
    given : (D,) int64 array
        Tokens that are conditioned on.
    """

    ids: Array
    starts: Array
    given: Array

    @classmethod
    def of(cls, corpus: Corpus, embedded: int, bos: int) -> Stream:
        """The stream of a corpus, where ids from `embedded` on have no embedding and `bos` is the id of ``<bos>``."""
        lengths = np.diff(corpus.offsets)
        starts = np.concatenate([[0], np.cumsum(lengths + 1)])
        ids = np.empty(starts[-1], np.int64)
        ids[starts[:-1]] = bos
        tokens = corpus.tokens.astype(np.int64)
        ids[concatenate_ranges(starts[:-1] + 1, starts[1:])] = np.where(tokens < embedded, tokens, -1)
        return cls(ids, starts, corpus.given)

    @property
    def places(self) -> Array:
        """(D,) number of predicted places of each document, given ones included."""
        return np.diff(self.starts) - 1


@dataclass(frozen=True, eq=False)
class Windows:
    """Stretches of a stream.

    Attributes
    ----------
    first : (W,) int64 array
        Place in the stream of the first token read.
    length : (W,) int64 array
        Number of tokens read.
    scored : (W,) int64 array
        From which place of the window on predictions count.
    prefix : (W,) int64 array
        How many leading places see each other, with a prefix mask.
    """

    first: Array
    length: Array
    scored: Array
    prefix: Array

    def __len__(self) -> int:
        return len(self.first)

    def take(self, index: Array | slice) -> Windows:
        """Some of them."""
        return Windows(self.first[index], self.length[index], self.scored[index], self.prefix[index])

    @property
    def nscored(self) -> Array:
        """(W,) number of predictions that count."""
        return self.length - self.scored

    def batch(self, stream: Stream) -> tuple[Array, Array, Array]:
        """Inputs, targets and which of them count, (W, longest) each; targets that do not count or have no id are -1."""
        width = int(self.length.max())
        column = np.arange(width)
        inside = column < self.length[:, None]
        where = np.where(inside, self.first[:, None] + column, 0)
        counts = inside & (column >= self.scored[:, None])
        targets = np.where(counts, stream.ids[np.where(inside, where + 1, 0)], -1)
        return np.where(inside, stream.ids[where], 0), targets, counts


def evaluation_windows(stream: Stream, context: int, stride: int) -> Windows:
    """Windows in which every observation counts exactly once.

    Windows start every `stride` places from the document's start on, and a place counts in the first that reaches it: so it
    has at least ``context - stride`` tokens before it, or all there are. Which one that is depends on the place alone, and
    not on how long the document will be or how much of it is given.
    """
    places, given = stream.places, stream.given
    count = 1 + np.maximum(-(-(places - context) // stride), 0)
    document = np.repeat(np.arange(len(places)), count)
    number = concatenate_ranges(np.zeros_like(count), count)
    begin = number * stride
    end = np.minimum(begin + context, places[document])
    scored_from = np.maximum(np.where(number == 0, 0, begin - stride + context), given[document])
    kept = scored_from < end
    document, begin, end, scored_from = document[kept], begin[kept], end[kept], scored_from[kept]
    return Windows(
        stream.starts[document] + begin,
        end - begin,
        scored_from - begin,
        np.maximum(given[document] + 1 - begin, 0),
    )


def window_start(place: int, context: int, stride: int) -> int:
    """Where the window starts that a place of a document counts in."""
    return 0 if place < context else stride * ((place - context) // stride + 1)


def training_windows(stream: Stream, context: int, rng: np.random.Generator) -> Windows:
    """Windows of one pass: each document is cut at a random offset, so that every observation counts exactly once."""
    places = stream.places
    offset = np.where(places > context, rng.integers(0, context, len(places)), 0)
    pieces = np.where(offset > 0, 1, 0) + -(-(places - offset) // context)
    document = np.repeat(np.arange(len(places)), pieces)
    number = concatenate_ranges(np.zeros_like(pieces), pieces)
    shift = np.where(offset > 0, offset - context, 0)[document]
    begin = np.maximum(shift + number * context, 0)
    end = np.minimum(shift + (number + 1) * context, places[document])
    scored = np.maximum(stream.given[document] - begin, 0)
    kept = begin + scored < end
    document, begin, end, scored = document[kept], begin[kept], end[kept], scored[kept]
    prefix = np.maximum(stream.given[document] + 1 - begin, 0)
    return Windows(stream.starts[document] + begin, end - begin, scored, prefix)


def shuffled_batches(windows: Windows, tokens: int, rng: np.random.Generator) -> Iterator[Windows]:
    """Batches of about `tokens` places in random order, windows of like length together."""
    order = rng.permutation(len(windows))
    typical = max(int(tokens / max(float(windows.length.mean()), 1.0)), 1)
    batches = []
    for pool in np.split(order, np.arange(typical * POOL, len(order), typical * POOL)):
        pool = pool[np.argsort(-windows.length[pool], kind="stable")]
        batches += _filled(pool, windows.length, tokens)
    for batch in rng.permutation(len(batches)) if len(batches) > 1 else range(len(batches)):
        yield windows.take(batches[batch])


def _filled(order: Array, length: Array, tokens: int) -> list[Array]:
    """Cut windows in decreasing order of length into batches whose padded size is at most `tokens`, at least one each."""
    batches, start = [], 0
    while start < len(order):
        size = max(tokens // int(length[order[start]]), 1)
        batches.append(order[start : start + size])
        start += size
    return batches
