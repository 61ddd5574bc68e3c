"""Products with single columns that need not be computed twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

import numpy as np

from statlm.numerics.types import Array

KEPT = 1 << 27  # numbers: 1 GB


class KeptProducts:
    """The latest products of an operator, by what the column was.

    Several covariances of one functional ask for the same solve and the same products; each is a pass over a text.

    Examples
    --------
    >>> kept = KeptProducts()
    >>> kept.columns(np.eye(2), lambda x: 2 * x).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    >>> kept.holds(np.eye(2)[:, :1])
    True
    """

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, Array] = OrderedDict()

    def columns(self, columns: Array, product: Callable[[Array], Array]) -> Array:
        """(n, q) products of the columns of a (p, q) array, of which only new ones are computed."""
        keys = [_key(column) for column in columns.T]
        new = list({key: i for i, key in enumerate(keys) if key not in self._found}.values())
        fresh = {keys[i]: made for i, made in zip(new, product(columns[:, new]).T, strict=True)} if new else {}
        result = np.stack([fresh[key] if key in fresh else self._found[key] for key in keys], axis=1)
        for key, made in fresh.items():
            self._found[key] = made.copy()
        while len(self._found) * result.shape[0] > KEPT:
            self._found.popitem(last=False)
        return result

    def holds(self, columns: Array) -> bool:
        """Whether the products of all columns are kept."""
        return all(_key(column) in self._found for column in columns.T)


def _key(column: Array) -> bytes:
    return sha256(np.ascontiguousarray(column).data).digest()
