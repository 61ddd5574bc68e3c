"""The network: embedding, blocks of attention and feed-forward, head. From top to bottom, the function p_theta."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statlm.networks.architecture import Architecture
from statlm.networks.dropout import Dropout
from statlm.numerics.types import Array

# Letters in the comments on shapes: B documents or windows, T places, D width, H heads, d = D / H, E experts, V tokens.

ROTARY_BASE = 10_000.0
EPSILON = 1e-5


class Decoder(nn.Module):
    """A decoder over `embedded` ids that gives logits of the first `predicted` of them.

    Parameters
    ----------
    architecture : Architecture
    embedded, predicted : int
    """

    def __init__(self, architecture: Architecture, embedded: int, predicted: int) -> None:
        super().__init__()
        a = architecture
        self.architecture, self.predicted = a, predicted
        self.embedding = nn.Embedding(embedded, a.width)
        self.lagged = nn.ModuleList(nn.Embedding(embedded, a.width) for _ in range(a.lags))
        self.places = nn.Embedding(a.context, a.width) if a.positions == "learned" else None
        self.embedding_norm = normalisation(a) if a.embedding_norm else None
        self.blocks = nn.ModuleList(Block(a) for _ in range(a.layers))
        self.norm = normalisation(a)
        self.head = None if a.tied else nn.Linear(a.width, predicted, bias=False)
        self.intercepts = nn.Parameter(torch.zeros(predicted)) if a.head_bias else None
        self.dropout = Dropout(a.dropout)
        self.rotations = _rotations(a)  # (2, T, d / 2), in float64 until it meets the vectors
        initialise(self)

    def forward(self, ids: Tensor, visible: Tensor | None = None, unknown: bool = False) -> Tensor:
        """Logits of the token after each place.

        Parameters
        ----------
        ids : (B, T) integer tensor
            At most `context` places.
        visible : (B, 1, T, T) bool tensor, optional
            Which places see which; by default each sees itself and those before it.
        unknown : bool
            Whether there may be ids of -1, tokens without an embedding, which add nothing.

        Returns
        -------
        (B, T, V) tensor
        """
        return self.logits(self.features(ids, visible, unknown))

    def features(self, ids: Tensor, visible: Tensor | None = None, unknown: bool = False) -> Tensor:
        """(B, T, D) vectors that the head is a multinomial logit on."""
        x = self.embed(ids, unknown)
        cosine, sine = self.rotations[:, : ids.shape[1]].to(x)
        for block in self.blocks:
            x = block(x, cosine, sine, visible)
        return self.norm(x)

    def embed(self, ids: Tensor, unknown: bool = False) -> Tensor:
        """(B, T) ids -> (B, T, D) sums of the embeddings of a token, of those before it, and of its place."""
        x = looked_up(self.embedding, ids, unknown)
        for lag, table in enumerate(self.lagged, start=1):
            assert isinstance(table, nn.Embedding)  # ModuleList forgets
            earlier = looked_up(table, ids[:, :-lag], unknown)  # (B, T - lag, D)
            x = x + F.pad(earlier, (0, 0, lag, 0))[:, : ids.shape[1]]
        if self.places is not None:
            x = x + self.places.weight[: ids.shape[1]]
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        return self.dropout(x)

    def logits(self, features: Tensor) -> Tensor:
        """(..., D) features -> (..., V) logits."""
        matrix = self.embedding.weight[: self.predicted] if self.head is None else self.head.weight
        return F.linear(features, matrix, self.intercepts)


class Block(nn.Module):
    """Attention, then the feed-forward map; each reads the normalised stream and adds to it."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.attention_norm = normalisation(a)
        self.attention = Attention(a)
        self.feed_forward_norm = normalisation(a)
        self.feed_forward = feed_forward_map(a)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, visible: Tensor | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cosine, sine, visible)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Attention(nn.Module):
    """Each place takes a weighted mean of what the places that it sees have to say."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.heads, self.rotary, self.normalised = a.heads, a.positions == "rotary", a.query_key_norm
        self.rate = a.attention_dropout
        self.query_key_value = nn.Linear(a.width, 3 * a.width, bias=a.bias)
        self.out = nn.Linear(a.width, a.width, bias=a.bias)
        self.dropout = Dropout(a.dropout)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, visible: Tensor | None) -> Tensor:
        B, T, D = x.shape
        joint = self.query_key_value(x).view(B, T, 3, self.heads, D // self.heads)
        q, k, v = joint.permute(2, 0, 3, 1, 4)  # 3 of (B, H, T, d)
        if self.normalised:
            q, k = F.rms_norm(q, q.shape[-1:], eps=EPSILON), F.rms_norm(k, k.shape[-1:], eps=EPSILON)
        if self.rotary:
            q, k = turned(q, cosine, sine), turned(k, cosine, sine)
        rate = self.rate if self.training else 0.0
        # (B, H, T, d) x (B, H, d, T) -> (B, H, T, T) weights; x (B, H, T, d) -> (B, H, T, d)
        y = F.scaled_dot_product_attention(q, k, v, visible, dropout_p=rate, is_causal=visible is None)
        return self.dropout(self.out(y.transpose(1, 2).reshape(B, T, D)))


class FeedForward(nn.Module):
    """A regression of each place's vector on a hidden layer of its own."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.activation = a.activation
        self.up = nn.Linear(a.width, a.hidden_width, bias=a.bias)
        self.gate = nn.Linear(a.width, a.hidden_width, bias=a.bias) if a.activation == "swiglu" else None
        self.down = nn.Linear(a.hidden_width, a.width, bias=a.bias)
        self.dropout = Dropout(a.dropout)

    def forward(self, x: Tensor) -> Tensor:
        up = self.up(x)  # (..., D) -> (..., hidden)
        hidden = activated(up, self.activation) if self.gate is None else F.silu(self.gate(x)) * up
        return self.dropout(self.down(hidden))


class Experts(nn.Module):
    """Several feed-forward maps, of which a gate chooses some for each token (Shazeer et al. 2017)."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.chosen = a.experts_per_token
        self.gate = nn.Linear(a.width, a.experts, bias=False)
        self.experts = nn.ModuleList(FeedForward(a) for _ in range(a.experts))
        self.imbalance: Tensor | None = None  # of the last batch: 1 where the load is equal

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])  # (B, T, D) -> (B T, D)
        probabilities = torch.softmax(self.gate(rows), -1)  # (B T, E)
        weights, chosen = probabilities.topk(self.chosen, -1)  # (B T, k)
        if self.chosen > 1:
            weights = weights / weights.sum(-1, keepdim=True)
        out = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            row, place = torch.nonzero(chosen == number, as_tuple=True)
            out = out.index_add(0, row, expert(rows[row]) * weights[row, place, None])
        if self.training:
            load = F.one_hot(chosen, len(self.experts)).to(rows.dtype).mean((0, 1))  # (E,)
            self.imbalance = len(self.experts) * (load * probabilities.mean(0)).sum()
        return out.view_as(x)


def restored(architecture: Architecture, weights: dict[str, Array], predicted: int) -> Decoder:
    """A decoder with these weights, in their precision and in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        network = Decoder(architecture, len(weights["embedding.weight"]), predicted)
    loaded(network, weights)
    return network


@torch.no_grad()
def loaded(network: nn.Module, weights: dict[str, Array]) -> None:
    """Give a network weights by name and their precision, and set it to evaluation."""
    network.to(torch.from_numpy(np.array(next(iter(weights.values())))).dtype)
    for name, parameter in network.named_parameters():
        parameter.copy_(torch.from_numpy(np.array(weights[name])))
    network.eval()


def feed_forward_map(a: Architecture) -> nn.Module:
    """One feed-forward map, or several to choose among."""
    return Experts(a) if a.experts > 1 else FeedForward(a)


def imbalance(network: nn.Module) -> Tensor | None:
    """Sum over blocks of the imbalance of the experts in the last training batch; None for a dense network."""
    parts = [m.imbalance for m in network.modules() if isinstance(m, Experts) and m.imbalance is not None]
    return torch.stack(parts).sum() if parts else None


def activated(x: Tensor, activation: str) -> Tensor:
    """The nonlinearity of the feed-forward map."""
    if activation == "relu-squared":
        return F.relu(x).square()
    return F.gelu(x, approximate="tanh" if activation == "gelu-tanh" else "none")


@torch.no_grad()
def initialise(network: Decoder) -> None:
    """Draw the weights from torch's global generator."""
    a = network.architecture
    if a.initialisation == "gpt2":
        for name, parameter in network.named_parameters():
            if parameter.dim() < 2:
                parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
            else:
                residual = name.endswith(("out.weight", "down.weight"))
                parameter.normal_(std=0.02 / (2 * a.layers) ** 0.5 if residual else 0.02)
        return
    spread = 0.6 * (3.0 / a.width) ** 0.5  # uniform with standard deviation 0.6 / sqrt(D)
    for name, parameter in network.named_parameters():
        if parameter.dim() < 2:
            parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        elif name.startswith("embedding."):
            parameter.normal_()
        elif name.startswith(("lagged.", "places.")):
            parameter.normal_(std=0.5)
        elif name.endswith(("out.weight", "down.weight")) or name == "head.weight":
            parameter.zero_()
        else:
            parameter.uniform_(-spread, spread)


def normalisation(a: Architecture) -> nn.Module:
    """The normalisation of vectors."""
    if a.norm == "none":
        return nn.Identity()
    if a.norm == "layer":
        return nn.LayerNorm(a.width, eps=EPSILON, elementwise_affine=a.affine, bias=a.bias)
    return nn.RMSNorm(a.width, eps=EPSILON, elementwise_affine=a.affine)


def looked_up(table: nn.Embedding, ids: Tensor, unknown: bool) -> Tensor:
    """Rows of an embedding; zeros where the id is -1."""
    return table(ids.clamp_min(0)) * (ids >= 0).unsqueeze(-1) if unknown else table(ids)


def _rotations(a: Architecture) -> Tensor:
    """Cosines and sines of the angle of each place and pair."""
    d = a.width // a.heads
    frequency = ROTARY_BASE ** (-torch.arange(0, d - d % 2, 2, dtype=torch.float64) / d)
    angle = torch.arange(a.context, dtype=torch.float64)[:, None] * frequency
    return torch.stack([angle.cos(), angle.sin()])


def turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """(..., T, d) vectors, each pair of numbers turned by the angle of its place."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)
