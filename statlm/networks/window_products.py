"""Scores summed over each window, along several directions, from what passes through the layers: no gradient is formed.

The gradient of the weights of a linear map is a sum over places of products of what goes in and of the gradient of what comes out
(Goodfellow 2015), so its product with a direction needs a forward pass and a backward pass through the activations only. The same
forward pass serves a second backward pass with a random sign for each observation: squares of those sums estimate the sum
of squares over observations (Hutchinson 1990).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from statlm.networks.batches import Batch
from statlm.networks.derivatives import LOGITS, Derivatives
from statlm.networks.linear_maps import LinearMaps, Passed
from statlm.numerics.types import Array

PLACES = 1 << 12  # read at once
DROPPED = 1e-7  # of the largest singular value of a direction: below it is rounding
AGREEMENT = 1e-3  # with the gradient itself, of the sum of absolute values


def window_products(d: Derivatives, directions: Array) -> tuple[Array, Array] | None:
    """Sums of the scores of each window along directions, plain and with a random sign for each observation.

    Parameters
    ----------
    d : Derivatives
    directions : (p, q) array

    Returns
    -------
    pair of (W, q) arrays, or None
        None where a weight of the network is not, or not only, that of a linear map or an embedding that reads windows side by
        side: the first batch is compared with its gradient.
    """
    tangents = d._tangents(directions)
    factors: dict[str, Factors] = {}
    signs = 1.0 - 2.0 * np.random.default_rng(0).integers(2, size=d.nobs)
    plain, signed = (np.zeros((len(d.reading.windows), directions.shape[1])) for _ in range(2))
    checked = False
    for batch in d.reading.batches(min(PLACES, max(1, LOGITS // d.predicted))):
        passed: list[Passed] = []
        with LinearMaps(d.network, passed.append):
            scored = _scored(d, batch)
        if not _covered(tangents, passed, len(batch.windows)):
            return None
        outputs = [one.output for one in passed]
        weights = torch.from_numpy(signs[batch.rows]).to(scored)
        for into, loss, keep in ((plain, scored.sum(), True), (signed, (scored * weights).sum(), not checked)):
            gradients = torch.autograd.grad(loss, outputs, retain_graph=keep)
            total = scored.new_zeros(len(batch.windows), directions.shape[1])
            for one, gradient in zip(passed, gradients, strict=True):
                total += _products(one, gradient, tangents, factors)
            into[batch.windows] = total.double().cpu().numpy()
        if not checked:
            checked = True
            if not _agrees(d, scored.sum(), plain[batch.windows], directions):
                return None
    return plain, signed


Factors = tuple[Tensor, Tensor, Tensor] | None


def _covered(tangents: dict[str, Tensor], passed: list[Passed], windows: int) -> bool:
    """Whether every weight is that of a map that reads the windows side by side."""
    held = {one.weight for one in passed} | {one.bias for one in passed if one.bias}
    return held == set(tangents) and all(
        one.given.shape[0] == windows and one.given.ndim == (2 if one.embedding else 3) for one in passed
    )


def _products(one: Passed, gradient: Tensor, tangents: dict[str, Tensor], factors: dict[str, Factors]) -> Tensor:
    """(W, q) products with the directions of what each window adds to the gradient of the weights of a map."""
    directions = tangents[one.weight]  # (q, rows, columns)
    if one.embedding:  # (q, tokens, rows)
        return torch.stack([(gradient * u[one.given]).sum((1, 2)) for u in directions], 1)
    if one.weight not in factors:
        factors[one.weight] = _factors(directions)
    low = factors[one.weight]
    if low is None:
        whole = gradient.transpose(1, 2) @ one.given  # (W, rows, columns)
        result = whole.flatten(1) @ directions.flatten(1).T
    else:
        left, right, owner = low
        each = ((gradient @ left) * (one.given @ right)).sum(1)  # (W, R)
        result = each.new_zeros(len(each), len(directions)).index_add_(1, owner, each)
    return result if one.bias is None else result + gradient.sum(1) @ tangents[one.bias].T


def _factors(directions: Tensor) -> Factors:
    """(rows, R) and (columns, R) low-rank factors of directions side by side, and the direction of each; None where that is more
    work than a gradient of each window.
    """
    _, rows, columns = directions.shape
    u, s, v = torch.linalg.svd(directions.double(), full_matrices=False)
    kept = s > DROPPED * s.amax(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)  # (q, rank)
    if int(kept.sum()) * (rows + columns) >= rows * columns:
        return None
    owner, place = kept.nonzero(as_tuple=True)
    left = (u * s[:, None, :])[owner, :, place].T.contiguous()  # (rows, R)
    right = v[owner, place].T.contiguous()  # (columns, R)
    return left.to(directions), right.to(directions), owner.to(directions.device)


def _scored(d: Derivatives, batch: Batch) -> Tensor:
    """(n,) log-probabilities, in the graph of the network itself."""
    logits = d.network(batch.inputs, batch.visible, batch.unknown)[batch.here]
    return logits.gather(-1, batch.targets[batch.here][:, None])[:, 0] - logits.logsumexp(-1)


def _agrees(d: Derivatives, loss: Tensor, found: Array, directions: Array) -> bool:
    """Whether the products of a batch sum to that of its gradient."""
    gradients = torch.autograd.grad(loss, list(d.network.parameters()), allow_unused=True)
    flat = [
        torch.zeros(w.numel(), dtype=w.dtype) if g is None else g.flatten().cpu()
        for g, w in zip(gradients, d.network.parameters(), strict=True)
    ]
    exact = torch.cat(flat).double().numpy() @ directions
    return bool((np.abs(exact - found.sum(axis=0)) <= AGREEMENT * np.abs(found).sum(axis=0)).all())
