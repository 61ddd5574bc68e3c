"""The observations of a text as batches of windows that a network reads together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from statlm.networks.descent import visibility
from statlm.networks.windows import Stream, Windows
from statlm.numerics.types import Array


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows that are read together.

    Attributes
    ----------
    inputs : (W, T) integer tensor
    visible : (W, 1, T, T) bool tensor or None
    unknown : bool
        Whether there may be ids without an embedding.
    here : (W, T) bool tensor
        Places that predict an observation.
    targets : (W, T) integer tensor
        What is observed there; 0 elsewhere.
    rows : (n,) integer array
        Which observations they are.
    windows : (W,) integer array
        Which windows these are.
    """

    inputs: Tensor
    visible: Tensor | None
    unknown: bool
    here: Tensor
    targets: Tensor
    rows: Array
    windows: Array


@dataclass(frozen=True, eq=False)
class Reading:
    """A text as a network reads it.

    Parameters
    ----------
    stream : Stream
    windows : Windows
        In which every observation counts once.
    prefix : bool
        Whether given tokens see each other.
    device : device
    """

    stream: Stream
    windows: Windows
    prefix: bool = False
    device: torch.device | str = "cpu"

    @property
    def nobs(self) -> int:
        """Number of observations."""
        return int(self.windows.nscored.sum())

    def take(self, index: Array) -> Reading:
        """Some of the windows; their observations are counted anew."""
        return replace(self, windows=self.windows.take(index))

    def batches(self, places: int, most: int | None = None) -> Iterator[Batch]:
        """Windows of like length together, at most `places` places and `most` windows at a time."""
        length = self.windows.length
        order = np.argsort(length, kind="stable")
        start = 0
        while start < len(order):
            size = 1
            while start + size < len(order) and (size + 1) * length[order[start + size]] <= places and size != most:
                size += 1
            yield self.batch(order[start : start + size])
            start += size

    def batch(self, chosen: Array) -> Batch:
        """These windows."""
        part = self.windows.take(chosen)
        inputs, targets, counts = part.batch(self.stream)
        visible = visibility(part.prefix, inputs.shape[1], self.device) if self.prefix else None
        ends = np.cumsum(self.windows.nscored)
        rows = [np.arange(ends[w] - n, ends[w]) for w, n in zip(chosen, part.nscored, strict=True)]
        return Batch(
            torch.from_numpy(inputs).to(self.device),
            visible,
            bool((inputs < 0).any()),
            torch.from_numpy(counts).to(self.device),
            torch.from_numpy(np.where(counts, targets, 0)).to(self.device),
            np.concatenate(rows),
            np.asarray(chosen),
        )

    def alike(self) -> list[list[int]]:
        """Windows grouped by what the network reads in them: those of one group differ in what follows only."""
        found: dict[tuple[bytes, int, int], list[int]] = {}
        w = self.windows
        for i in range(len(w)):
            read = self.stream.ids[w.first[i] : w.first[i] + w.length[i]]
            key = (read.tobytes(), int(w.scored[i]), int(w.prefix[i]) if self.prefix else 0)
            found.setdefault(key, []).append(i)
        return list(found.values())
