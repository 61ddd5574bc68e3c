"""The masked transformer: gaps filled from both sides, by pseudo-likelihood."""

from statlm.models.masked.filling import Filled, PseudoPerplexity, fill, pseudo_perplexity
from statlm.models.masked.specification import MaskedTransformer

__all__ = ["Filled", "MaskedTransformer", "PseudoPerplexity", "fill", "pseudo_perplexity"]
