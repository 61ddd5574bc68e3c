"""The encoder-decoder: a multinomial regression of answers on questions, which are not modelled themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from statlm.errors import SpecificationError
from statlm.models.transformer.likelihood import DecoderLikelihood
from statlm.models.transformer.specification import TransformerDecoder
from statlm.numerics.types import Array

if TYPE_CHECKING:
    from statlm.networks.decoder import Decoder
    from statlm.networks.encoder_decoder import EncoderDecoderNetwork, Rereader


@dataclass(frozen=True, kw_only=True)
class EncoderDecoder(TransformerDecoder):
    r"""An encoder and a decoder: the conditional likelihood of answers given questions.

    .. math::

        \ell(\theta) = \sum_d \sum_t \log p_\theta(y_{dt} \mid y_{d,<t}, x_d), \qquad
        p_\theta(\cdot \mid y_{<t}, x) = \mathrm{softmax}(W h_\theta(y_{<t}, g_\theta(x)))

    The *given* tokens of a document are its question x, and the others its answer y. The encoder g reads the question in both
    directions; the decoder h reads the answer from left to right, and attends to what the encoder has made of the
    question. Questions have no probability: two models of answers are compared on the same questions.

    Parameters
    ----------
    **settings
        Those of `TransformerDecoder`; `layers`, `heads`, `width`, ... hold for encoder and decoder alike, and `context`
        is the most tokens of question and answer together. `lags` is 0 and `prefix` True.

    Raises
    ------
    SpecificationError
        If a setting is outside of its range, or says that there are lags or no prefix.

    Notes
    -----
    A context of `predict` or `logprobs` is a question, and what follows it the first token of an answer.

    References
    ----------
    Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin (2017), Attention is all you need. NeurIPS.

    Examples
    --------
    >>> import statlm as slm
    >>> sums = slm.datasets.addition(digits=1, documents=200, given=4).corpus  # "3+4=" is given, "07" is the answer
    >>> fit = slm.EncoderDecoder(layers=1, heads=2, width=16, context=8, steps=30, batch=256, seed=1).fit(sums)
    >>> fit.nobs, fit.perplexity < 12
    (400, True)
    """

    lags: int = 0
    prefix: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lags:
            raise SpecificationError(
                f"lags={self.lags}: a question and an answer are read apart, and the tokens before an answer are the "
                f"question's. Leave lags=0."
            )
        if not self.prefix:
            raise SpecificationError(
                "prefix=False: an encoder reads its question in both directions. For a model that reads from left to "
                "right only, use TransformerDecoder."
            )

    def __str__(self) -> str:
        layers = f"{self.layers} layer{'' if self.layers == 1 else 's'}"
        return f"encoder-decoder {layers} each, width {self.width}, context {self.context}"

    def count_parameters(self, embedded: int, predicted: int | None = None) -> int:
        """Number of weights, tied ones once.

        Parameters
        ----------
        embedded : int
            Tokens with an embedding.
        predicted : int, optional
            Tokens with a logit; by default as many.

        Examples
        --------
        >>> import statlm as slm
        >>> base = {"layers": 6, "heads": 8, "width": 512, "bias": True, "positions": "learned", "tied": True}
        >>> slm.EncoderDecoder(**base).count_parameters(37_000)
        63117312
        """
        decoder = super().count_parameters(embedded, predicted)
        shape = self.architecture
        block = replace(shape, layers=1).count_parameters(1) - replace(shape, layers=0).count_parameters(1)
        cross = 4 * self.width * (self.width + self.bias) + self.norm_parameters
        return decoder + self.layers * (block + cross) + self.norm_parameters

    def _network(self, embedded: int, predicted: int, bos: int) -> Decoder:
        from statlm.networks.encoder_decoder import EncoderDecoderNetwork

        return EncoderDecoderNetwork(self.architecture, embedded, predicted, bos)

    def _likelihood(self, *parts: Any) -> EncoderDecoderLikelihood:
        return EncoderDecoderLikelihood(*parts)


@dataclass(frozen=True, eq=False)
class EncoderDecoderLikelihood(DecoderLikelihood):
    """Likelihood of an encoder-decoder; see `EncoderDecoder`. Parameters are those of `DecoderLikelihood`."""

    @cached_property
    def network(self) -> EncoderDecoderNetwork:
        """The torch module, in evaluation mode."""
        import torch

        from statlm.networks.decoder import loaded
        from statlm.networks.encoder_decoder import EncoderDecoderNetwork

        with torch.random.fork_rng(devices=[]):
            network = EncoderDecoderNetwork(self.architecture, self.embedded, self.predicted, self.bos)
        loaded(network, self.weights)
        return network

    def reader(self, starts: Sequence[Array]) -> Rereader:  # type: ignore[override]
        """Answers that grow token by token: what `generate` draws from. What each begins with is its question."""
        from statlm.networks.encoder_decoder import Rereader

        known = [np.where(np.asarray(ids) < self.predicted, ids, -1) for ids in starts]
        return Rereader(self.network, [np.concatenate([[self.bos], ids]) for ids in known], self.predicted)
