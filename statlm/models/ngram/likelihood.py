"""The likelihood of free probability vectors, one a context: score and information in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from statlm.errors import NoEstimate, SpecificationError
from statlm.models.ngram.posterior import DirichletDraws
from statlm.numerics.cell_form import CellForm
from statlm.numerics.context_table import ContextTable
from statlm.numerics.context_tree import ContextTree
from statlm.numerics.identified_solution import Determined, undetermined_at
from statlm.numerics.linalg import ArrowBlocks
from statlm.numerics.ranges import concatenate_ranges
from statlm.numerics.repeated_rows import RepeatedRows
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

UNCHANGED = {"_place", "_counted", "_reference", "_free"}  # when probabilities of listed cells change


@dataclass(frozen=True, eq=False)
class NGramLikelihood:
    """Likelihood of an n-gram model; see `NGram`.

    Parameters
    ----------
    n : int
    corpus : Corpus
    table : ContextTable
        Contexts and cells seen in training.
    cells : (K,) array
        Log-probability of each cell.
    others : (C,) array
        Log-probability of each token that is not among a context's cells.
    ntypes : int
        Types seen in training.
    size : int
        Types in the support.
    pseudo_count : float
        What was added to each count.
    tree : ContextTree or None
        Of contexts of different lengths, the ones that are told apart; see `VariableLengthNGram`.
    """

    n: int
    corpus: Corpus
    table: ContextTable
    cells: Array
    others: Array
    ntypes: int
    size: int
    pseudo_count: float = 0.0
    tree: ContextTree | None = None
    memory: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", max(self.n - 1, 0))

    # --- Predictive ---------------------------------------------------------------------------------------------------

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        rows, cells = self._place
        result = np.full(len(rows), -np.log(self.size))
        seen = rows >= 0
        result[seen] = self.others[rows[seen]]
        listed = cells >= 0
        result[listed] = self.cells[cells[listed]]
        result[self.corpus.targets >= self.size] = -np.inf
        return result

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token, nats."""
        rows = self.rows_of(contexts)
        result = np.full((len(rows), self.size), -np.log(self.size))
        seen = np.flatnonzero(rows >= 0)
        result[seen] = self.others[rows[seen]][:, None]
        row, cell = self._cells_of(rows[seen])
        result[seen[row], self.table.tokens[cell]] = self.cells[cell]
        return result

    def on(self, corpus: Corpus) -> NGramLikelihood:
        """The same probabilities on another corpus of the same vocabulary."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return replace(self, corpus=corpus)

    # --- Likelihood ---------------------------------------------------------------------------------------------------

    @property
    def params(self) -> Array:
        """(p,) probabilities of the cells that occurred, the most frequent of each context left out."""
        return np.exp(self.cells[self._free])

    @property
    def param_names(self) -> pd.MultiIndex:
        """Token and context of each parameter."""
        names = np.array(self.corpus.vocabulary.tokens, dtype=object)
        contexts = self.context_names()
        return pd.MultiIndex.from_arrays(
            [names[self.table.tokens[self._free]], contexts[self.table.row_of_cell[self._free]]], names=["response", "term"]
        )

    @property
    def dof(self) -> int:
        """Contexts seen times (types seen - 1)."""
        return self.table.ncontexts * (self.ntypes - 1)

    def score(self) -> RepeatedRows:
        """(nobs, p) score; distinct rows are cells, so it is stored as a table and an index.

        Raises
        ------
        NoEstimate
            If an observation has probability 0.
        """
        _, cells = self._place
        impossible = int(np.count_nonzero(np.isneginf(self.loglike_obs())))
        if impossible:
            raise NoEstimate(
                f"{impossible:,} of {self.corpus.nobs:,} observations have probability 0 under the model, so the "
                "log-likelihood is -inf and has no derivative. Use pseudo_count > 0, or the corpus it was fitted to."
            )
        return RepeatedRows(self._cell_scores, np.where(cells >= 0, cells, self.table.ncells))

    def information(self) -> ArrowBlocks:
        """(p, p) observed information, a diagonal plus a constant for each context."""
        _, cells = self._place
        counts = np.bincount(cells[cells >= 0], minlength=self.table.ncells)
        free, reference = self._free, self._reference
        with np.errstate(divide="ignore", invalid="ignore"):
            constant = np.where(counts[reference] > 0, counts[reference] / np.exp(2 * self.cells[reference]), 0.0)
        return ArrowBlocks(counts[free] / self.params**2, constant, self.table.row_of_cell[free])

    @property
    def penalised(self) -> bool:
        """Whether a pseudo-count was added, so that the estimate is the mode of a posterior."""
        return self.pseudo_count > 0

    def penalty_curvature(self) -> ArrowBlocks:
        """(p, p) precision of the Dirichlet prior whose log-density is `pseudo_count` times the sum of log-probabilities."""
        free, reference = self._free, self._reference
        return ArrowBlocks(
            self.pseudo_count / self.params**2,
            self.pseudo_count / np.exp(2 * self.cells[reference]),
            self.table.row_of_cell[free],
        )

    def posterior_draws(self, concentration: float, size: int, seed: int) -> DirichletDraws:
        """Draws of all probabilities from their posterior under a symmetric Dirichlet prior; see `statlm.posterior`."""
        return DirichletDraws(self, concentration, size, seed)

    def solved_scores(self) -> CellForm:
        """Inner products of scores under the inverse of the information, the prior's precision with it; see `CellForm`."""
        curvature = self.information()
        if self.penalised:
            curvature = curvature + self.penalty_curvature()
        curvature.inverse_diagonal()  # raises where a parameter carries no information
        p, table = np.exp(self.cells), self.table
        delta = np.empty(table.ncells)
        delta[self._free] = 1.0 / curvature.diagonal
        with np.errstate(divide="ignore"):
            delta[self._reference] = 1.0 / curvature.constant
        total = np.bincount(table.row_of_cell, weights=delta, minlength=table.ncontexts)
        bounded = np.where(
            np.isfinite(delta), delta, 0.0
        )  # of a left-out cell without observations, which has no score to weigh
        cell = self._place[1]
        return CellForm(np.where(cell >= 0, cell, table.ncells), bounded / p**2, bounded / p, total, table.row_of_cell)

    def prominence(self) -> Array:
        """(p,) training counts of the parameters' cells: the summary shows the largest."""
        return self.table.counts[self._free]

    def at(self, params: Array) -> NGramLikelihood:
        """The same cells with other probabilities.

        Raises
        ------
        SpecificationError
            If they are not probabilities: negative, or more than 1 in sum.
        """
        params = np.asarray(params, float)
        if params.shape != (len(self._free),):
            raise SpecificationError(f"params has shape {params.shape}; this model has {len(self._free):,} parameters.")
        table = self.table
        filled = np.bincount(table.row_of_cell[self._free], weights=params, minlength=table.ncontexts)
        with np.errstate(divide="ignore"):
            unlisted = (self.size - np.diff(table.starts)) * np.exp(self.others)
            rest = 1.0 - filled - np.where(unlisted > 0, unlisted, 0.0)
            if (params < 0).any() or (rest < -1e-12).any():
                raise SpecificationError(
                    f"These are not probabilities: the smallest is {params.min():.3g}, and "
                    f"{np.count_nonzero(rest < -1e-12):,} contexts sum to more than 1. Stay inside the simplex."
                )
            cells = self.cells.copy()
            cells[self._free] = np.log(params)
            cells[self._reference] = np.log(np.maximum(rest, 0.0))
        again = replace(self, cells=cells)
        for name in UNCHANGED & self.__dict__.keys():
            again.__dict__[name] = self.__dict__[name]
        return again

    def summed(self, params: Array) -> tuple[float, Array]:
        """Log-likelihood of the corpus at other probabilities, nats, and its (p,) gradient, from counts.

        Raises
        ------
        SpecificationError
            As of `at`.
        """
        counts, fixed = self._counted
        there = self.at(params)
        listed = counts > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            along = counts / np.exp(there.cells)
        value = fixed + float((counts[listed] * there.cells[listed]).sum())
        reference = self._reference[self.table.row_of_cell[self._free]]
        return value, along[self._free] - along[reference]

    def params_as(self, other: NGramLikelihood) -> Determined:
        """Probabilities of another fit's parameters under this one; open where it never saw the context."""
        table, free = other.table, other._free
        columns = [column.astype(np.int64) for column in table.contexts.T]
        row = self._find(columns, table.ncontexts)[table.row_of_cell[free]]
        cell = self.table.find_cells(row, table.tokens[free])
        result = np.full(len(free), np.nan)
        seen = row >= 0
        result[seen] = np.exp(self.others[row[seen]])
        result[cell >= 0] = np.exp(self.cells[cell[cell >= 0]])
        return undetermined_at(result, other.params)

    def reweighted(self, weights: Array, pseudo_count: float) -> Determined | None:
        """The parameters if each observation of the training corpus stood in it as often as `weights`, (nobs,), say.

        Open where a context would be lost; None where the table does not hold all of the corpus.
        """
        cells, table, free = self._place[1], self.table, self._free
        if self.tree is not None or (cells < 0).any():
            return None
        counts = np.bincount(cells, weights, minlength=table.ncells)
        totals = np.bincount(table.row_of_cell, counts, minlength=table.ncontexts)[table.row_of_cell[free]]
        with np.errstate(invalid="ignore"):
            shares = (counts[free] + pseudo_count) / (totals + pseudo_count * self.size)
        return undetermined_at(np.where(totals > 0, shares, np.nan), self.params)

    # --- what is particular to n-grams --------------------------------------------------------------------------------

    def rows_of(self, contexts: Array) -> Array:
        """(m,) row of each context in the table, -1 where training never saw it."""
        contexts = np.atleast_2d(np.asarray(contexts, np.int64))
        lack = self.memory - contexts.shape[1]
        if lack > 0:
            pad = np.full((len(contexts), lack), self.corpus.vocabulary.pad)
            contexts = np.concatenate([pad, contexts], axis=1)
        columns = [contexts[:, -lag] for lag in range(1, self.memory + 1)]
        return self._find(columns, len(contexts))

    def counts_of(self, contexts: Array) -> Array:
        """(m, V) training counts of what followed each context: the data behind its probabilities."""
        rows = self.rows_of(contexts)
        result = np.zeros((len(rows), self.size), np.int64)
        seen = np.flatnonzero(rows >= 0)
        row, cell = self._cells_of(rows[seen])
        result[seen[row], self.table.tokens[cell]] = self.table.counts[cell]
        return result

    @property
    def nunseen(self) -> int:
        """Number of observations whose context training never saw."""
        return int(np.count_nonzero(self._place[0] < 0)) if self.n > 0 else 0

    def context_names(self) -> Array:
        """(C,) text of each context, oldest token first."""
        vocabulary = self.corpus.vocabulary
        names = np.array([*vocabulary.tokens], dtype=object)
        joint = "" if vocabulary.tokenizer is not None and vocabulary.tokenizer.name != "word" else " "
        names[vocabulary.pad] = ""
        joined = [joint.join(row) for row in names[self.table.contexts[:, ::-1]]]
        return np.array([name.lstrip(" ") for name in joined] if joint else joined, dtype=object)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `NGram.restore` makes it again."""
        table = self.table
        arrays = {
            "contexts": table.contexts,
            "starts": table.starts,
            "tokens": table.tokens,
            "counts": table.counts,
            "cells": self.cells,
            "others": self.others,
        }
        if self.tree is not None:
            arrays |= {f"tree{j}": keys for j, keys in enumerate(self.tree.keys, start=1)}
            arrays |= {f"used{j}": used.astype(np.uint8) for j, used in enumerate(self.tree.used, start=1)}
        return arrays, {"bits": table.bits, "ntypes": self.ntypes, "size": self.size, "pseudo_count": self.pseudo_count}

    def notes(self) -> list[str]:
        """What a reader of the summary must know: what is held fixed, what a prior did, what was never seen."""
        notes = []
        if self.tree is not None:
            notes.append("The contexts were chosen with the training text; errors and criteria take them as given.")
        if self.n > 0 and self.pseudo_count > 0:
            notes.append(
                "Probabilities are posterior means under a symmetric Dirichlet prior (pseudo-count "
                f"{self.pseudo_count:g}), not maximum likelihood: dof counts the parameters of the unsmoothed model, "
                "and likelihood-ratio tests do not apply."
            )
        elif self.n > 0:
            zeros = self.table.ncontexts * self.ntypes - self.table.ncells
            if zeros:
                notes.append(
                    f"{zeros:,} of {self.table.ncontexts * self.ntypes:,} cells never occurred; they are held at "
                    "probability 0, on the boundary, where no standard error exists."
                )
        if self.nunseen:
            notes.append(
                f"{self.nunseen:,} of {self.corpus.nobs:,} observations have a context that training never saw; there the "
                "distribution is uniform."
            )
        return notes

    def _find(self, columns: list[Array], n: int) -> Array:
        """(n,) row of each context, -1 where training never saw it."""
        if self.tree is not None:
            columns = self.tree.shorten(columns, self.corpus.vocabulary.pad)
        return self.table.find_contexts(columns, n)

    def _cells_of(self, rows: Array) -> tuple[Array, Array]:
        """For table rows: (position in `rows`, cell) of each of their cells."""
        starts, stops = self.table.starts[rows], self.table.starts[rows + 1]
        return np.repeat(np.arange(len(rows)), stops - starts), concatenate_ranges(starts, stops)

    @cached_property
    def _place(self) -> tuple[Array, Array]:
        """(nobs,) context row and cell of each observation, -1 where training never saw it."""
        rows = self._find(self.corpus.context_columns(self.memory), self.corpus.nobs)
        cells = self.table.find_cells(rows, self.corpus.targets.astype(np.int64))
        # Kept with the model for as long as it lives, so in half the memory: a table has fewer than 2^31 cells.
        return rows.astype(np.int32), cells.astype(np.int32)

    @cached_property
    def _counted(self) -> tuple[Array, float]:
        """(K,) observations of the corpus in each cell, and the log-likelihood of the others, whose probabilities are fixed."""
        cells = self._place[1]
        other = cells < 0
        counts = np.bincount(cells[~other], minlength=self.table.ncells)
        return counts, float(self.loglike_obs()[other].sum()) if other.any() else 0.0

    @cached_property
    def _reference(self) -> Array:
        """(C,) most frequent cell of each context, whose probability is 1 minus the others."""
        if self.table.ncontexts == 0:
            return np.zeros(0, np.int64)
        order = np.lexsort((np.arange(self.table.ncells), -self.table.counts, self.table.row_of_cell))
        return order[self.table.starts[:-1]]

    @cached_property
    def _free(self) -> Array:
        """(p,) the other cells, which are the parameters."""
        free = np.ones(self.table.ncells, bool)
        free[self._reference] = False
        return np.flatnonzero(free)

    @cached_property
    def _cell_scores(self) -> sparse.csr_array:
        """(K + 1, p) derivative of each cell's log-probability; the last row, for cells held fixed, is zero."""
        table, free, reference = self.table, self._free, self._reference
        p = np.exp(self.cells)
        row = table.row_of_cell[free]
        here = np.arange(len(free))
        values = np.concatenate([1.0 / p[free], -1.0 / p[reference[row]]])
        where = (np.concatenate([free, reference[row]]), np.concatenate([here, here]))
        return sparse.csr_array((values, where), shape=(table.ncells + 1, len(free)))
