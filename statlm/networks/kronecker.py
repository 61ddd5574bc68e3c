"""An approximate inverse of a damped curvature, layer by layer: what makes conjugate gradients converge.

The curvature of the weights of a linear map is taken as a Kronecker product of the second moments of its inputs and of the
gradients at its outputs (Martens and Grosse 2015). It is used to precondition only, so that it changes how fast a solve
converges and not what it converges to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from statlm.networks.derivatives import Derivatives
from statlm.networks.linear_maps import LinearMaps, Passed
from statlm.numerics.types import Array

PLACES = 1 << 12  # read at once


@dataclass(frozen=True, eq=False)
class Layer:
    """The curvature of one matrix of weights, in the basis where it is diagonal.

    Attributes
    ----------
    place : slice
        Where its weights stand among the p.
    left : (rows, rows) array or None
        Eigenvectors of the factor of the rows; None where it is diagonal already.
    right : (columns, columns) array
        Of the factor of the columns.
    values : (rows, columns) array
        Eigenvalues.
    """

    place: slice
    left: Array | None
    right: Array
    values: Array

    def solve(self, right_side: Array, damping: Array) -> Array:
        """(q, rows, columns) approximate solutions."""
        turned = right_side @ self.right
        turned = turned if self.left is None else self.left.T @ turned
        turned = turned / (self.values + float(damping[self.place].mean()))
        turned = turned if self.left is None else self.left @ turned
        return turned @ self.right.T

    def times(self, directions: Array) -> Array:
        """(q, rows, columns) products."""
        turned = directions @ self.right
        turned = turned if self.left is None else self.left.T @ turned
        turned = turned * self.values
        turned = turned if self.left is None else self.left @ turned
        return turned @ self.right.T


@dataclass(frozen=True, eq=False)
class Kronecker:
    """Approximate curvature of a network.

    Attributes
    ----------
    layers : tuple of Layer
        Weights of linear maps and embeddings.
    diagonal : (p,) array
        For the others.
    """

    layers: tuple[Layer, ...]
    diagonal: Array

    @classmethod
    def of(cls, derivatives: Derivatives, scale: float = 1.0) -> Kronecker:
        """From one pass over the text, with tokens drawn from the network's own distribution."""
        moments, squares = _moments(derivatives)
        places = dict(zip(derivatives.weights, derivatives.places(), strict=True))
        layers = []
        for name, (inputs, outputs, count) in moments.items():
            if inputs.ndim == 1:  # an embedding: the factor of its rows is diagonal
                values, vectors = scipy.linalg.eigh(outputs / count)
                layers.append(Layer(places[name], None, vectors, scale * np.outer(inputs, np.maximum(values, 0.0))))
                continue
            left, left_vectors = scipy.linalg.eigh(outputs / count)
            right, right_vectors = scipy.linalg.eigh(inputs)
            values = scale * np.outer(np.maximum(left, 0.0), np.maximum(right, 0.0))
            layers.append(Layer(places[name], left_vectors, right_vectors, values))
        return cls(tuple(layers), scale * squares)

    def product(self, directions: Array) -> Array:
        """(p, q) the approximate curvature times (p, q) directions."""
        result = directions * self.diagonal[:, None]
        for layer in self.layers:
            rows, columns = layer.values.shape
            block = directions[layer.place].T.reshape(-1, rows, columns)
            result[layer.place] = layer.times(block).reshape(len(block), -1).T
        return result

    @property
    def eigenvalues(self) -> Array:
        """(p,) eigenvalues."""
        covered = np.zeros(len(self.diagonal), bool)
        for layer in self.layers:
            covered[layer.place] = True
        return np.concatenate([self.diagonal[~covered], *(layer.values.ravel() for layer in self.layers)])

    def preconditioner(self, damping: Array) -> Callable[[Array], Array]:
        """From (p, q) to about the inverse of the damped curvature times it."""

        def apply(right: Array) -> Array:
            result = right / (self.diagonal + damping)[:, None]
            for layer in self.layers:
                rows, columns = layer.values.shape
                block = right[layer.place].T.reshape(-1, rows, columns)
                result[layer.place] = layer.solve(block, damping).reshape(len(block), -1).T
            return result

        return apply


Moments = dict[str, tuple[Array, Array, float]]


def _moments(d: Derivatives) -> tuple[Moments, Array]:
    """Sums of outer products of inputs and of output gradients of each map, and squared gradients of batches."""
    network = d.network
    sizes = {name: len(w) for name, w in d.weights.items()}
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    counts: dict[str, float] = {}
    squares = np.zeros(d.nweights)
    generator = torch.Generator(device=next(iter(d.weights.values())).device).manual_seed(0)

    kinds: dict[str, bool] = {}

    def watch(one: Passed) -> None:
        if kinds.setdefault(one.weight, one.embedding) != one.embedding:
            return  # a tied matrix: taken as that of its first use
        if one.embedding:
            read = one.given.flatten()
            here: Any = torch.bincount(read, minlength=sizes[one.weight]).double().cpu().numpy()
        else:
            flat = one.given.reshape(-1, one.given.shape[-1])
            here = (flat.T @ flat).double().cpu().numpy()
        inputs[one.weight] = inputs.get(one.weight, 0.0) + here
        counts[one.weight] = counts.get(one.weight, 0.0) + one.output.numel() / one.output.shape[-1]

        name = one.weight  # the hook must not hold the output that holds it, or no batch is ever let go

        def collect(gradient: Tensor) -> None:
            flat = gradient.reshape(-1, gradient.shape[-1])
            outputs[name] = outputs.get(name, 0.0) + (flat.T @ flat).double().cpu().numpy()

        one.output.register_hook(collect)

    with LinearMaps(network, watch):
        for _, loss in _drawn_losses(d, generator):
            gradients = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
            flat = [
                torch.zeros(w.numel(), dtype=w.dtype) if g is None else g.flatten().cpu()
                for g, w in zip(gradients, network.parameters(), strict=True)
            ]
            squares += torch.cat(flat).double().square().numpy()
    return {name: (inputs[name], outputs[name], counts[name]) for name in d.weights if name in outputs}, squares


def _drawn_losses(d: Derivatives, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits of each batch, and the log-likelihood of tokens drawn from them."""
    for batch in d.reading.batches(PLACES):
        logits = d.network(batch.inputs, batch.visible, batch.unknown)[batch.here]
        drawn = torch.multinomial(torch.softmax(logits.detach(), -1), 1, generator=generator)
        yield logits, torch.log_softmax(logits, -1).gather(-1, drawn).sum()
