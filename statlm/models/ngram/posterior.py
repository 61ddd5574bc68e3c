"""The posterior of an n-gram under a Dirichlet prior: a Dirichlet distribution for each context, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for, unique_rows
from statlm.text.corpus import Corpus

if TYPE_CHECKING:
    from statlm.models.ngram.likelihood import NGramLikelihood

# Streams of random numbers: what training listed, the mass of what it did not list, its division, whole rows.
LISTED, UNLISTED, DIVISION, REMAINDER, ROWS = range(5)


@dataclass(frozen=True, eq=False)
class DirichletDraws:
    r"""Independent draws of the probabilities of all contexts.

    With :math:`n_{cw}` counts and a the prior concentration, the row of context c is
    :math:`\mathrm{Dirichlet}(n_{c1} + a, \dots, n_{cV} + a)`. Gamma variables are drawn for the cells that training saw and one
    for the sum of the others; where text needs them, the sum is divided among them. By the aggregation property of the
    Dirichlet distribution this is a draw from the posterior, and no array of contexts by types is formed.

    Parameters
    ----------
    model : NGramLikelihood
        Whose table has the counts.
    concentration : float
        a > 0.
    size : int
        Number S of draws.
    seed : int
    """

    model: NGramLikelihood
    concentration: float
    size: int
    seed: int

    @cached_property
    def _cells(self) -> tuple[Array, Array]:
        """(S, K) log-probability of each listed cell, and (S, C) of all cells of a context that are not listed."""
        table, a = self.model.table, self.concentration
        gammas = self._log_gamma(LISTED, table.counts + a)
        rest = self._log_gamma(UNLISTED, a * (self.model.size - np.diff(table.starts)))
        total = np.logaddexp(np.logaddexp.reduceat(gammas, table.starts[:-1], axis=1), rest)
        return gammas - total[:, table.row_of_cell], rest - total

    @cached_property
    def params(self) -> Array:
        """(S, p) draws of the model's parameters: probabilities of the cells that occurred, one of each context left out."""
        return np.exp(self._cells[0][:, self.model._free])

    def pairs(self, corpus: Corpus) -> tuple[Array, Array]:
        """(S, M) log-probabilities of distinct (context, token) pairs, and the (nobs,) pair of each observation."""
        model = self.model.on(corpus)
        rows, cells = model._place
        table, rest = self._cells
        index = cells.astype(np.int64)
        other = np.flatnonzero(cells < 0)
        if not len(other):
            return table, index
        # Cells that training did not list, by context; one that it never saw has the prior for its posterior.
        row_of, context_of, token = self._unlisted(corpus, rows[other].astype(np.int64), other)
        context, place = np.unique(context_of, return_inverse=True)
        keys, place = np.unique(place * corpus.vocabulary.nids + token, return_inverse=True)
        where, token = np.divmod(keys, corpus.vocabulary.nids)
        first = np.flatnonzero(np.diff(where, prepend=-1))
        row = np.zeros(len(keys), np.int64)
        row[place] = row_of
        possible = token < model.size
        listed = np.append(np.diff(model.table.starts), 0)[row[first]]
        wanted = np.bincount(where, weights=possible, minlength=len(context))
        parts = self._log_gamma(DIVISION, np.where(possible, self.concentration, 0.0))
        left = self._log_gamma(REMAINDER, np.maximum(self.concentration * (model.size - listed - wanted), 0.0))
        total = np.logaddexp(np.logaddexp.reduceat(parts, first, axis=1), left)
        mass = np.append(rest, np.zeros((self.size, 1)), axis=1)  # a context never seen has row -1, and all of the mass
        with np.errstate(invalid="ignore"):
            extra = np.where(possible, mass[:, row] + parts - total[:, where], -np.inf)
        index[other] = table.shape[1] + place
        return np.concatenate([table, extra], axis=1), index

    def logprobs(self, draw: int, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token under one draw."""
        model = self.model
        rows = model.rows_of(contexts)
        seen = np.flatnonzero(rows >= 0)
        row, cell = model._cells_of(rows[seen])
        shape = np.full((len(rows), model.size), self.concentration)
        shape[seen[row], model.table.tokens[cell]] = 0.0
        result = _log_gamma(np.random.default_rng([self.seed, ROWS, draw]), shape)
        table, rest = self._cells
        total = np.logaddexp.reduce(result, axis=1)
        with np.errstate(invalid="ignore"):
            scale = np.where(np.isneginf(total), 0.0, np.append(rest[draw], 0.0)[rows] - total)
        result += scale[:, None]
        result[seen[row], model.table.tokens[cell]] = table[draw, cell]
        return result

    def _unlisted(self, corpus: Corpus, rows: Array, other: Array) -> tuple[Array, Array, Array]:
        """Row, number of the context and token of observations whose cell training did not list."""
        contexts = rows.copy()
        unseen = np.flatnonzero(rows < 0)
        if len(unseen):
            columns = [column[other[unseen]] for column in corpus.context_columns(self.model.memory)]
            found = unique_rows(columns, bits_for(corpus.vocabulary.nids), index=True).index
            assert found is not None
            contexts[unseen] = self.model.table.ncontexts + found
        return rows, contexts, corpus.targets[other].astype(np.int64)

    def _log_gamma(self, stream: int, shape: Array) -> Array:
        """(S, ...) logarithms of gamma variables."""
        rng = np.random.default_rng([self.seed, stream])
        return _log_gamma(rng, np.broadcast_to(shape, (self.size, *np.shape(shape))))


def _log_gamma(rng: np.random.Generator, shape: Array) -> Array:
    """Logarithms of gamma variables, ``-inf`` where the shape is 0; of shapes so small that the variables underflow too."""
    with np.errstate(divide="ignore", invalid="ignore"):
        # G(a) is G(a + 1) U^(1/a); -log U is exponential.
        result = np.log(rng.gamma(shape + 1.0)) - rng.exponential(size=shape.shape) / shape
    return np.where(shape > 0, result, -np.inf)
