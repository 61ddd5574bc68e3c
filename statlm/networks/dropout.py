"""Dropout from cheap coins."""

from __future__ import annotations

import torch
from torch import Tensor, nn

COIN = torch.int16
SIDES = 1 << 16


class Dropout(nn.Module):
    """Sets a share of activations to 0 in training, and scales the others so that the mean stays (Srivastava et al. 2014).

    On a processor torch draws one number of 32 bits for each activation, one after the other, which takes longer than the
    matrix product beside it. Here four coins are cut from each draw of 64 bits. The share is a multiple of 1 / 65,536, and the
    scale is that of the share.

    Parameters
    ----------
    rate : float
        The share.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), Dropout. Journal of Machine Learning Research 15.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropped = round(rate * SIDES)
        self.scale = SIDES / (SIDES - self.dropped)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.dropped == 0:
            return x
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        coins = draws.view(COIN)[: x.numel()].view(x.shape)  # uniform on -32,768 ... 32,767
        kept = coins >= self.dropped - SIDES // 2
        return x * kept.to(x.dtype).mul_(self.scale)
