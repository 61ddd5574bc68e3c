"""The vectors that the head of a network is a multinomial logit on."""

from __future__ import annotations

import numpy as np
import torch

from statlm.networks.batches import Reading
from statlm.networks.decoder import Decoder
from statlm.networks.descent import visibility
from statlm.numerics.types import Array

PLACES = 1 << 14  # read at once


@torch.inference_mode()
def features_obs(network: Decoder, reading: Reading) -> Array:
    """(nobs, D) features of the context of each observation."""
    result = np.empty((reading.nobs, network.architecture.width))
    for batch in reading.batches(PLACES):
        found = network.features(batch.inputs, batch.visible, batch.unknown)  # (W, T, D)
        result[batch.rows] = found[batch.here].double().cpu().numpy()
    return result


@torch.inference_mode()
def features_after(network: Decoder, rows: list[Array], *, prefix: bool = False) -> Array:
    """(m, D) features after each row of network ids; with a prefix mask all of a row is given."""
    device = next(network.parameters()).device
    result = np.empty((len(rows), network.architecture.width))
    for i, row in enumerate(rows):
        ids = torch.from_numpy(np.array(row, np.int64))[None].to(device)
        visible = visibility(np.array([len(row)]), len(row), device) if prefix else None
        result[i] = network.features(ids, visible, bool((ids < 0).any()))[0, -1].double().cpu().numpy()
    return result


@torch.inference_mode()
def states_after(network: Decoder, rows: list[Array], *, prefix: bool = False) -> Array:
    """(m, D) features after each row of network ids, all rows read together; see `features_after` for one at a time."""
    device = next(network.parameters()).device
    lengths = np.array([len(row) for row in rows])
    inputs = np.zeros((len(rows), int(lengths.max())), np.int64)
    for i, row in enumerate(rows):
        inputs[i, : len(row)] = row
    visible = visibility(lengths, inputs.shape[1], device) if prefix else None
    found = network.features(torch.from_numpy(inputs).to(device), visible, bool((inputs < 0).any()))  # (m, T, D)
    last = found[torch.arange(len(rows)), torch.from_numpy(lengths - 1)]
    return np.asarray(last.double().cpu().numpy())
