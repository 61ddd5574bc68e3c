"""What the gates of a mixture of experts say."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from statlm.networks.decoder import Decoder, Experts
from statlm.networks.descent import visibility
from statlm.numerics.types import Array


@torch.inference_mode()
def gate_probabilities(network: Decoder, row: Array, *, prefix: bool = False) -> tuple[Array, Array]:
    """Gates of each layer with experts at the last place of a row of network ids.

    Parameters
    ----------
    network : Decoder
    row : (T,) integer array
    prefix : bool
        Whether all of it is given.

    Returns
    -------
    probabilities : (layers, E) array
    weights : (layers, E) array
        With which the experts count; 0 for those that are not chosen.
    """
    found: list[Array] = []
    layers = [module for module in network.modules() if isinstance(module, Experts)]

    def keep(module: Any, given: Any, logits: torch.Tensor) -> None:
        found.append(torch.softmax(logits[-1].double(), -1).cpu().numpy())

    handles = [layer.gate.register_forward_hook(keep) for layer in layers]
    try:
        ids = torch.from_numpy(np.asarray(row, np.int64))[None].to(next(network.parameters()).device)
        visible = visibility(np.array([len(row)]), len(row), ids.device) if prefix else None
        network.features(ids, visible, bool((ids < 0).any()))
    finally:
        for handle in handles:
            handle.remove()
    probabilities = np.stack(found)
    weights = np.zeros_like(probabilities)
    for layer, p, w in zip(layers, probabilities, weights, strict=True):
        chosen = np.argsort(-p, kind="stable")[: layer.chosen]
        w[chosen] = p[chosen] / p[chosen].sum() if layer.chosen > 1 else p[chosen]
    return probabilities, weights
