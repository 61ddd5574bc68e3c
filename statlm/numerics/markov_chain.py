"""Markov chains on arrays: the likelihood ratio of one order against the next, and its distribution under the former.

Notation: an observation is a token w after the context c of k tokens, before which stands one more token a. Order k says
that a does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, repeat
from typing import Any

import numpy as np
from scipy.special import xlogy

from statlm.numerics.context_table import ContextTable
from statlm.numerics.types import Array

SPARSE = 8  # keys are counted in an array of all possible ones up to this many times their number


@dataclass(frozen=True, slots=True)
class OrderRatio:
    """Order k against order k + 1.

    Attributes
    ----------
    statistic : float
        Twice the difference of the maximal log-likelihoods, nats.
    dof : int
        ``sum over c of (A_c - 1)(W_c - 1)``, with A_c tokens seen before the context c and W_c tokens seen after it: the
        cells that could be non-zero.
    cells : int
        Cells of the tables of the contexts that count for `dof`.
    small : int
        How many of them have an expected count below 5.
    """

    statistic: float
    dof: int
    cells: int
    small: int


def table_loglike(table: ContextTable) -> float:
    """Maximal log-likelihood ``sum n_cw log(n_cw / n_c)`` of the counts, nats."""
    return float((table.counts * np.log(table.counts / table.totals[table.row_of_cell])).sum())


def order_ratio(null: ContextTable, alternative: ContextTable, few: float = 5.0) -> OrderRatio:
    r"""Likelihood ratio of order k against order k + 1, from the counts of the same observations.

    :math:`2 \sum_{a,c,w} n_{acw} \log \frac{n_{acw}\, n_c}{n_{ac}\, n_{cw}}`, the likelihood-ratio statistic of independence
    of a and w in the table of each context c (Anderson and Goodman 1957; Billingsley 1961).

    Parameters
    ----------
    null, alternative : ContextTable
        With contexts of k and of k + 1 tokens.
    few : float
        Expected counts :math:`n_{ac} n_{cw} / n_c` below this are small.
    """
    k = null.contexts.shape[1]
    parent = null.find_contexts(list(alternative.contexts[:, :k].T), alternative.ncontexts)
    before = np.bincount(parent, minlength=null.ncontexts)
    after = np.diff(null.starts)
    free = (before - 1) * (after - 1)
    # The number of w with n_cw < few n_c / n_ac for each (a, c), by one search among the counts sorted within contexts.
    n_c, n_ac = null.totals[parent], alternative.totals
    width = int(null.counts.max()) + 1
    ordered = np.sort(null.row_of_cell * width + null.counts)
    threshold = np.minimum(np.ceil(few * n_c / n_ac).astype(np.int64), width)
    below = np.searchsorted(ordered, parent * width + threshold) - null.starts[parent]
    counted = free > 0
    return OrderRatio(
        max(2 * (table_loglike(alternative) - table_loglike(null)), 0.0),
        int(free.sum()),
        int((before * after)[counted].sum()),
        int(below[counted[parent]].sum()),
    )


@dataclass(frozen=True, eq=False)
class Trails:
    r"""All texts that have the same counts of tokens after contexts of k tokens; draws from them uniformly.

    Given those counts (the sufficient statistics of a chain of order k) and the beginnings of the documents, every such text
    is equally likely whatever the transition probabilities: none is estimated. The texts are the Eulerian trails of the
    graph whose vertices are contexts and whose edges are observations. By the BEST theorem (van Aardenne-Ehrenfest and de
    Bruijn 1951) a uniform one is drawn by drawing the edge on which each context is left for the last time, which make a
    uniform spanning tree towards the end (Wilson 1996), and putting the other edges out of each context in random order
    (Kandel et al. 1996).

    An *entry* is an observation, or the end of a document that has no token for it; entries stand in the order of the text.

    Parameters
    ----------
    row : (N,) int64 array
        Context of each entry.
    token : (N,) int64 array
        Token of each entry; -1 for an end without token.
    leaving : (N,) int64 array
        Oldest token of each entry's context, the token itself where k is 0: what stands before the context of the next
        entry.
    last : (D,) int64 array
        The last entry of each document.
    before : (D,) int64 array
        The token before the first context of each document.
    size : int
        Token ids are below this.

    References
    ----------
    Besag and Mondal (2013), Exact goodness-of-fit tests for Markov chains. Biometrics 69.
    """

    row: Array
    token: Array
    leaving: Array
    last: Array
    before: Array
    size: int

    @cached_property
    def _first(self) -> Array:
        """(D,) first entry of each document."""
        return np.append(0, self.last[:-1] + 1)

    @cached_property
    def _root(self) -> int:
        """A context of its own in which documents end, and from which the next one begins."""
        return int(self.row.max()) + 1

    @cached_property
    def _edges(self) -> tuple[Array, Array, Array]:
        """Entries sorted by context (edges), the first of each context, and the number of each context."""
        total = np.bincount(self.row, minlength=self._root)
        return np.argsort(self.row, kind="stable"), np.cumsum(total) - total, total

    @cached_property
    def _position(self) -> Array:
        """(N,) edge of each entry."""
        position = np.empty(len(self.row), np.int64)
        position[self._edges[0]] = np.arange(len(position))
        return position

    @cached_property
    def _next(self) -> Array:
        """(N + D - 1,) context that each entry leads to; then those that documents 2, ..., D begin with."""
        following = np.append(self.row[1:], 0)
        following[self.last] = self._root
        return np.concatenate([following, self.row[self._first[1:]]])

    @cached_property
    def _walk_lists(self) -> tuple[list[int], list[int], list[int]]:
        """Context that each edge leads to; first edge and number of edges of each context."""
        edges, first, total = self._edges
        return self._next[edges].tolist(), first.tolist(), total.tolist()

    def loglike(self, path: Array) -> float:
        """Maximal log-likelihood of order k + 1 on the text that takes the entries in the order of `path`, nats.

        Parameters
        ----------
        path : (N,) integer array
        """
        before = np.append(0, self.leaving[path[:-1]])
        ends = np.zeros(len(self.row), bool)
        ends[self.last] = True
        before[np.append(0, np.flatnonzero(ends[path])[:-1] + 1)] = self.before
        observed = self.token[path] >= 0
        keys = ((self.row[path] * self.size + before) * self.size + self.token[path])[observed]
        keys, counts = _counted(keys, self._root * self.size**2)
        group = np.flatnonzero(np.diff(keys // self.size, prepend=-1))
        totals = np.add.reduceat(counts, group)
        return float(xlogy(counts, counts).sum() - xlogy(totals, totals).sum())

    def draw(self, rng: np.random.Generator) -> Array:
        """(N,) the entries in the order of a text drawn uniformly."""
        n = len(self.row)
        edges, first, total = self._edges
        place = rng.uniform(0.25, 0.75, n) + self.row[edges]
        tree = self._last_exits(rng)
        place[tree] = self.row[edges[tree]]  # before all others of the context, and the exits are taken from the end
        backwards = np.repeat(2 * first + total - 1, total) - np.arange(n)
        exits = np.append(edges[np.argsort(place)][backwards], np.arange(n, len(self._next)))
        visits = _walk(self._next[exits], np.append(total, len(self._next) - n), int(self.row[0]))
        path = np.empty(len(exits), np.int64)
        path[_stable_order(visits)] = exits  # the exits of a context are taken in turn
        return path[path < n]

    def _last_exits(self, rng: np.random.Generator) -> Array:
        """(C,) for each context the edge of a uniform spanning tree towards the end, by loop-erased random walks."""
        following, first, total = self._walk_lists
        uniform = _uniforms(rng)
        exits = [0] * self._root
        settled = [False] * self._root + [True]
        ending = self.row[self.last]
        if (ending == ending[0]).all():  # the only way to the root, which the walk would be long to find
            row, at = int(ending[0]), int(next(uniform) * len(ending))
            exits[row] = int(self._position[self.last[at]])
            settled[row] = True
        for start in range(self._root):
            row = start
            while not settled[row]:
                exits[row] = edge = first[row] + int(next(uniform) * total[row])
                row = following[edge]
            row = start
            while not settled[row]:
                settled[row] = True
                row = following[exits[row]]
        return np.array(exits)


def _walk(next_rows: Array, total: Array, start: int) -> Array:
    """(N,) context at each step of a walk that leaves each context by its exits in turn, until all are used.

    Parameters
    ----------
    next_rows : (N,) integer array
        Where the exits lead, in turn, context by context.
    total : (C,) integer array
        Exits of each context.
    start : int

    Notes
    -----
    Each context is an iterator over the contexts that it leads to, themselves iterators, so that a step is a call of ``next`` and
    none is interpreted.
    """
    lists: list[list[Iterator[Any]]] = [[] for _ in total]
    contexts = np.empty(len(total), object)
    contexts[:] = [iter(some) for some in lists]
    number = {context: row for row, context in enumerate(contexts)}
    stops = np.cumsum(total)
    for some, first, stop in zip(lists, stops - total, stops, strict=True):
        some.extend(contexts[next_rows[first:stop]].tolist())
    steps: Iterator[Any] = accumulate(repeat(None, len(next_rows) - 1), next, initial=contexts[start])
    return np.fromiter(map(number.__getitem__, steps), np.int64, len(next_rows))


def _stable_order(rows: Array) -> Array:
    """Order of small integers, equal ones as they stand."""
    return np.argsort(rows.astype(np.uint16) if rows.max() < 1 << 16 else rows, kind="stable")


def _counted(keys: Array, size: int) -> tuple[Array, Array]:
    """The distinct of some keys below `size`, ascending, and how often each occurs."""
    if size <= SPARSE * len(keys):
        counts = np.bincount(keys, minlength=size)
        found = np.flatnonzero(counts)
        return found, counts[found]
    return np.unique(keys, return_counts=True)


def _uniforms(rng: np.random.Generator) -> Iterator[float]:
    size = 64
    while True:
        yield from rng.random(size).tolist()
        size = min(2 * size, 1 << 16)
