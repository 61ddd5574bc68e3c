"""A document read token by token, what earlier places said kept: the decoder in numpy, for generation.

For one row of numbers at a time a product costs less than the call that starts it, and numpy starts it soonest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf, log_softmax

from statlm.errors import NoEstimate
from statlm.networks.architecture import Architecture
from statlm.networks.decoder import EPSILON, ROTARY_BASE
from statlm.networks.windows import window_start
from statlm.numerics.types import Array


class CachedReader:
    """Next-token distributions of documents that grow.

    Parameters
    ----------
    architecture : Architecture
    weights : dict of str to array
        Of a `Decoder`.
    starts : sequence of D integer arrays
        What each document begins with, ``<bos>`` first, as the network numbers tokens.
    predicted : int
        Tokens with a logit.
    stride : int
        Places by which the window advances when it is full. Its later part is then read again, so that the distributions are
        those of `evaluation_windows`: a cache that only forgot its oldest place would be another function.

    Notes
    -----
    Documents whose windows are equally full are read together.
    """

    def __init__(
        self,
        architecture: Architecture,
        weights: dict[str, Array],
        starts: Sequence[Array],
        *,
        predicted: int,
        stride: int,
    ) -> None:
        self.layers = _Layers(architecture, weights, predicted)
        self.context, self.stride, self.prefix = architecture.context, stride, architecture.prefix
        self.lanes: list[_Lane] = []
        self.nrows = len(starts)
        by_length: dict[int, list[int]] = {}
        for row, ids in enumerate(starts):
            by_length.setdefault(len(ids), []).append(row)
        for length, rows in by_length.items():
            ids = np.stack([np.asarray(starts[row], np.int64) for row in rows])  # (m, length)
            begin = window_start(length - 1, self.context, stride)
            lane = _Lane(np.array(rows), ids[:, begin:], length)
            lane.logits = self.layers.read(lane, lane.ids, given=self.prefix)
            self.lanes.append(lane)

    def logprobs(self) -> Array:
        """(m, V) log-probabilities of the next token of each document, nats."""
        if len(self.lanes) == 1:
            return _normalised(self.lanes[0].logits)
        result = np.empty((self.nrows, self.layers.predicted))
        for lane in self.lanes:
            result[lane.rows] = _normalised(lane.logits)
        return result

    def read(self, ids: Array, kept: Array) -> None:
        """Go on with some of the documents.

        Parameters
        ----------
        ids : (m,) integer array
            The token that each of the documents goes on with.
        kept : (m,) bool array
            Which go on at all; the others are dropped, and the rest numbered anew.
        """
        number = np.cumsum(kept) - 1
        lanes = []
        for lane in self.lanes:
            going = kept[lane.rows]
            if not going.any():
                continue
            new = ids[lane.rows][going][:, None]  # (m, 1)
            if not going.all():
                lane.select(going)
            lane.rows = number[lane.rows]
            lane.ids = np.concatenate([lane.ids, new], axis=1)
            if lane.ids.shape[1] > self.context and self.prefix:
                raise NoEstimate(
                    f"The document has grown beyond the context of {self.context} tokens, and with prefix=True its given tokens "
                    "must all be seen at once. Draw fewer tokens, or fit a network with a longer context."
                )
            if lane.ids.shape[1] > self.context:  # the window is full: start it later, and read what it keeps again
                lane.ids = lane.ids[:, self.stride :]
                lane.filled = 0
                new = lane.ids
            lane.logits = self.layers.read(lane, new)
            lanes.append(lane)
        self.lanes, self.nrows = lanes, int(kept.sum())


@dataclass
class _Lane:
    """Documents whose windows are equally full."""

    rows: Array  # (m,) their numbers
    ids: Array  # (m, n) what is in their windows
    length: int
    filled: int = 0  # places of the window that the cache holds
    keys: Any = None  # (layers, m, H, T, d)
    values: Any = None
    logits: Any = None  # (m, V)

    def select(self, going: Array) -> None:
        """Keep some of the rows, which are numbered as before."""
        self.rows = self.rows[going]
        self.ids = self.ids[going]
        self.keys, self.values = self.keys[:, going], self.values[:, going]


class _Layers:
    """The weights in the order and the layout in which they are used."""

    def __init__(self, a: Architecture, weights: dict[str, Array], predicted: int) -> None:
        self.a, self.predicted = a, predicted
        dtype = weights["embedding.weight"].dtype
        # A matrix that stands transposed in memory is multiplied from the right without a copy.
        self.w = {
            name: np.ascontiguousarray(w.T) if w.ndim == 2 and name.startswith(("blocks.", "head.")) else w
            for name, w in weights.items()
        }
        self.d = a.width // a.heads
        self.scale = dtype.type(self.d**-0.5)
        frequency = ROTARY_BASE ** (-np.arange(0, self.d - self.d % 2, 2) / self.d)
        angle = np.arange(a.context)[:, None] * frequency
        self.cosine, self.sine = np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)
        self.head = self.w.get("head.weight")
        if self.head is None:
            self.head = np.ascontiguousarray(weights["embedding.weight"][:predicted].T)

    def read(self, lane: _Lane, new: Array, given: bool = False) -> Array:
        """(m, V) logits after the (m, t) new tokens of a lane, whose cache they join; `given` ones see each other."""
        a, w = self.a, self.w
        m, t = new.shape
        before, after = lane.filled, lane.filled + t
        if lane.keys is None:
            shape = (a.layers, m, a.heads, a.context, self.d)
            lane.keys, lane.values = np.empty(shape, self.scale.dtype), np.empty(shape, self.scale.dtype)
        x = self._embedded(lane.ids, before, after)  # (m, t, D)
        for layer in range(a.layers):
            name = f"blocks.{layer}."
            y = self._attend(lane, layer, self._norm(x, name + "attention_norm"), before, after, given)
            x = x + self._linear(y, name + "attention.out")
            h = self._norm(x, name + "feed_forward_norm")
            x = x + (self._experts(h, name) if a.experts > 1 else self._feed_forward(h, name + "feed_forward."))
        lane.filled = after
        logits: Array = self._norm(x[:, -1], "norm") @ self.head
        return logits + w["intercepts"] if a.head_bias else logits

    def _embedded(self, ids: Array, before: int, after: int) -> Array:
        a, w = self.a, self.w
        new = ids[:, before:after]
        x = _rows(w["embedding.weight"], new)
        for lag in range(1, a.lags + 1):
            reached = max(before - lag, 0)
            earlier = ids[:, reached : max(after - lag, 0)]
            if earlier.shape[1]:
                x[:, new.shape[1] - earlier.shape[1] :] += _rows(w[f"lagged.{lag - 1}.weight"], earlier)
        if a.positions == "learned":
            x = x + w["places.weight"][before:after]
        return self._norm(x, "embedding_norm") if a.embedding_norm else x

    def _attend(self, lane: _Lane, layer: int, h: Array, before: int, after: int, given: bool) -> Array:
        a = self.a
        m, t, D = h.shape
        joint = self._linear(h, f"blocks.{layer}.attention.query_key_value").reshape(m, t, 3, a.heads, self.d)
        joint = joint.transpose(2, 0, 3, 1, 4)  # 3 of (m, H, t, d)
        matched, v = joint[:2], joint[2]  # queries and keys go the same way
        if a.query_key_norm:
            matched = _scaled(matched)
        if a.positions == "rotary":
            matched = _turned(matched, self.cosine[before:after], self.sine[before:after])
        q, k = matched
        lane.keys[layer, :, :, before:after] = k
        lane.values[layer, :, :, before:after] = v
        keys, values = lane.keys[layer, :, :, :after], lane.values[layer, :, :, :after]
        scores = (q * self.scale) @ keys.swapaxes(2, 3)  # (m, H, t, d) x (m, H, d, n) -> (m, H, t, n)
        if t > 1 and not given:
            scores[..., np.arange(after) > np.arange(before, after)[:, None]] = -np.inf
        scores -= np.maximum.reduce(scores, axis=-1, keepdims=True)
        weights = np.exp(scores, out=scores)
        weights /= np.add.reduce(weights, axis=-1, keepdims=True)
        return (weights @ values).swapaxes(1, 2).reshape(m, t, D)

    def _feed_forward(self, h: Array, name: str) -> Array:
        up = self._linear(h, name + "up")
        if self.a.activation == "swiglu":
            gate = self._linear(h, name + "gate")
            hidden = up * gate / (1.0 + np.exp(-gate))
        else:
            hidden = _activated(up, self.a.activation)
        return self._linear(hidden, name + "down")

    def _experts(self, h: Array, name: str) -> Array:
        rows = h.reshape(-1, h.shape[-1])  # (m t, D)
        gate = rows @ self.w[name + "feed_forward.gate.weight"]  # (m t, E)
        probability = np.exp(log_softmax(gate, axis=1))
        chosen = np.argsort(-probability, axis=1, kind="stable")[:, : self.a.experts_per_token]
        weight = np.take_along_axis(probability, chosen, axis=1)
        if self.a.experts_per_token > 1:
            weight /= weight.sum(axis=1, keepdims=True)
        out = np.zeros_like(rows)
        for expert in np.unique(chosen):
            row, place = np.nonzero(chosen == expert)
            out[row] += self._feed_forward(rows[row], f"{name}feed_forward.experts.{expert}.") * weight[row, place, None]
        return out.reshape(h.shape)

    def _linear(self, x: Array, name: str) -> Array:
        weight = self.w[name + ".weight"]
        y: Array = (x.reshape(-1, weight.shape[0]) @ weight).reshape(*x.shape[:-1], -1)  # one product, not one a document
        return y + self.w[name + ".bias"] if self.a.bias else y

    def _norm(self, x: Array, name: str) -> Array:
        if self.a.norm == "none":
            return x
        if self.a.norm == "layer":
            x = x - x.mean(axis=-1, keepdims=True)
        x = _scaled(x)
        if self.a.affine:
            x = x * self.w[name + ".weight"]
            if self.a.bias and self.a.norm == "layer":
                x = x + self.w[name + ".bias"]
        return x


def _rows(table: Array, ids: Array) -> Array:
    """(m, t, D) rows of an embedding; zeros where the id is -1."""
    found: Array = table[ids]
    if (ids < 0).any():
        found[ids < 0] = 0.0
    return found


def _normalised(logits: Array) -> Array:
    """(m, V) logits -> log-probabilities in float64."""
    shifted = logits.astype(float)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def _scaled(x: Array) -> Array:
    """Vectors over their root mean square."""
    square = np.add.reduce(x * x, axis=-1, keepdims=True)
    square *= x.dtype.type(1 / x.shape[-1])
    square += x.dtype.type(EPSILON)
    scaled: Array = x / np.sqrt(square, out=square)
    return scaled


def _turned(x: Array, cosine: Array, sine: Array) -> Array:
    """(..., t, d) vectors, each pair of numbers turned by the angle of its place."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    result = np.empty_like(x)
    np.subtract(first * cosine, second * sine, out=result[..., :half])
    np.add(second * cosine, first * sine, out=result[..., half:])
    return result


def _activated(x: Array, activation: str) -> Array:
    """The nonlinearity of the feed-forward map."""
    if activation == "relu-squared":
        x = np.maximum(x, 0)
        return x * x
    if activation == "gelu":
        return x * (0.5 + 0.5 * erf(x * x.dtype.type(0.5**0.5)))
    inner = x.dtype.type(np.sqrt(2 / np.pi)) * (x + x.dtype.type(0.044715) * x * x * x)
    return 0.5 * x * (1.0 + np.tanh(inner))
