"""Products with the derivatives of a network over a text, a batch of windows at a time; no matrix is formed.

Forward mode gives what the observations do when the weights move, reverse mode what the weights collect from the observations,
and the two together the Gauss-Newton matrix (Pearlmutter 1994; Schraudolph 2002).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from statlm.networks.batches import Batch, Reading
from statlm.numerics.types import Array

# Letters in the comments on shapes: n observations of a batch, V tokens, q directions, p weights, W windows, T places.

PLACES = 1 << 13  # read at once, all directions together
LOGITS = 1 << 23  # held at once, all directions together
DIRECTIONS = 16  # at once
GRADIENTS = 1 << 25  # numbers of the gradients of single windows that are held at once

vjp: Any = torch.func.vjp  # its types allow for an auxiliary output, which is not asked for
Weights = dict[str, Tensor]
Function = Callable[[Weights], Tensor]


@dataclass(frozen=True, eq=False)
class Derivatives:
    """The log-likelihood of each observation of a text, and the logits there, as functions of the weights of a network.

    Parameters
    ----------
    network : Module
        From (W, T) ids, visibility and whether there are unknown ids to (W, T, V) logits.
    reading : Reading
    predicted : int
        Number V of tokens with a logit.
    """

    network: nn.Module
    reading: Reading
    predicted: int

    @cached_property
    def weights(self) -> Weights:
        """The weights, cut loose from the network."""
        return {name: w.detach() for name, w in self.network.named_parameters()}

    @property
    def nweights(self) -> int:
        """Number p of weights."""
        return sum(w.numel() for w in self.weights.values())

    @property
    def nobs(self) -> int:
        """Number n of observations."""
        return self.reading.nobs

    @property
    def dtype(self) -> np.dtype[Any]:
        """What products are computed in; they are accumulated in float64."""
        return np.dtype(str(next(iter(self.weights.values())).dtype).removeprefix("torch."))

    def places(self) -> list[slice]:
        """Where each tensor of weights stands among the p."""
        ends = np.cumsum([w.numel() for w in self.weights.values()])
        return [slice(end - w.numel(), end) for end, w in zip(ends, self.weights.values(), strict=True)]

    def take(self, windows: Array) -> Derivatives:
        """Those of some windows; their observations are counted anew."""
        made = replace(self, reading=self.reading.take(windows))
        made.__dict__["weights"] = self.weights
        return made

    # --- products -----------------------------------------------------------------------------------------------------

    def pushed(self, directions: Array) -> Array:
        """(n, q) derivative of the log-likelihood of each observation along (p, q) directions."""
        result = np.zeros((self.nobs, directions.shape[1]))
        for some in _slices(directions.shape[1]):
            tangents = self._tangents(directions[:, some])
            for batch in self._batches(some):
                moved = along(partial(self._loglike, batch), self.weights, tangents)
                result[batch.rows, some] = moved.T.double().cpu().numpy()
        return result

    def pulled(self, cotangents: Array) -> Array:
        """(p, q) sum of the scores of the observations, weighted by (n, q) numbers."""
        result = np.zeros((self.nweights, cotangents.shape[1]))
        for some in _slices(cotangents.shape[1]):
            for batch in self._batches(some):
                wanted = cotangents[batch.rows, some]
                if wanted.any():
                    with _differentiable():
                        _, pullback = vjp(partial(self._loglike, batch), self.weights)
                        result[:, some] += self._collected(pullback, self._tensor(wanted.T))
        return result

    def curved(self, directions: Array) -> Array:
        r"""(p, q) products of the Gauss-Newton matrix with directions.

        The matrix is :math:`\sum_i G_i' (\mathrm{diag}\, p_i - p_i p_i') G_i`, with :math:`G_i` the Jacobian of the logits.
        """
        result = np.zeros((self.nweights, directions.shape[1]))
        for some in _slices(directions.shape[1]):
            tangents = self._tangents(directions[:, some])
            for batch in self._batches(some):
                logits = partial(self._logits, batch)
                moved = along(logits, self.weights, tangents)  # (q, n, V)
                with _differentiable():
                    found, pullback = vjp(logits, self.weights)
                    p = torch.softmax(found, -1)  # (n, V)
                    moved = moved * p
                    moved -= p * moved.sum(-1, keepdim=True)
                    result[:, some] += self._collected(pullback, moved)
        return result

    def twice(self, directions: Array) -> Array:
        """(p, q) products of minus the second derivative of the log-likelihood with directions, by reverse mode twice."""
        result = np.zeros((self.nweights, directions.shape[1]))
        for some in _slices(directions.shape[1]):
            tangents = self._tangents(directions[:, some])
            for batch in self._batches(some):
                with _differentiable():
                    _, pullback = vjp(grad(partial(self._total, batch)), self.weights)
                    result[:, some] -= self._collected(pullback, tangents)
        return result

    def rows(self) -> Array:
        """(n, p) scores written out; windows in which the network reads the same are read once."""
        result = np.empty((self.nobs, self.nweights))
        for windows in self.reading.alike():
            batches = [self.reading.batch(np.array([w])) for w in windows]
            targets = torch.cat([b.targets[b.here] for b in batches])
            rows = np.concatenate([b.rows for b in batches])
            places = len(batches[0].rows)
            with _differentiable():
                found, pullback = vjp(partial(self._logits, batches[0]), self.weights)  # (places, V)
                p = torch.softmax(found, -1)
                step = max(1, LOGITS // p.numel())
                for start in range(0, len(rows), step):
                    some = torch.arange(start, min(start + step, len(rows)), device=p.device)
                    place = some % places
                    wanted = torch.zeros((len(some), *p.shape), dtype=p.dtype, device=p.device)
                    own = torch.arange(len(some), device=p.device)
                    wanted[own, place] = -p[place]
                    wanted[own, place, targets[some]] += 1.0
                    result[rows[start : start + step]] = self._collected(pullback, wanted).T
        return result

    def by_window(self, directions: Array) -> Array:
        """(W, q) scores summed over the observations of each window, along (p, q) directions.

        Made from the gradient of each window, so that one direction costs about as much as many.
        """
        result = np.zeros((len(self.reading.windows), directions.shape[1]))
        fixed = self._tensor(directions)
        for batch, gradients in self._window_gradients():
            for part, place in zip(gradients.values(), self.places(), strict=True):
                result[batch.windows] += (part.flatten(1) @ fixed[place]).double().cpu().numpy()
        return result

    # --- inside -------------------------------------------------------------------------------------------------------

    def _logits(self, batch: Batch, weights: Weights) -> Tensor:
        """(n, V) logits of the places that predict an observation."""
        logits = functional_call(self.network, weights, (batch.inputs, batch.visible, batch.unknown))
        return logits.flatten(0, 1)[batch.here.flatten().nonzero()[:, 0]]

    def _loglike(self, batch: Batch, weights: Weights) -> Tensor:
        """(n,) log-probability of what is observed."""
        return _picked(self._logits(batch, weights), batch.targets[batch.here])

    def _total(self, batch: Batch, weights: Weights) -> Tensor:
        """Sum of the log-probabilities."""
        return self._loglike(batch, weights).sum()

    def _window_gradients(self) -> Iterator[tuple[Batch, Weights]]:
        """Gradients of each window, those of a batch together: (W, ...) tensors by name."""

        def gradient(inputs: Tensor, target: Tensor, here: Tensor, visible: Tensor | None, unknown: bool) -> Weights:
            def total(weights: Weights) -> Tensor:
                seen = None if visible is None else visible[None]
                logits = functional_call(self.network, weights, (inputs[None], seen, unknown))[0]
                return (_picked(logits, target) * here).sum()

            return grad(total)(self.weights)

        for batch in self.reading.batches(self._room(1), max(1, GRADIENTS // self.nweights)):
            arguments: Any = (batch.inputs, batch.targets, batch.here, batch.visible, batch.unknown)
            where: Any = (0, 0, 0, None if batch.visible is None else 0, None)
            with _differentiable():
                try:
                    found = vmap(gradient, in_dims=where)(*arguments)
                except RuntimeError:  # shapes that depend on the data: one window after the other
                    each = [
                        gradient(*(a if w is None else a[k] for a, w in zip(arguments, where, strict=True)))
                        for k in range(len(batch.inputs))
                    ]
                    found = {name: torch.stack([one[name] for one in each]) for name in self.weights}
            yield batch, found

    def _batches(self, some: slice) -> Iterator[Batch]:
        return self.reading.batches(self._room(some.stop - some.start))

    def _room(self, directions: int) -> int:
        return max(min(PLACES, LOGITS // self.predicted) // directions, 1)

    def _tensor(self, values: Array) -> Tensor:
        like = next(iter(self.weights.values()))
        return torch.from_numpy(np.ascontiguousarray(values)).to(like)

    def _tangents(self, directions: Array) -> Weights:
        """(p, q) directions as (q, ...) tensors by name."""
        columns = self._tensor(directions.T)
        return {
            name: columns[:, place].reshape(-1, *w.shape)
            for (name, w), place in zip(self.weights.items(), self.places(), strict=True)
        }

    def _collected(self, pullback: Callable[[Any], tuple[Weights]], cotangents: Tensor | Weights) -> Array:
        """(p, q) what the weights collect from (q, ...) cotangents: one tensor, or one for each of the weights."""
        several = cotangents if isinstance(cotangents, dict) else {"": cotangents}
        each = [{name: c[k] for name, c in several.items()} for k in range(len(next(iter(several.values()))))]
        single = each if isinstance(cotangents, dict) else [one[""] for one in each]
        if len(single) == 1:
            found = {name: w[None] for name, w in pullback(single[0])[0].items()}
        else:
            try:
                found = vmap(pullback)(cotangents)[0]
            except RuntimeError:  # shapes that depend on the data, as of experts: one direction after the other
                made = [pullback(one)[0] for one in single]
                found = {name: torch.stack([one[name] for one in made]) for name in self.weights}
        return torch.cat([found[name].flatten(1) for name in self.weights], 1).double().cpu().numpy().T


def along(function: Function, weights: Weights, tangents: Weights) -> Tensor:
    """(q, ...) derivative of a function of the weights along q directions.

    By forward mode; where an operation of the network has none, by reverse mode twice.
    """
    q = len(next(iter(tangents.values())))

    def forward(tangent: Weights) -> Tensor:
        return jvp(function, (weights,), (tangent,))[1]

    def reverse_twice(tangent: Weights) -> Tensor:
        value, pullback = vjp(function, weights)
        _, second = vjp(lambda c: pullback(c)[0], torch.zeros_like(value))
        return second(tangent)[0]

    with _differentiable(), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".torch.jit.script. is deprecated"
        )  # by torch itself, in its rules for jvp
        for derivative in (forward, reverse_twice):
            try:
                if q == 1:
                    return derivative({name: t[0] for name, t in tangents.items()})[None]
                try:
                    return vmap(derivative)(tangents)
                except NotImplementedError:
                    raise
                except RuntimeError:  # shapes that depend on the data
                    return torch.stack([derivative({name: t[k] for name, t in tangents.items()}) for k in range(q)])
            except NotImplementedError:
                if derivative is reverse_twice:
                    raise
    raise AssertionError("unreachable")


def _differentiable() -> Any:
    """Attention by its formula: the fused kernels have no second derivative."""
    return sdpa_kernel(SDPBackend.MATH)


def _picked(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.gather(-1, targets[..., None])[..., 0] - logits.logsumexp(-1)


def _slices(q: int) -> list[slice]:
    return [slice(start, min(start + DIRECTIONS, q)) for start in range(0, q, DIRECTIONS)]
