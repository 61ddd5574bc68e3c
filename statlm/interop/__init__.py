"""Models and files of other programs; each is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["arpa", "arviz", "huggingface", "parquet"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"statlm.interop.{name}")
    raise AttributeError(f"module 'statlm.interop' has no attribute {name!r}")
