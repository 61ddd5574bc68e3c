"""The n-gram family: counting, and the smoothings of its counts."""

from statlm.models.ngram.specification import NGram

__all__ = ["NGram"]
