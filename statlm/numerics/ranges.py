"""Index arithmetic over many ranges at once."""

from __future__ import annotations

import numpy as np

from statlm.numerics.types import Array


def concatenate_ranges(starts: Array, stops: Array) -> Array:
    """Indices ``starts[0]:stops[0]``, ``starts[1]:stops[1]``, ... end to end.

    Examples
    --------
    >>> concatenate_ranges(np.array([5, 0]), np.array([7, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    lengths = stops - starts
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
