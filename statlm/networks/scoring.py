"""Log-probabilities of observations and of next tokens under a network, accumulated in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from statlm.networks.decoder import Decoder
from statlm.networks.descent import visibility
from statlm.networks.windows import Stream, Windows
from statlm.numerics.types import Array

PLACES = 1 << 14  # read at once
LOGITS = 1 << 24  # held at once


@torch.inference_mode()
def loglike_obs(network: Decoder, stream: Stream, windows: Windows, *, predicted: int, prefix: bool = False) -> Array:
    """(nobs,) log-probability of each prediction that counts, in the order of the windows, nats.

    Parameters
    ----------
    network : Decoder
    stream : Stream
    windows : Windows
    predicted : int
        Number of tokens with a logit: another observed token has probability 0.
    prefix : bool
        Whether given tokens see each other.
    """
    ends = np.cumsum(windows.nscored)
    result = np.empty(int(ends[-1]))
    device = next(network.parameters()).device
    unknown = bool((stream.ids < 0).any())
    places = max(min(PLACES, LOGITS // predicted), 1)
    order = np.argsort(windows.length, kind="stable")
    start = 0
    while start < len(order):
        size = 1
        while start + size < len(order) and (size + 1) * windows.length[order[start + size]] <= places:
            size += 1
        chosen = order[start : start + size]
        start += size
        part = windows.take(chosen)
        inputs, targets, counts = part.batch(stream)
        visible = visibility(part.prefix, inputs.shape[1], device) if prefix else None
        logits = network(torch.from_numpy(inputs).to(device), visible, unknown)
        here = torch.from_numpy(counts).to(device)
        found = _picked(logits[here], torch.from_numpy(targets).to(device)[here])
        # Rows of the batch go back to where their windows stand.
        into = np.concatenate([np.arange(ends[w] - n, ends[w]) for w, n in zip(chosen, part.nscored, strict=True)])
        result[into] = found.cpu().numpy()
    return result


@torch.inference_mode()
def logprobs(
    network: Decoder,
    rows: Sequence[Sequence[int] | Array],
    *,
    predicted: int,
    prefix: bool = False,
    asked: Sequence[int] | None = None,
) -> Array:
    """(m, V) log-probabilities of the token after each row of network ids, nats.

    With a prefix mask all of a row is given, or its first `asked` places.
    """
    device = next(network.parameters()).device
    result = np.empty((len(rows), predicted))
    lengths = np.array([len(row) for row in rows])
    order = np.argsort(lengths, kind="stable")
    size = max(1, min(PLACES // max(int(lengths.max(initial=1)), 1), LOGITS // predicted))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        inputs = np.zeros((len(chosen), int(lengths[chosen].max())), np.int64)
        for i, row in enumerate(chosen):
            inputs[i, : lengths[row]] = rows[row]
        read = torch.from_numpy(inputs).to(device)
        given = lengths[chosen] if asked is None else np.asarray(asked)[chosen]
        visible = visibility(given, inputs.shape[1], device) if prefix or asked is not None else None
        features = network.features(read, visible, bool((inputs < 0).any()))  # (b, T, D)
        last = features[torch.arange(len(chosen)), torch.from_numpy(lengths[chosen] - 1)]  # (b, D)
        result[chosen] = torch.log_softmax(network.logits(last).double(), -1).cpu().numpy()
    return result


def _picked(logits: Tensor, targets: Tensor) -> Tensor:
    """(n,) log-probability of each target in float64; ``-inf`` where it has no logit."""
    logits = logits.double()
    inside = (targets >= 0) & (targets < logits.shape[-1])
    found: Tensor = logits.gather(-1, torch.where(inside, targets, 0)[:, None])[:, 0] - logits.logsumexp(-1)
    return torch.where(inside, found, -torch.inf)
