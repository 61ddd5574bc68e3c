"""One length of n-grams as a smoothing sees it, and the recursion from lengths to probabilities, written once.

A smoothing says two things of each length m: the share that every m-gram keeps of its context's mass, and the weight that
the context leaves to the shorter n-grams. What follows from there is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from statlm.numerics.backoff_table import BackoffTable
from statlm.numerics.ngram_counts import NGramCounts
from statlm.numerics.ngram_index import Level, NGramIndex
from statlm.numerics.threads import in_threads, parts_of
from statlm.numerics.types import Array

# Below this much of the lower distribution, 1 minus the sum of the rest has lost the digits that rows which sum to one need.
LEAST_UNLISTED = 1e-3


@dataclass(frozen=True, eq=False)
class CountLevel:
    """The m-grams and what is counted of them.

    Attributes
    ----------
    m : int
    counts : (K,) int32 array
        Of each m-gram; those of count 0 are there only as contexts.
    context : (K,) int32 array or None
        Row of its context; None where m is 1 and all share the empty one.
    ncontexts : int
    """

    m: int
    counts: Array
    context: Array | None
    ncontexts: int

    def by_context(self, values: Array) -> Array:
        """(C,) sums of `values` by context."""
        if self.context is None:
            return np.array([values.sum(dtype=float)])
        return np.bincount(self.context, values, self.ncontexts)

    def of_context(self, values: Array) -> Array:
        """(K,) the value of each m-gram's context."""
        return np.broadcast_to(values, len(self.counts)) if self.context is None else values[self.context]

    @cached_property
    def totals(self) -> Array:
        """(C,) sum of the counts in each context."""
        return self.by_context(self.counts)

    @cached_property
    def kinds(self) -> Array:
        """(C,) number of different tokens seen in each context."""
        return self.by_context(self.counts > 0)

    @cached_property
    def counts_of_counts(self) -> Array:
        """(5,) number of m-grams with a count of 0 to 4."""
        return np.bincount(np.minimum(self.counts, 5), minlength=6)[:5]


Shares: TypeAlias = tuple[Array, Array]  # (K,) share of each m-gram, (C,) weight that each context leaves


def levels_of(counts: NGramCounts, continuation: bool) -> list[CountLevel]:
    """The lengths 1, ..., n with their raw or continuation counts."""
    values = counts.continuation if continuation else counts.raw
    index = counts.index
    return [
        CountLevel(m, values[m - 1], None if m == 1 else index.level(m).context, 1 if m == 1 else index.size(m - 1))
        for m in range(1, index.n + 1)
    ]


def interpolate(
    index: NGramIndex, levels: Sequence[CountLevel], shares: Callable[[CountLevel], Shares], size: int
) -> BackoffTable:
    r"""Interpolated probabilities :math:`p_m(w \mid c) = \alpha_{cw} + \gamma_c\, p_{m-1}(w \mid c')`, at last uniform.

    Parameters
    ----------
    index : NGramIndex
    levels : sequence of n CountLevel
    shares : function
        From a level to :math:`\alpha` of its m-grams, an array of its own, and :math:`\gamma` of its contexts; a context
        without counts is not asked. Lengths are asked at the same time.
    size : int
        Number of types, which the uniform distribution spreads over.
    """
    probability: list[Array] = []
    backoff: list[Array] = []
    for level, (share, left) in zip(levels, in_threads(shares, levels), strict=True):
        left = np.where(level.totals > 0, left, 1.0)
        if level.m == 1:
            p = _unigrams(share, float(left[0]), size)
        else:
            p = _add_shorter(share, left, index.level(level.m), probability[-1])
            backoff.append(left)
        probability.append(p)
    return BackoffTable(index, tuple(probability), tuple(backoff), size)


def _add_shorter(share: Array, left: Array, level: Level, shorter: Array) -> Array:
    """Shares, and what contexts leave times the probability of the suffix; in place of the shares where they can be written."""
    p = share if share.flags.writeable else share.copy()

    def work(part: slice) -> None:
        p[part] += left.take(level.context[part], mode="clip") * shorter.take(level.suffix[part], mode="clip")

    in_threads(work, parts_of(len(p)))
    return p


def back_off(
    index: NGramIndex, levels: Sequence[CountLevel], shares: Callable[[CountLevel], Shares], size: int
) -> BackoffTable:
    r"""Back-off probabilities: what was seen keeps :math:`\alpha_{cw}`, and only the unseen share what is left.

    The weight of a context is :math:`\gamma_c / (1 - \sum_{w: n_{cw} > 0} p_{m-1}(w \mid c'))`. A context whose seen tokens
    make up nearly all of the lower distribution (all but 0.1 %) is interpolated instead: there the quotient is of rounding
    errors, or of nothing.
    """
    probability: list[Array] = []
    backoff: list[Array] = []
    for level in levels:
        share, left = shares(level)
        left = np.where(level.totals > 0, left, 1.0)
        if level.m == 1:
            p = _unigrams(share, float(left[0]), size)
        else:
            lower = probability[-1][index.level(level.m).suffix]
            seen = level.counts > 0
            unlisted = 1.0 - level.by_context(np.where(seen, lower, 0.0))
            mixed = unlisted < LEAST_UNLISTED
            weight = left / np.where(mixed, 1.0, unlisted)
            alone = seen & ~mixed[level.context]
            p = np.where(alone, share, share + weight[level.context] * lower)
            backoff.append(weight)
        probability.append(p)
    return BackoffTable(index, tuple(probability), tuple(backoff), size)


def _unigrams(share: Array, left: float, size: int) -> Array:
    """Shares of the types, and the rest uniform over the support; nothing outside of it."""
    p = np.zeros(len(share))
    p[:size] = share[:size] + left / size
    return p
