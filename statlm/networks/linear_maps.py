"""What passes through the linear maps and embeddings of a network while it reads, whichever way it calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True, eq=False)
class Passed:
    """One call of a linear map or an embedding.

    Attributes
    ----------
    weight : str
        Name of its matrix.
    bias : str or None
        Of its intercepts.
    given : tensor
        (..., columns) vectors, or ids of any shape.
    output : (..., rows) tensor
        In the graph of the network.
    """

    weight: str
    bias: str | None
    given: Tensor
    output: Tensor

    @property
    def embedding(self) -> bool:
        """Whether ids were looked up."""
        return not self.given.is_floating_point()


class LinearMaps(TorchFunctionMode):
    """While it is entered, tells of every call of a linear map whose matrix is a weight of the network itself.

    Parameters
    ----------
    network : Module
    tell : callable
        Takes a `Passed`.
    """

    def __init__(self, network: nn.Module, tell: Callable[[Passed], None]) -> None:
        super().__init__()
        self._names = {id(w): name for name, w in network.named_parameters()}
        self._tell = tell

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, and tell."""
        result = function(*args, **(kwargs or {}))
        if (function is F.linear or function is F.embedding) and len(args) > 1 and id(args[1]) in self._names:
            bias = args[2] if len(args) > 2 else (kwargs or {}).get("bias")
            own = self._names.get(id(bias)) if function is F.linear else None
            self._tell(Passed(self._names[id(args[1])], own, args[0].detach(), result))
        return result
