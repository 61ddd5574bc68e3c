"""What each place of a decoder looks at: the weights of its attention, computed again from queries and keys."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from statlm.networks.decoder import EPSILON, Attention, Block, Decoder, turned
from statlm.networks.descent import visibility
from statlm.numerics.types import Array


@torch.no_grad()
def attention_weights(network: Decoder, row: Array, *, prefix: bool = False) -> Array:
    """(layers, H, T, T) weights with which each place (third axis) looks at the others (fourth), rows summing to 1.

    Parameters
    ----------
    network : Decoder
        In evaluation mode.
    row : (T,) integer array
        Network ids, at most as many as its context.
    prefix : bool
        Whether all of the row is given, so that places see each other in both directions.
    """
    first = next(network.parameters())
    ids = torch.from_numpy(np.array(row, np.int64))[None].to(first.device)
    T = ids.shape[1]
    visible = visibility(np.array([T if prefix else 0]), T, first.device)
    x = network.embed(ids, bool((ids < 0).any()))
    cosine, sine = network.rotations[:, :T].to(x)
    found = []
    for block in network.blocks:
        assert isinstance(block, Block)  # ModuleList forgets
        found.append(_weights(block.attention, block.attention_norm(x), cosine, sine, visible)[0])
        x = block(x, cosine, sine, visible)
    empty = torch.zeros((0, network.architecture.heads, T, T))
    return (torch.stack(found) if found else empty).double().cpu().numpy()


def _weights(attention: Attention, x: Tensor, cosine: Tensor, sine: Tensor, visible: Tensor) -> Tensor:
    """(B, T, D) what a block's attention reads -> (B, H, T, T)."""
    B, T, D = x.shape
    joint = attention.query_key_value(x).view(B, T, 3, attention.heads, D // attention.heads)
    q, k, _ = joint.permute(2, 0, 3, 1, 4)  # 3 of (B, H, T, d)
    if attention.normalised:
        q, k = F.rms_norm(q, q.shape[-1:], eps=EPSILON), F.rms_norm(k, k.shape[-1:], eps=EPSILON)
    if attention.rotary:
        q, k = turned(q, cosine, sine), turned(k, cosine, sine)
    logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return torch.softmax(logits.masked_fill(~visible, float("-inf")), -1)
