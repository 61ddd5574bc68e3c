"""Documents that grow, read by a network of transformers that keeps what earlier places said."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from statlm.interop.huggingface.loading import call
from statlm.networks.windows import window_start
from statlm.numerics.types import Array


class CachedReader:
    """Next-token distributions of documents that grow; see `statlm.likelihood.protocols.Reader`.

    Parameters
    ----------
    network : torch.nn.Module
    starts : sequence of D integer arrays
        What each document begins with, as the network numbers tokens; at least one token.
    numbers : (V,) integer array
        The network's number of each token of the support.
    context, stride : int
        Of the windows, which move on as in evaluation, so that text is drawn from the distribution that is evaluated.
    """

    def __init__(self, network: Any, starts: Sequence[Array], *, numbers: Array, context: int, stride: int) -> None:
        self.network, self.numbers, self.context, self.stride = network, numbers, context, stride
        self.keeps = "past_key_values" in inspect.signature(network.forward).parameters
        self.nrows = len(starts)
        self.lanes: list[_Lane] = []
        by_length: dict[int, list[int]] = {}
        for row, ids in enumerate(starts):
            by_length.setdefault(len(ids), []).append(row)
        for length, rows in by_length.items():
            ids = np.stack([starts[row] for row in rows])[:, window_start(length - 1, context, stride) :]
            lane = _Lane(np.array(rows), ids)
            self._read(lane, ids)
            self.lanes.append(lane)

    def logprobs(self) -> Array:
        """(m, V) log-probabilities of the next token of each document, nats."""
        result = np.empty((self.nrows, len(self.numbers)))
        for lane in self.lanes:
            result[lane.rows] = lane.logprobs[:, self.numbers]
        return result

    def read(self, ids: Array, kept: Array) -> None:
        """Go on with the (m,) tokens in the documents that are `kept`; the others are dropped."""
        number = np.cumsum(kept) - 1
        lanes = []
        for lane in self.lanes:
            going = kept[lane.rows]
            if not going.any():
                continue
            new = self.numbers[ids[lane.rows][going]][:, None]  # (m, 1)
            if not going.all() and lane.cache is not None:
                lane.cache.batch_select_indices(torch.from_numpy(np.flatnonzero(going)).to(self.network.device))
            lane.rows = number[lane.rows[going]]
            lane.ids = np.concatenate([lane.ids[going], new], axis=1)
            if lane.ids.shape[1] > self.context:  # the window is full: start it later, and read what it keeps again
                lane.ids = lane.ids[:, self.stride :]
                lane.cache, new = None, lane.ids
            self._read(lane, new)
            lanes.append(lane)
        self.lanes, self.nrows = lanes, int(kept.sum())

    @torch.inference_mode()
    def _read(self, lane: _Lane, new: Array) -> None:
        if not self.keeps:
            output = call(self.network, self._tensor(lane.ids), 1, use_cache=False)
        elif lane.cache is None:
            output = call(self.network, self._tensor(new), 1, use_cache=True)
        else:
            output = call(self.network, self._tensor(new), 1, use_cache=True, past_key_values=lane.cache)
        lane.cache = output.past_key_values if self.keeps else None
        lane.logprobs = torch.log_softmax(output.logits[:, -1].double(), -1).cpu().numpy()

    def _tensor(self, ids: Array) -> Any:
        return torch.from_numpy(np.ascontiguousarray(ids)).to(self.network.device)


@dataclass
class _Lane:
    """Documents whose windows are equally full."""

    rows: Array  # (m,) their numbers
    ids: Array  # (m, n) what is in their windows
    cache: Any = None
    logprobs: Any = None  # (m, V)
