"""Texts with gaps: each token predicted from those on both of its sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from statlm.networks.batches import Batch
from statlm.networks.decoder import Decoder
from statlm.networks.windows import Stream, Windows
from statlm.numerics.ranges import concatenate_ranges
from statlm.numerics.types import Array

# Letters in the comments on shapes: W pieces, T places, n observations, V tokens.

PLACES = 1 << 14  # read at once


def masked_batch(
    windows: Windows, stream: Stream, mask: int, share: float | None, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Pieces with gaps drawn from torch's generator: what is read, what stood in the gaps (-1 elsewhere), what is seen.

    A piece is the token before its first observation and the observations themselves.

    Parameters
    ----------
    windows : Windows
    stream : Stream
    mask : int
        The id of a gap.
    share : float or None
        Of the observations, each masked by itself, one at least; None masks one of each piece.
    """
    longest = int(windows.length.max()) + 1
    column = np.arange(longest)
    inside = column <= windows.length[:, None]  # (W, T)
    ids = np.where(inside, stream.ids[np.where(inside, windows.first[:, None] + column, 0)], 0)
    counts = torch.from_numpy(inside & (column > windows.scored[:, None]))
    drawn = torch.rand(counts.shape)
    first = torch.zeros_like(counts)
    lowest = torch.where(counts, drawn, 2.0)
    first[torch.arange(len(first)), lowest.argmin(1)] = True
    if share is None:
        gaps = first
    else:
        gaps = counts & (drawn < share)
        gaps[0] |= first[0] & ~gaps.any()
    whole = torch.from_numpy(ids)
    read = torch.where(gaps, mask, whole)
    return read.to(device), torch.where(gaps, whole, -1).to(device), torch.from_numpy(inside)[:, None, None].to(device)


@dataclass(frozen=True, eq=False)
class MaskedReading:
    """A text in which each observation is a gap of its own: n pieces, each with one gap; what `Reading` is to a decoder.

    Parameters
    ----------
    stream : Stream
    windows : Windows
        One for each observation, of one place: the observation follows it.
    begin, end : (n,) integer arrays
        The piece of the stream that the observation is predicted from.
    mask : int
        The id of a gap.
    device : device
    """

    stream: Stream
    windows: Windows
    begin: Array
    end: Array
    mask: int
    device: torch.device | str = "cpu"

    @classmethod
    def of(cls, stream: Stream, pieces: Windows, mask: int, device: torch.device | str = "cpu") -> MaskedReading:
        """Every observation of some pieces of a stream."""
        target = concatenate_ranges(pieces.first + pieces.scored + 1, pieces.first + pieces.length + 1)
        piece = np.repeat(np.arange(len(pieces)), pieces.nscored)
        one, none = np.ones_like(target), np.zeros_like(target)
        begin, end = pieces.first[piece], (pieces.first + pieces.length + 1)[piece]
        return cls(stream, Windows(target - 1, one, none, none), begin, end, mask, device)

    @property
    def nobs(self) -> int:
        """Number of observations."""
        return len(self.windows)

    def take(self, index: Array) -> MaskedReading:
        """Some of the observations."""
        return replace(self, windows=self.windows.take(index), begin=self.begin[index], end=self.end[index])

    def batches(self, places: int, most: int | None = None) -> Iterator[Batch]:
        """Pieces of like length together, at most `places` places and `most` pieces at a time."""
        length = self.end - self.begin
        order = np.argsort(length, kind="stable")
        start = 0
        while start < len(order):
            size = 1
            while start + size < len(order) and (size + 1) * length[order[start + size]] <= places and size != most:
                size += 1
            yield self.batch(order[start : start + size])
            start += size

    def batch(self, chosen: Array) -> Batch:
        """These observations."""
        begin, end, target = self.begin[chosen], self.end[chosen], self.windows.first[chosen] + 1
        where = begin[:, None] + np.arange(int((end - begin).max()))  # (n, T)
        inside, here = where < end[:, None], where == target[:, None]
        ids = self.stream.ids[np.where(inside, where, 0)]
        inputs = np.where(here, self.mask, np.where(inside, ids, 0))
        return Batch(
            torch.from_numpy(inputs).to(self.device),
            torch.from_numpy(inside)[:, None, None].to(self.device),
            bool((inputs < 0).any()),
            torch.from_numpy(here).to(self.device),
            torch.from_numpy(np.where(here, ids, 0)).to(self.device),
            np.asarray(chosen),
            np.asarray(chosen),
        )

    def alike(self) -> list[list[int]]:
        """Observations grouped by what the network reads for them: those of one group differ in what stands in the gap only."""
        found: dict[tuple[bytes, int], list[int]] = {}
        for i in range(self.nobs):
            place = int(self.windows.first[i] + 1 - self.begin[i])
            read = self.stream.ids[self.begin[i] : self.end[i]].copy()
            read[place] = self.mask
            found.setdefault((read.tobytes(), place), []).append(i)
        return list(found.values())


@torch.inference_mode()
def pseudo_loglike_obs(network: Decoder, reading: MaskedReading, predicted: int) -> Array:
    """(n,) log-probability of each observation given the rest of its piece, nats; ``-inf`` for tokens without a logit."""
    result = np.empty(reading.nobs)
    for batch in reading.batches(PLACES):
        logits = network(batch.inputs, batch.visible, batch.unknown)[batch.here].double()  # (n, V)
        targets = batch.targets[batch.here]
        inside = (targets >= 0) & (targets < predicted)
        found = logits.gather(-1, torch.where(inside, targets, 0)[:, None])[:, 0] - logits.logsumexp(-1)
        result[batch.rows] = torch.where(inside, found, -torch.inf).cpu().numpy()
    return result


@torch.inference_mode()
def gap_logprobs(network: Decoder, left: Array, right: Array, mask: int) -> Array:
    """(V,) log-probabilities of what stands between two stretches of network ids, nats."""
    ids = torch.from_numpy(np.concatenate([left, [mask], right]).astype(np.int64))[None]
    ids = ids.to(next(network.parameters()).device)
    seen = torch.ones((1, 1, 1, ids.shape[1]), dtype=torch.bool, device=ids.device)
    logits = network(ids, seen, bool((ids < 0).any()))[0, len(left)].double()
    return np.asarray(torch.log_softmax(logits, -1).cpu().numpy())
