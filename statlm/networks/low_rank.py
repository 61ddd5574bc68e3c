"""Low-rank updates: a matrix plus the product of two thin ones, which alone are fitted."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from statlm.errors import SpecificationError

SCALE = 0.02  # standard deviation of the first factor; the second begins at 0, so that the update does


class LowRank(nn.Module):
    """W -> W + B A with A (r, n) and B (m, r) (Hu et al. 2022)."""

    def __init__(self, matrix: Tensor, rank: int) -> None:
        super().__init__()
        m, n = matrix.shape
        self.a = nn.Parameter(torch.randn(rank, n, dtype=matrix.dtype, device=matrix.device) * SCALE)
        self.b = nn.Parameter(torch.zeros(m, rank, dtype=matrix.dtype, device=matrix.device))

    def forward(self, matrix: Tensor) -> Tensor:
        return matrix + self.b @ self.a


def matrices_of(network: nn.Module) -> list[tuple[str, nn.Linear]]:
    """The linear maps inside of the blocks."""
    return [(name, m) for name, m in network.named_modules() if isinstance(m, nn.Linear) and name.startswith("blocks.")]


def attach(network: nn.Module, rank: int) -> int:
    """Give every matrix inside of the blocks a low-rank update, and hold everything else fixed.

    Returns
    -------
    int
        Degrees of freedom: r (m + n - r) a matrix, since the factors are free up to an invertible r x r matrix.

    Raises
    ------
    SpecificationError
        If there is no matrix, or the rank is not below the sides of one.
    """
    matrices = matrices_of(network)
    if not matrices:
        raise SpecificationError("The network has no blocks, so there is no matrix to update at low rank. Leave out rank=.")
    least = min(min(linear.weight.shape) for _, linear in matrices)
    if rank >= least:
        raise SpecificationError(
            f"rank={rank} is no low rank: the smallest matrix has {least} rows or columns. Choose less."
        )
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    dof = 0
    for _, linear in matrices:
        m, n = linear.weight.shape
        dof += rank * (m + n - rank)
        parametrize.register_parametrization(linear, "weight", LowRank(linear.weight, rank))
    return dof


def merge(network: nn.Module) -> None:
    """Add the updates to the matrices, which are then ordinary ones again."""
    for _, linear in matrices_of(network):
        if parametrize.is_parametrized(linear, "weight"):
            parametrize.remove_parametrizations(linear, "weight", leave_parametrized=True)
