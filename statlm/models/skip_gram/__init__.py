"""Skip-gram with negative sampling: vectors of tokens by a composite likelihood."""

from statlm.models.skip_gram.specification import SkipGram

__all__ = ["SkipGram"]
