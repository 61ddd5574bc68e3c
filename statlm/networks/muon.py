"""Muon: momentum whose steps are orthogonalised, for the matrices inside of a network."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor

# Coefficients of the odd quintic that drives singular values towards 1 (Jordan et al. 2024).
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
WARM_STEPS, WARM_MOMENTUM = 300, 0.85
SMALL = 1e-7


class Muon(torch.optim.Optimizer):
    r"""Steps :math:`-\eta\, U V'`, where :math:`U S V'` is the momentum of the gradient (Jordan et al. 2024).

    Each matrix is cut into square tiles, which are orthogonalised apart: query, key and value are tiles of one weight, and
    the feed-forward matrices are four each. All tiles of a size are one batched product, in bfloat16 where the device multiplies
    that faster (which direction a step takes needs no more digits) and in the precision of the weights elsewhere; torch's own
    Muon takes one matrix after the other.

    Parameters
    ----------
    params : iterable of (m, n) tensors
    lr : float
        Spectral norm of a step.
    momentum : float
        Reached after 300 steps, from 0.85; Nesterov's.
    iterations : int
        Newton-Schulz iterations.
    weight_decay : float
        Times the learning rate, the share by which weights shrink in a step.

    References
    ----------
    Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        iterations: int = 5,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "iterations": iterations, "weight_decay": weight_decay, "step": 0}
        )

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move the weights by one step."""
        for group in self.param_groups:
            reached = min(group["step"] / WARM_STEPS, 1.0)
            momentum = WARM_MOMENTUM + (group["momentum"] - WARM_MOMENTUM) * reached
            group["step"] += 1
            by_shape: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if "momentum" not in self.state[weight]:
                    self.state[weight]["momentum"] = torch.zeros_like(weight)
                buffer = self.state[weight]["momentum"]
                buffer.lerp_(weight.grad, 1 - momentum)
                direction = tiles(weight.grad.lerp(buffer, momentum))
                by_shape.setdefault((direction.shape[1], direction.shape[2]), []).append((tiles(weight), direction))
            for pairs in by_shape.values():
                directions = torch.cat([direction for _, direction in pairs])
                steps = orthogonalised(directions.to(_precision(directions)), group["iterations"]).to(directions.dtype)
                for (weight, _), step in zip(pairs, steps.split([len(weight) for weight, _ in pairs]), strict=True):
                    if group["weight_decay"]:
                        weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(step, alpha=-group["lr"])


def _precision(directions: Tensor) -> torch.dtype:
    faster = directions.is_cuda or _multiplies_bfloat16()
    return torch.bfloat16 if directions.dtype == torch.float32 and faster else directions.dtype


@cache
def _multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products in bfloat16."""
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def tiles(matrix: Tensor) -> Tensor:
    """(m, n) -> (k, r, r) views of its square tiles, where one side is k times the other; (1, m, n) where it is not."""
    m, n = matrix.shape
    if m % n == 0:
        return matrix.view(m // n, n, n)
    if n % m == 0:
        return matrix.view(m, n // m, m).transpose(0, 1)  # a view: writing to a tile writes to the matrix
    return matrix.view(1, m, n)


def orthogonalised(matrices: Tensor, iterations: int) -> Tensor:
    """(k, m, n) matrices with singular values near 1 and the same singular vectors, by Newton-Schulz iterations."""
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + SMALL)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=CUBIC, alpha=QUINTIC), x, beta=LINEAR)
    return x.mT if tall else x
