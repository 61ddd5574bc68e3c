"""Log-probabilities under a network of transformers, each batch of one length, accumulated in float64."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from statlm.interop.huggingface.loading import call
from statlm.networks.windows import Stream, Windows
from statlm.numerics.types import Array

PLACES = 1 << 12  # read at once
LOGITS = 1 << 26  # held at once
DOUBLES = 1 << 22  # of them in float64


@torch.inference_mode()
def loglike_obs(network: Any, stream: Stream, windows: Windows, rows: int) -> Array:
    """(nobs,) log-probability of each prediction that counts, in the order of the windows, nats.

    Parameters
    ----------
    network : torch.nn.Module
    stream : Stream
        Ids are those of the network.
    windows : Windows
    rows : int
        Tokens that the network predicts.
    """
    ends = np.cumsum(windows.nscored)
    result = np.empty(int(ends[-1]))
    for chosen in _batches(windows.length, rows):
        part = windows.take(chosen)
        inputs, targets, counts = part.batch(stream)
        first = int(part.scored.min())
        logits = call(network, torch.from_numpy(inputs).to(network.device), inputs.shape[1] - first, use_cache=False).logits
        here = torch.from_numpy(counts[:, first:]).to(network.device)
        found = _picked(logits, here, targets[:, first:][counts[:, first:]])
        into = np.concatenate([np.arange(ends[w] - n, ends[w]) for w, n in zip(chosen, part.nscored, strict=True)])
        result[into] = found
    return result


@torch.inference_mode()
def logprobs(network: Any, contexts: Sequence[Array], rows: int) -> Array:
    """(m, V) log-probabilities of the token after each context of network ids, nats.

    A context that goes on from the one before it is read together with it.
    """
    result = np.empty((len(contexts), rows))
    chains = _chains(contexts)
    longest = [contexts[chain[-1]] for chain in chains]
    for chosen in _batches(np.array([len(ids) for ids in longest]), rows):
        ids = np.stack([longest[i] for i in chosen])
        first = min(len(contexts[chains[i][0]]) for i in chosen) - 1
        logits = call(network, torch.from_numpy(ids).to(network.device), ids.shape[1] - first, use_cache=False).logits
        for row, i in enumerate(chosen):
            places = [len(contexts[c]) - 1 - first for c in chains[i]]
            result[chains[i]] = torch.log_softmax(logits[row, places].double(), -1).cpu().numpy()
    return result


def _batches(lengths: Array, rows: int) -> Iterator[Array]:
    """Numbers of what is read together: of one length, so that nothing is padding."""
    order = np.argsort(lengths, kind="stable")
    for same in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        if len(same):
            size = max(min(PLACES, LOGITS // rows) // max(int(lengths[same[0]]), 1), 1)
            yield from np.split(same, np.arange(size, len(same), size))


def _chains(contexts: Sequence[Array]) -> list[list[int]]:
    """Runs of contexts each of which begins with the one before it."""
    chains: list[list[int]] = []
    for i, context in enumerate(contexts):
        before = contexts[i - 1] if i else None
        if before is not None and len(before) < len(context) and np.array_equal(context[: len(before)], before):
            chains[-1].append(i)
        else:
            chains.append([i])
    return chains


def _picked(logits: Any, counts: Any, targets: Array) -> Array:
    """(n,) log-probability of each target in float64, some rows of logits at a time."""
    chosen = logits[counts]  # (b, T, V) -> (n, V)
    wanted = torch.from_numpy(targets).to(chosen.device)
    result = np.empty(len(targets))
    step = max(DOUBLES // chosen.shape[1], 1)
    for start in range(0, len(targets), step):
        part = chosen[start : start + step].double()
        found = part.gather(-1, wanted[start : start + step, None])[:, 0] - part.logsumexp(-1)
        result[start : start + step] = found.cpu().numpy()
    return result
