"""The transformer decoder: a multinomial regression on learned features of the context."""

from statlm.models.transformer.specification import TransformerDecoder

__all__ = ["TransformerDecoder"]
