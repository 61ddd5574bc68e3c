"""Any module from ids to logits, called as the decoder is."""

from __future__ import annotations

from torch import Tensor, nn

from statlm.errors import SpecificationError


class Adapted(nn.Module):
    """A module with the calling convention of `Decoder`; its features are its logits.

    Parameters
    ----------
    module : Module
        From (B, T) ids to (B, T, V) logits.
    predicted : int
        How many of the logits count.
    """

    def __init__(self, module: nn.Module, predicted: int) -> None:
        super().__init__()
        self.module = module
        self.predicted = predicted

    def forward(self, ids: Tensor, visible: Tensor | None = None, unknown: bool = False) -> Tensor:
        """Logits of the token after each place."""
        logits: Tensor = self.module(ids)
        if logits.ndim != 3 or logits.shape[:2] != ids.shape or logits.shape[2] < self.predicted:
            raise SpecificationError(
                f"The module gives an array of shape {tuple(logits.shape)} for ids of shape {tuple(ids.shape)}: it "
                f"must give logits of shape "
                f"({ids.shape[0]}, {ids.shape[1]}, {self.predicted} or more), one row for each place."
            )
        return logits[..., : self.predicted]

    def features(self, ids: Tensor, visible: Tensor | None = None, unknown: bool = False) -> Tensor:
        """The logits."""
        return self(ids, visible, unknown)

    def logits(self, features: Tensor) -> Tensor:
        """What they are already."""
        return features
