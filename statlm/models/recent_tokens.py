"""Features of a context: its last tokens, each as a random direction, the recent ones longer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from statlm.errors import SpecificationError
from statlm.numerics.types import Array


@dataclass(frozen=True)
class RecentTokens:
    r"""Features of contexts by their last tokens, for `NearestNeighbour`.

    A token is a random unit vector of its own, the vector of lag l is multiplied by :math:`\text{decay}^{(l - 1) / 2}`, and the
    lags stand side by side. The squared distance of two contexts is then about 2 times the sum of
    :math:`\text{decay}^{l - 1}` over the lags at which they differ.

    Parameters
    ----------
    lags : int
        How many tokens back.
    decay : float
        Between 0 and 1.
    dimension : int
        Of the vectors; the distance of any two types is 2 up to about its square root's inverse.
    seed : int

    Examples
    --------
    >>> features = RecentTokens(lags=2, dimension=64)
    >>> there, close, far = features(np.array([[3, 5], [4, 5], [3, 6]]))
    >>> bool(((there - close) ** 2).sum() < ((there - far) ** 2).sum())
    True
    """

    lags: int = 6
    decay: float = 0.7
    dimension: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        if self.lags < 1 or self.dimension < 1 or not 0 < self.decay <= 1:
            raise SpecificationError(f"{self!r}: use a lag and a dimension or more, and a decay above 0 and up to 1.")

    @property
    def memory(self) -> int:
        """How many tokens back the features look."""
        return self.lags

    def __call__(self, contexts: Array) -> Array:
        """(m, lags x dimension) features of (m, lags) contexts of token ids, oldest first."""
        contexts = np.asarray(contexts, np.int64)
        table = _directions(1 << int(contexts.max(initial=1)).bit_length(), self.dimension, self.seed)
        scale = self.decay ** (np.arange(self.lags)[::-1] / 2)
        features: Array = (table[contexts] * scale[None, :, None].astype(np.float32)).reshape(len(contexts), -1)
        return features


@lru_cache(maxsize=8)
def _directions(size: int, dimension: int, seed: int) -> Array:
    """(size, dimension) unit vectors; those of a smaller size are its first ones."""
    drawn = np.random.default_rng(seed).standard_normal((size, dimension))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn.astype(np.float32)
