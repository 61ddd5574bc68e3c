"""Compiling a network, where that pays and works."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from statlm.errors import SpecificationError, StatlmWarning
from statlm.networks.training import Training

PAYS_FROM = 240.0  # seconds of budget
COMPILERS = ("g++", "clang++", "c++")


def runner(network: nn.Module, training: Training, example: Callable[[], tuple[Any, ...]]) -> Callable[..., Tensor]:
    """The network, or what ``torch.compile`` makes of it.

    Parameters
    ----------
    network : Module
    training : Training
        Whose `compiled` says whether to; None leaves it to the budget and the machine.
    example : callable
        Makes the inputs of a step, which the compiled network is tried on.

    Raises
    ------
    SpecificationError
        If compilation was asked for and fails.
    """
    asked = training.compiled
    if asked is None:
        asked = training.time is not None and training.time >= PAYS_FROM and _compiler() is not None
    if not asked:
        return network
    compiled: Callable[..., Tensor] = torch.compile(network)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of the compiler are about itself
            compiled(*example()).sum().backward()  # both directions are compiled at their first use
    except Exception as error:  # whatever a compiler and its surroundings can raise
        if training.compiled:
            raise SpecificationError(
                f"compiled=True, and torch.compile fails here ({type(error).__name__}). It needs a C++ compiler and Python's "
                "headers (packages g++ and python3-dev, say). Leave compiled= out to fit without."
            ) from error
        warnings.warn(
            f"torch.compile fails here ({type(error).__name__}), so the network is fitted without, with slower steps. Install a "
            "C++ compiler and Python's headers, or set compiled=False.",
            StatlmWarning,
            stacklevel=2,
        )
        compiled = network
    network.zero_grad(set_to_none=True)
    return compiled


def _compiler() -> str | None:
    """A C++ compiler that torch would use."""
    named = os.environ.get("CXX")
    return next((found for name in ([named] if named else COMPILERS) if (found := shutil.which(name))), None)
