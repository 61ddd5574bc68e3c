"""The transformer decoder: a multinomial regression on learned features of the context."""

from statlm.models.transformer.encoder_decoder import EncoderDecoder
from statlm.models.transformer.gating import gating
from statlm.models.transformer.specification import TransformerDecoder
from statlm.models.transformer.states import DecoderStates

__all__ = ["DecoderStates", "EncoderDecoder", "TransformerDecoder", "gating"]
