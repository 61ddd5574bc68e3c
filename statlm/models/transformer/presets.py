"""Published configurations of decoders."""

from __future__ import annotations

from typing import Any

_GPT2: dict[str, Any] = {
    "dropout": 0.0,
    "weight_decay": 0.0,
    "layers": 4,
    "lags": 0,
    "positions": "learned",
    "norm": "layer",
    "affine": True,
    "bias": True,
    "embedding_norm": False,
    "query_key_norm": False,
    "activation": "gelu-tanh",
    "tied": True,
    "initialisation": "gpt2",
    "optimizer": "adamw",
}

PRESETS: dict[str, dict[str, Any]] = {
    # Radford et al. (2019), the smallest.
    "gpt2": _GPT2 | {"layers": 12, "heads": 12, "width": 768, "context": 1024, "dropout": 0.1, "attention_dropout": 0.1},
    # The character model of Shakespeare with six layers, an untied head and exact GELU.
    "gpt4r": _GPT2
    | {
        "layers": 6,
        "heads": 6,
        "width": 384,
        "context": 256,
        "tied": False,
        "activation": "gelu",
        "dropout": 0.2,
        "attention_dropout": 0.2,
        "optimizer": "adam",
        "clip": 1.0,
        "batch": 64 * 256,
    },
    # Addition of numbers column by column: a prefix mask over prompts of at most nine places.
    "alga": _GPT2
    | {
        "layers": 2,
        "heads": 2,
        "width": 64,
        "context": 9,
        "tied": False,
        "activation": "gelu",
        "prefix": True,
    },
    # nanoGPT's recipe for a processor: three minutes on Shakespeare's characters.
    "nanogpt-cpu": _GPT2
    | {
        "layers": 4,
        "heads": 4,
        "width": 128,
        "context": 64,
        "bias": False,
        "activation": "gelu",
        "steps": 2000,
        "batch": 12 * 64,
        "learning_rate": 1e-3,
        "warmup": 100,
        "weight_decay": 0.1,
        "clip": 1.0,
        "hold": 0.0,
    },
}
