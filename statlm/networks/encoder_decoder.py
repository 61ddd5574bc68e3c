"""The network of p(answer | question): an encoder reads the question, and a decoder looks at that while it answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statlm.errors import NoEstimate
from statlm.networks import scoring
from statlm.networks.architecture import Architecture
from statlm.networks.decoder import (
    EPSILON,
    Attention,
    Decoder,
    feed_forward_map,
    initialise,
    looked_up,
    normalisation,
    turned,
)
from statlm.networks.dropout import Dropout
from statlm.numerics.types import Array

# Letters in the comments on shapes: B documents, T places, D width, H heads, d = D / H.


class EncoderDecoderNetwork(Decoder):
    """An encoder and a decoder of as many blocks, over one embedding (Vaswani et al. 2017).

    It reads a document as the decoder does, ``<bos>``, question and answer in one row: the places that see each other are the
    question.

    Parameters
    ----------
    architecture : Architecture
        Of each side.
    embedded, predicted : int
    bos : int
        The id of ``<bos>``, with which an answer begins.
    """

    def __init__(self, architecture: Architecture, embedded: int, predicted: int, bos: int) -> None:
        super().__init__(architecture, embedded, predicted)
        self.bos = bos
        self.encoder_norm = normalisation(architecture)
        self.answering = nn.ModuleList(AnsweringBlock(architecture) for _ in range(architecture.layers))
        initialise(self)

    def features(self, ids: Tensor, visible: Tensor | None = None, unknown: bool = False) -> Tensor:
        """(B, T, D) vectors that the head is a multinomial logit on; those of places inside of the question mean nothing."""
        place = torch.arange(ids.shape[1], device=ids.device)
        asked = (place == 0).expand(ids.shape) if visible is None else visible[:, 0, 0]  # (B, T)
        start = (
            asked.sum(1, keepdim=True) - 1
        )  # (B, 1) the last place of the question predicts the first token of the answer
        within = (place - start).clamp_min(0)  # (B, T) places of the answer
        seen = (place <= place[:, None]) & (place >= start)[:, None, :] | (place == place[:, None])  # (B, T, T)
        question = self.encode(ids, asked, place, unknown)
        cosine, sine = self.rotations[:, place].to(question)
        own = self.rotations[:, within][:, :, None].to(question)  # 2 of (B, 1, T, d / 2)
        x = self.entered(torch.where(place == start, self.bos, ids), within, unknown)
        for block in self.answering:
            x = block(x, question, (cosine, sine), (own[0], own[1]), seen[:, None], asked[:, None, None])
        return self.norm(x)

    def encode(self, ids: Tensor, asked: Tensor, place: Tensor, unknown: bool) -> Tensor:
        """(B, T, D) what the encoder makes of the question."""
        x = self.entered(ids, place, unknown)
        cosine, sine = self.rotations[:, place].to(x)
        for block in self.blocks:
            x = block(x, cosine, sine, asked[:, None, None])
        found: Tensor = self.encoder_norm(x)
        return found

    def entered(self, ids: Tensor, place: Tensor, unknown: bool) -> Tensor:
        """(B, T, D) sums of the embeddings of a token and of its place."""
        x = looked_up(self.embedding, ids, unknown)
        if self.places is not None:
            x = x + self.places(place)
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        dropped: Tensor = self.dropout(x)
        return dropped


Angles = tuple[Tensor, Tensor]


class AnsweringBlock(nn.Module):
    """Attention to the answer so far, attention to the question, then the feed-forward map."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.attention_norm, self.cross_norm, self.feed_forward_norm = (normalisation(a) for _ in range(3))
        self.attention = Attention(a)
        self.cross = CrossAttention(a)
        self.feed_forward = feed_forward_map(a)

    def forward(self, x: Tensor, question: Tensor, angles: Angles, own: Angles, seen: Tensor, asked: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), *angles, seen)
        x = x + self.cross(self.cross_norm(x), question, angles, own, asked)
        added: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return added


class CrossAttention(nn.Module):
    """Each place of the answer takes a weighted mean of what the places of the question have to say.

    With rotary positions the weights depend on how far the place in the question is from the place in the answer, each counted
    from its own beginning.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.heads, self.rotary, self.normalised = a.heads, a.positions == "rotary", a.query_key_norm
        self.rate = a.attention_dropout
        self.query = nn.Linear(a.width, a.width, bias=a.bias)
        self.key_value = nn.Linear(a.width, 2 * a.width, bias=a.bias)
        self.out = nn.Linear(a.width, a.width, bias=a.bias)
        self.dropout = Dropout(a.dropout)

    def forward(self, x: Tensor, question: Tensor, angles: Angles, own: Angles, asked: Tensor) -> Tensor:
        B, T, D = x.shape
        q = self.query(x).view(B, T, self.heads, D // self.heads).transpose(1, 2)  # (B, H, T, d)
        k, v = self.key_value(question).view(B, T, 2, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        if self.normalised:
            q, k = F.rms_norm(q, q.shape[-1:], eps=EPSILON), F.rms_norm(k, k.shape[-1:], eps=EPSILON)
        if self.rotary:
            q, k = turned(q, *own), turned(k, *angles)
        y = F.scaled_dot_product_attention(q, k, v, asked, dropout_p=self.rate if self.training else 0.0)
        dropped: Tensor = self.dropout(self.out(y.transpose(1, 2).reshape(B, T, D)))
        return dropped


class Rereader:
    """Next-token distributions of documents that grow, each read anew at every token: questions are short.

    Parameters
    ----------
    network : Decoder
    starts : sequence of D integer arrays
        The questions, ``<bos>`` first, as the network numbers tokens.
    predicted : int
        Tokens with a logit.
    """

    def __init__(self, network: Decoder, starts: Sequence[Array], predicted: int) -> None:
        self.network, self.predicted = network, predicted
        self.rows = [list(map(int, row)) for row in starts]
        self.asked = [len(row) for row in starts]

    def logprobs(self) -> Array:
        """(m, V) log-probabilities of the next token of each document, nats."""
        longest, context = max(map(len, self.rows)), self.network.architecture.context
        if longest > context:
            raise NoEstimate(
                f"The document has grown beyond the context of {context} tokens, and question and answer must be seen at once. "
                "Draw fewer tokens, or fit a network with a longer context."
            )
        return scoring.logprobs(self.network, self.rows, predicted=self.predicted, asked=self.asked)

    def read(self, ids: Array, kept: Array) -> None:
        """Go on with the (m,) tokens in the documents that are `kept`, an (m,) mask; the others are dropped."""
        going = [i for i in range(len(self.rows)) if kept[i]]
        self.rows = [[*self.rows[i], int(ids[i])] for i in going]
        self.asked = [self.asked[i] for i in going]
