"""The states of a network as points: which contexts it takes to be alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from statlm.errors import SpecificationError
from statlm.likelihood import underlying
from statlm.networks.architecture import Architecture
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

AT_ONCE = 256  # contexts


@runtime_checkable
class Networked(Protocol):
    """A likelihood by a network that reads contexts."""

    @property
    def corpus(self) -> Corpus:
        """The observations."""
        ...

    @property
    def architecture(self) -> Architecture:
        """The shape of the network."""
        ...

    @property
    def network(self) -> Any:
        """The torch module."""
        ...

    def read(self, contexts: Array) -> list[Array]:
        """Contexts as rows of the network's ids."""
        ...


@dataclass(frozen=True, eq=False)
class DecoderStates:
    """Features of contexts by what a decoder makes of them, for `NearestNeighbour`: the vectors that its head is a logit on.

    They are scaled to length 1, so that squared distances are between 0 and 4 and a bandwidth of 0.05 to 0.5 is a fair beginning.

    Parameters
    ----------
    model : Fit, Evaluation or DecoderLikelihood
        Of a `TransformerDecoder`.
    lags : int, optional
        How many tokens back it looks; by default its context. Fewer is faster.

    Raises
    ------
    SpecificationError
        If the model has no such vectors, or looks back no further than 0 tokens.

    Examples
    --------
    >>> import statlm as slm
    >>> train, held, test = (slm.Corpus.from_text("abracadabra " * n) for n in (30, 10, 10))
    >>> decoder = slm.TransformerDecoder(layers=1, heads=2, width=8, context=16, steps=20, batch=128, seed=1).fit(train)
    >>> retrieved = slm.NearestNeighbour(DecoderStates(decoder, lags=8), neighbours=4, bandwidth=0.1).fit(train)
    >>> mixed = slm.Mixture({"decoder": decoder, "retrieved": retrieved}).fit(held)
    >>> mixed.on(test).perplexity < decoder.on(test).perplexity
    True
    """

    model: Any
    lags: int | None = None

    def __post_init__(self) -> None:
        held = underlying(self.model)
        if not isinstance(held, Networked):
            raise SpecificationError(
                f"{type(held).__name__} has no states. Use a fitted TransformerDecoder, or RecentTokens(lags=...)."
            )
        if self.lags is not None and (isinstance(self.lags, bool) or self.lags < 1):
            raise SpecificationError(f"lags={self.lags!r}: look at one token or more.")

    @property
    def memory(self) -> int:
        """How many tokens back they look."""
        held: Any = underlying(self.model)
        context: int = held.memory
        return context if self.lags is None else min(self.lags, context)

    def __call__(self, contexts: Array) -> Array:
        """(m, width) states after (m, memory) contexts of token ids, oldest first, of length 1."""
        from statlm.networks.features import states_after

        held: Any = underlying(self.model)
        rows = held.read(contexts)
        found = [
            states_after(held.network, rows[first : first + AT_ONCE], prefix=held.architecture.prefix)
            for first in range(0, len(rows), AT_ONCE)
        ]
        states = np.concatenate(found)
        scaled: Array = states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12)
        return scaled
