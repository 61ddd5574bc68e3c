"""Markov chains on arrays: the likelihood ratio of one order against the next, and chains drawn from the fitted one.

Notation: an observation is a token w after the context c of k tokens, before which stands one more token a. Order k says
that a does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from statlm.numerics.context_table import ContextTable
from statlm.numerics.types import Array

HELD = 4_000_000  # keys held before they are counted
DISTINCT = 20_000_000  # bound on distinct keys of the chains drawn at once


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


@dataclass(frozen=True)
class FittedChain:
    """The maximum-likelihood chain of order k, in the form in which drawing from it is fastest.

    The estimate after a context is the empirical distribution of the tokens that followed it, so a draw is one of its
    followers, each equally likely.

    Attributes
    ----------
    table : ContextTable
        Counts of what followed each context of k tokens.
    followers : (N,) integer array
        Cell of each observation, sorted by context.
    first, total : (C,) integer arrays
        The followers of context c are ``followers[first[c]:first[c] + total[c]]``.
    following : (K,) integer array
        Context after each cell, -1 where the chain ends.
    """

    table: ContextTable
    followers: Array
    first: Array
    total: Array
    following: Array

    @classmethod
    def of(cls, table: ContextTable, end: int) -> FittedChain:
        """The chain of a table in which every context that a cell leads to is a row.

        Parameters
        ----------
        table : ContextTable
        end : int
            Token after which a document stops.
        """
        k = table.contexts.shape[1]
        columns = [table.tokens, *table.contexts[table.row_of_cell, : k - 1].T][:k]
        following = table.find_contexts(columns, table.ncells)
        following[table.tokens == end] = -1
        total = table.totals
        return cls(table, np.repeat(np.arange(table.ncells), table.counts), np.cumsum(total) - total, total, following)

    def ratios(self, starts: Array, before: Array, lengths: Array, replicates: int, rng: np.random.Generator) -> Array:
        """(replicates,) likelihood ratios of order k against k + 1 on data drawn from the chain.

        Parameters
        ----------
        starts : (D,) integer array
            Row of the context that each document starts from.
        before : (D,) integer array
            The token before that context.
        lengths : (D,) integer array
            Tokens to draw for each document, where the chain does not end it before.
        replicates : int
        rng : Generator
        """
        counted = Counted(self, int(max(self.table.tokens.max(), before.max())) + 1)
        distinct = max(min(self.table.ncells * len(np.unique(before)), len(self.followers)), 1)
        batch = max(min(replicates, DISTINCT // distinct, HELD // len(starts)), 1)
        parts = []
        while (left := replicates - sum(map(len, parts))) > 0:
            size = min(batch, left)
            keys, counts = counted.draw(starts, before, lengths, size, rng)
            parts.append(counted.statistics(keys, counts, size))
        return np.concatenate(parts)


@dataclass(frozen=True)
class Counted:
    """Counts of (replicate, cell, token before the context) in chains that are drawn all at once.

    A key is ``(replicate * K + cell) * size + token``.

    Attributes
    ----------
    chain : FittedChain
    size : int
        Token ids are below this.
    """

    chain: FittedChain
    size: int

    def draw(
        self, starts: Array, before: Array, lengths: Array, replicates: int, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Distinct keys, ascending, and their counts."""
        chain, table = self.chain, self.chain.table
        oldest = table.contexts[:, -1] if table.contexts.shape[1] else None
        row = np.tile(starts, replicates)
        token = np.tile(before, replicates)
        offset = np.repeat(np.arange(replicates), len(starts)) * table.ncells
        until = np.tile(lengths, replicates)
        ends, stops = bool((chain.following < 0).any()), set(lengths.tolist())
        held: list[Array] = []
        found: list[tuple[Array, Array]] = []
        nheld = step = 0
        while len(row):
            step += 1
            cell = chain.followers[chain.first[row] + (rng.random(len(row)) * chain.total[row]).astype(np.int64)]
            held.append((offset + cell) * self.size + token)
            nheld += len(cell)
            token = table.tokens[cell] if oldest is None else oldest[row]
            row = chain.following[cell]
            if ends or step in stops:
                on = (row >= 0) & (until > step)
                if not on.all():
                    row, token, offset, until = row[on], token[on], offset[on], until[on]
            if nheld >= HELD or not len(row):
                found.append(_tally(np.concatenate(held)))
                held, nheld = [], 0
        return found[0] if len(found) == 1 else _merge(found)

    def statistics(self, keys: Array, counts: Array, replicates: int) -> Array:
        """(replicates,) likelihood ratios ``2 sum n_acw log(n_acw n_c / (n_ac n_cw))``."""
        table = self.chain.table
        cell, token = np.divmod(keys, self.size)  # cells are numbered through the replicates
        replicate, within = np.divmod(cell, table.ncells)
        context = replicate * table.ncontexts + table.row_of_cell[within]
        total = xlogy(counts, counts)
        result = np.bincount(replicate, weights=total, minlength=replicates)
        for group in (cell, context):  # keys ascend, so the members of a cell, and of a context, stand together
            new = np.flatnonzero(np.diff(group, prepend=-1))
            sums = np.add.reduceat(counts, new)
            sign = -1.0 if group is cell else 1.0
            result += sign * np.bincount(replicate[new], weights=xlogy(sums, sums), minlength=replicates)
        pairs, position = np.unique(context * self.size + token, return_inverse=True)
        sums = np.bincount(position, weights=counts)
        owner = pairs // self.size // table.ncontexts
        result -= np.bincount(owner, weights=xlogy(sums, sums), minlength=replicates)
        return np.maximum(2 * result, 0.0)


def close(table: ContextTable, columns: Sequence[Array], targets: Array, ends: Array, starts: Array) -> ContextTable:
    """A table in which the chain can always go on: after a context that nothing followed, the text begins again.

    The last tokens of a text may stand nowhere else in it. There is no estimate of what follows them; what does is then the
    beginning of the same document, so that the chain returns to where it has an estimate.

    Parameters
    ----------
    table : ContextTable
        Counts of `targets` after `columns`.
    columns : sequence of k (N,) integer arrays
        Most recent token first.
    targets : (N,) integer array
    ends, starts : (D, k) integer arrays
        Last tokens of each document, and the tokens it is conditioned on, oldest first.
    """
    k = ends.shape[1]
    if k == 0:
        return table
    around = np.concatenate([ends, starts], axis=1)  # (D, 2k)
    extra = [np.concatenate([around[:, k + i - lag] for i in range(k)]) for lag in range(1, k + 1)]
    after = np.concatenate([around[:, k + i] for i in range(k)])
    dead = table.find_contexts(extra, len(after)) < 0
    if not dead.any():
        return table
    joined = [np.concatenate([column, more[dead]]) for column, more in zip(columns, extra, strict=True)]
    return ContextTable.count(joined, np.concatenate([targets, after[dead]]), 1 << table.bits)


def _tally(keys: Array) -> tuple[Array, Array]:
    keys.sort()
    new = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[new], np.diff(new, append=len(keys))


def _merge(found: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    keys, position = np.unique(np.concatenate([keys for keys, _ in found]), return_inverse=True)
    counts = np.concatenate([counts for _, counts in found])
    return keys, np.bincount(position, weights=counts).astype(np.int64)
