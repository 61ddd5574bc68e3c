"""Contexts divided by how often they were seen, length by length: those of a bucket share a parameter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from statlm.numerics.types import Array


@dataclass(frozen=True, eq=False)
class Buckets:
    """Parameters of the contexts of 1-grams, 2-grams, ..., n-grams, numbered through.

    Attributes
    ----------
    edges : tuple of n integer arrays
        For each length the counts at which its second, third, ... bucket begins; ascending.

    Examples
    --------
    >>> buckets = Buckets((np.array([], int), np.array([2, 10])))
    >>> buckets.size, buckets.of(2, np.array([1, 2, 9, 10, 500])).tolist()
    (4, [1, 2, 2, 3, 3])
    >>> buckets.names
    ['1-gram', '2-gram, contexts seen 1 time', '2-gram, contexts seen 2 to 9 times', '2-gram, contexts seen 10 or more times']
    """

    edges: tuple[Array, ...]

    @classmethod
    def single(cls, n: int) -> Buckets:
        """One bucket a length."""
        return cls(tuple(np.zeros(0, np.int64) for _ in range(n)))

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.edges) + sum(len(edges) for edges in self.edges)

    @cached_property
    def _first(self) -> Array:
        sizes = np.array([len(edges) + 1 for edges in self.edges])
        return np.cumsum(sizes) - sizes

    def range(self, m: int) -> slice:
        """The parameters of length m."""
        return slice(int(self._first[m - 1]), int(self._first[m - 1]) + len(self.edges[m - 1]) + 1)

    def of(self, m: int, totals: Array) -> Array:
        """Parameter of contexts of m-grams that were seen so often."""
        return self._first[m - 1] + np.searchsorted(self.edges[m - 1], totals, side="right")

    @property
    def names(self) -> list[str]:
        """What each parameter is of."""
        names = []
        for m, edges in enumerate(self.edges, start=1):
            if len(edges) == 0:
                names.append(f"{m}-gram")
                continue
            starts = [1, *edges.tolist()]
            for low, after in zip(starts, [*starts[1:], None], strict=True):
                if after is None:
                    names.append(f"{m}-gram, contexts seen {low:,} or more times")
                elif after - 1 == low:
                    names.append(f"{m}-gram, contexts seen {low:,} {'time' if low == 1 else 'times'}")
                else:
                    names.append(f"{m}-gram, contexts seen {low:,} to {after - 1:,} times")
        return names


def by_quantiles(totals: list[Array], number: int) -> Buckets:
    """About equally many observations a bucket.

    Parameters
    ----------
    totals : n arrays
        For each length how often the contexts of the observations were seen; those never seen left out.
    number : int
        Buckets a length; fewer where many observations have contexts that were seen equally often.
    """
    edges = []
    for seen in totals:
        cuts = np.zeros(0, np.int64)
        if len(seen):
            cuts = np.unique(np.quantile(seen, np.arange(1, number) / number, method="higher")).astype(np.int64)
            cuts = cuts[cuts > seen.min()]
        edges.append(cuts)
    return Buckets(tuple(edges))
