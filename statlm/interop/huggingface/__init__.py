"""Pretrained models of the package transformers, and GPT-2's weights to and fro.

`load` makes any causal language model a distribution like the others of this package. `load_gpt2` and `save_gpt2` carry weights
between transformers' GPT-2 and `TransformerDecoder`.
"""

from statlm.interop.huggingface.gpt2 import load_gpt2, save_gpt2
from statlm.interop.huggingface.pretrained import Pretrained, load

__all__ = ["Pretrained", "load", "load_gpt2", "save_gpt2"]
