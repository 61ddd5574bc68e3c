"""Where to cut: which stretches of the tokens become the documents of another corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statlm.errors import CorpusError
from statlm.numerics.ranges import concatenate_ranges
from statlm.numerics.types import Array


@dataclass(frozen=True, eq=False)
class Slices:
    """Stretches of a corpus's tokens, each a document to be.

    Attributes
    ----------
    starts, stops : (m,) integer arrays
        Stretch i is ``tokens[starts[i]:stops[i]]``.
    given : (m,) integer array
        How many of its leading tokens are conditioned on.
    document : (m,) integer array
        The document it comes from.
    """

    starts: Array
    stops: Array
    given: Array
    document: Array

    def with_observations(self) -> Slices:
        """The stretches in which something is left to predict."""
        keep = self.stops - self.starts > self.given
        return Slices(self.starts[keep], self.stops[keep], self.given[keep].astype(np.int64), self.document[keep])

    def index(self) -> Any:
        """What picks their tokens: a slice where they lie end to end, so that nothing is copied; indices elsewhere."""
        adjacent = len(self.starts) > 0 and bool((self.starts[1:] == self.stops[:-1]).all())
        return slice(self.starts[0], self.stops[-1]) if adjacent else concatenate_ranges(self.starts, self.stops)

    def offsets(self) -> Array:
        """(m + 1,) document bounds of the new corpus."""
        return np.concatenate([[0], np.cumsum(self.stops - self.starts)]).astype(np.int64)


def check_share(test: float) -> None:
    """Raise CorpusError unless a held-out share lies between 0 and 1."""
    if not 0 < test < 1:
        raise CorpusError(f"test={test}: the share held out must lie between 0 and 1, as in test=0.1.")


def divide_documents(ndocuments: int, test: float, seed: int | None) -> tuple[Array, Array]:
    """Numbers of the training and the held-out documents: the last ones, or drawn with a seed; at least one in each part."""
    held = min(max(round(test * ndocuments), 1), ndocuments - 1)
    if seed is None:
        chosen = np.arange(ndocuments - held, ndocuments)
    else:
        chosen = np.sort(np.random.default_rng(seed).choice(ndocuments, held, replace=False))
    return np.setdiff1d(np.arange(ndocuments), chosen), chosen


def cut_tail(total: int, given: int, test: float, context: int) -> tuple[Slices, Slices]:
    """A document's head, and its tail with up to `context` of the tokens before it as given."""
    cut = int(round((1 - test) * total, 6))  # (1 - 0.9) * 10 is 0.9999999999999998
    if cut <= given or cut >= total:
        raise CorpusError(
            f"A document of {total:,} tokens cannot be cut at {1 - test:.0%}: one part would have no observation. "
            "Use more text, or another share."
        )
    before = min(context, cut)
    here = np.array([0])
    return (
        Slices(here, np.array([cut]), np.array([given]), here),
        Slices(np.array([cut - before]), np.array([total]), np.array([before]), here),
    )


def cut_blocks(offsets: Array, given: Array, length: int, context: int) -> Slices:
    """Blocks of `length` observations, each with up to `context` tokens of its document before it as given."""
    if length < 1:
        raise CorpusError(f"length={length}: a block needs at least one observation.")
    if context < 0:
        raise CorpusError(f"context={context}: the number of tokens carried along cannot be negative.")
    first = offsets[:-1] + given
    nblocks = -(-(offsets[1:] - first) // length)
    document = np.repeat(np.arange(len(given)), nblocks)
    within = np.arange(nblocks.sum()) - np.repeat(np.cumsum(nblocks) - nblocks, nblocks)
    start = first[document] + within * length
    stop = np.minimum(start + length, offsets[1:][document])
    # The first block keeps what was given to its document.
    reach = np.where(within == 0, given[document], context)
    before = np.minimum(reach, start - offsets[:-1][document])
    return Slices(start - before, stop, before, document)


def cut_runs(places: Array, document: Array, offsets: Array, context: int) -> Slices:
    """Runs of neighbouring tokens, each with up to `context` tokens of its document before it as given.

    Parameters
    ----------
    places : (n,) integer array
        Tokens that are to be observations, in order; a run ends where the next is not its neighbour in the same document.
    document : (n,) integer array
        Their documents.
    offsets : (D + 1,) integer array
        Document bounds.
    context : int
    """
    if context < 0:
        raise CorpusError(f"context={context}: the number of tokens carried along cannot be negative.")
    new = np.ones(len(places), bool)
    new[1:] = (np.diff(places) != 1) | (np.diff(document) != 0)
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(places)) - 1
    start = places[first]
    before = np.minimum(context, start - offsets[document[first]])
    return Slices(start - before, places[last] + 1, before, document[first])
