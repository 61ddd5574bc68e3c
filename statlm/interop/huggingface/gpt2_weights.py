"""The weights of GPT-2 by transformers' names and by ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from statlm.errors import DamagedFile
from statlm.models.transformer.likelihood import DecoderLikelihood
from statlm.networks.architecture import Architecture
from statlm.numerics.types import Array

# Names of a block's parts, without ".weight" and ".bias", and whether transformers keeps the matrix transposed.
PARTS = {
    "attention_norm": ("ln_1", False),
    "attention.query_key_value": ("attn.c_attn", True),
    "attention.out": ("attn.c_proj", True),
    "feed_forward_norm": ("ln_2", False),
    "feed_forward.up": ("mlp.c_fc", True),
    "feed_forward.down": ("mlp.c_proj", True),
}
BUFFERS = (".attn.bias", ".attn.masked_bias")  # causal masks, which older files hold


def read_tensors(folder: Path) -> dict[str, Array]:
    """All tensors of a folder by name, without the prefix that some files give them."""
    from safetensors.torch import load_file

    found: dict[str, Array] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= {name.removeprefix("transformer."): t.double().numpy() for name, t in load_file(path).items()}
    return {name: array for name, array in found.items() if not name.endswith(BUFFERS)}


def as_ours(
    tensors: dict[str, Array], a: Architecture, rows: int, embedded: int, folder: Path, dtype: np.dtype[Any]
) -> dict[str, Array]:
    """Weights in the order of our network; every tensor has a place, and every weight a tensor of its shape."""
    import torch

    from statlm.networks.decoder import Decoder

    if a.layers > len(tensors):
        raise DamagedFile(
            f"{folder} says that it has {a.layers:,} layers, and holds {len(tensors):,} tensors. Copy both again."
        )
    left = dict(tensors)
    head = left.pop("lm_head.weight", None)
    if not a.tied and head is not None:
        left["lm_head.weight"] = head[:rows]
    with torch.device("meta"):
        shapes = {name: tuple(p.shape) for name, p in Decoder(a, embedded, rows).named_parameters()}
    weights = {}
    for ours, theirs, transposed in _names(a):
        array = left.pop(theirs, None)
        if array is None:
            raise DamagedFile(
                f"{folder} holds no weights {theirs}: settings and weights do not belong together. Copy both again."
            )
        array = array.T if transposed else array
        if array.shape != shapes[ours]:
            raise DamagedFile(
                f"In {folder} {theirs} has shape {tuple(tensors[theirs].shape)}, and the settings make it "
                f"{shapes[ours][::-1] if transposed else shapes[ours]}. Copy settings and weights again."
            )
        if not np.isfinite(array).all():
            raise DamagedFile(
                f"In {folder} {theirs} holds numbers that are not finite, so there is no likelihood. Copy it again."
            )
        weights[ours] = np.ascontiguousarray(array, dtype=dtype)
    if left:
        raise DamagedFile(
            f"{len(left):,} tensors of {folder} have no place in the network (the first: {sorted(left)[0]}): settings and "
            "weights do not belong together. Copy both again."
        )
    return {name: weights[name] for name in shapes}


def as_theirs(likelihood: DecoderLikelihood, number: Array) -> dict[str, Array]:
    """Our weights by transformers' names; gains and intercepts that our network lacks are ones and zeros."""
    a, embedded, rows = likelihood.architecture, likelihood.embedded, likelihood.predicted
    result = {}
    for ours, theirs, transposed in _names(a):
        array = likelihood.weights.get(ours)
        if array is None:
            size = {"query_key_value": 3 * a.width, "up": a.hidden_width}.get(ours.split(".")[-2], a.width)
            array = np.full(size, 1.0 if ours.endswith("norm.weight") else 0.0, likelihood.dtype)
        elif ours == "embedding.weight":
            array = _placed(array, number, embedded)
        elif ours == "head.weight":
            array = _placed(array, number[:rows], embedded)
        result["lm_head.weight" if theirs == "lm_head.weight" else f"transformer.{theirs}"] = np.ascontiguousarray(
            array.T if transposed else array
        )
    return result


def _placed(rows: Array, number: Array, size: int) -> Array:
    """Rows at their numbers; zeros where there is none."""
    placed = np.zeros((size, rows.shape[1]), rows.dtype)
    placed[number] = rows
    return placed


def _names(a: Architecture) -> Iterator[tuple[str, str, bool]]:
    """Our name of each tensor, transformers', and whether the matrix is transposed."""
    yield "embedding.weight", "wte.weight", False
    yield "places.weight", "wpe.weight", False
    for layer in range(a.layers):
        for ours, (theirs, transposed) in PARTS.items():
            yield f"blocks.{layer}.{ours}.weight", f"h.{layer}.{theirs}.weight", transposed
            yield f"blocks.{layer}.{ours}.bias", f"h.{layer}.{theirs}.bias", False
    yield "norm.weight", "ln_f.weight", False
    yield "norm.bias", "ln_f.bias", False
    if not a.tied:
        yield "head.weight", "lm_head.weight", False
