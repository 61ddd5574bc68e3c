"""The design of a softmax regression: intercept, one-hot lags and covariates in reference coding, and their interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sparse

from statlm.models.softmax.covariates import Covariate, Values
from statlm.models.softmax.formula import Terms, Variable
from statlm.numerics.repeated_rows import indicator
from statlm.numerics.types import Array
from statlm.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Block:
    """The columns of one term.

    Parameters
    ----------
    factors : tuple of int
        Its variables with levels: lags by number from 0, then covariates.
    full : tuple of bool
        For each whether its reference level has columns too. It has where the model lacks the term without it, as in R, so
        that the columns of a term and of the smaller ones always span all of its combinations.
    numbers : tuple of int
        Its covariates that are numbers, which multiply the columns.
    """

    factors: tuple[int, ...]
    full: tuple[bool, ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class LagDesign:
    """Columns made of the tokens before an observation, and of its covariates.

    Parameters
    ----------
    lags : int
        Number of tokens looked back at.
    covariates : tuple of Covariate
    blocks : tuple of Block
    levels : tuple of (L_j,) integer arrays
        Token ids that training saw at each lag, the reference level first.
    cells : tuple of (M_s, k_s) integer arrays
        For each block the combinations of levels, as positions in `levels`, that have a column: those that training saw.
    """

    lags: int
    covariates: tuple[Covariate, ...]
    blocks: tuple[Block, ...]
    levels: tuple[Array, ...]
    cells: tuple[Array, ...]

    @classmethod
    def of(cls, contexts: Array, totals: Array, degree: int) -> LagDesign:
        """The design of the distinct contexts of a corpus with interactions of up to `degree` lags.

        Parameters
        ----------
        contexts : (C, lags) integer array
            Most recent token in column 0.
        totals : (C,) array
            Observations of each. The most frequent level of each lag is its reference.
        degree : int
        """
        return cls.of_terms(contexts, totals, Terms.up_to(contexts.shape[1], degree))

    @classmethod
    def of_terms(
        cls,
        contexts: Array,
        totals: Array,
        terms: Terms,
        covariates: tuple[Covariate, ...] = (),
        values: Values | None = None,
        seen: Array | None = None,
    ) -> LagDesign:
        """The design of the distinct contexts of a corpus with these terms.

        The reference level of a lag is the one that the most classes follow, where it is known which do, and of several the most
        frequent: a class that never follows the reference level has an intercept of minus infinity, and all its other
        coefficients would be relative to that.

        Parameters
        ----------
        contexts : (C, lags) integer array
        totals : (C,) array
        terms : Terms
        covariates : tuple of Covariate
            Those of the terms.
        values : Values, optional
            Theirs in each of the contexts.
        seen : (C, J) array, optional
            Counts of the classes.
        """
        lags = contexts.shape[1]
        levels = []
        for j in range(lags):
            found, place = np.unique(contexts[:, j], return_inverse=True)
            weight = np.bincount(place, weights=totals)
            reference = int(weight.argmax())
            if seen is not None:
                follows = indicator(place, len(found)) @ seen > 0  # (levels, J)
                reference = int(np.lexsort([-np.arange(len(found)), weight, follows.sum(axis=1)])[-1])
            levels.append(np.concatenate([found[[reference]], np.delete(found, reference)]))
        blocks = _blocks(terms, lags, covariates)
        position = cls(lags, covariates, (), tuple(levels), ())._positions(contexts, values)
        cells = []
        for block in blocks:
            rows = position[:, list(block.factors)]
            coded = (rows > 0) | np.array(block.full, bool)
            cells.append(np.unique(rows[coded.all(axis=1)], axis=0) if block.factors else np.zeros((1, 0), np.int64))
        return cls(lags, covariates, blocks, tuple(levels), tuple(cells))

    @cached_property
    def offsets(self) -> Array:
        """Where the columns of each block start; the intercept is column 0."""
        return np.concatenate([[1], 1 + np.cumsum([len(cell) for cell in self.cells])]).astype(np.int64)

    @property
    def ncolumns(self) -> int:
        """Number P of columns."""
        return int(self.offsets[-1])

    def matrix(self, contexts: Array, values: Values | None = None) -> sparse.csr_array:
        """(m, P) design rows of contexts, (m, lags) ids with the most recent token in column 0, and their covariates.

        A level, or a combination of levels, that training never saw has no column: it is read as the reference.
        """
        position = self._positions(contexts, values)
        m = len(contexts)
        rows, columns, entries = [np.arange(m)], [np.zeros(m, np.int64)], [np.ones(m)]
        for block, cell, offset in zip(self.blocks, self.cells, self.offsets, strict=False):
            found = self._find(block, cell, position[:, list(block.factors)])
            here = np.flatnonzero(found >= 0)
            rows.append(here)
            columns.append(offset + found[here])
            product = np.ones(len(here))
            for number in block.numbers:
                assert values is not None
                product = product * values.numbers[here, number]
            entries.append(product)
        design = sparse.csr_array(
            (np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=(m, self.ncolumns)
        )
        design.eliminate_zeros()
        design.sort_indices()
        return design

    def codes_as(self, other: LagDesign) -> bool:
        """Whether each column means the same in another design of the same terms."""
        mine, theirs = (*self.levels, *self.cells), (*other.levels, *other.cells)
        same = self.blocks == other.blocks and self.covariates == other.covariates
        return same and all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))

    def unseen(self, contexts: Array) -> Array:
        """(m,) whether a context holds a token that training never saw at its lag."""
        return np.asarray((self._lag_positions(contexts) < 0).any(axis=1))

    @cached_property
    def indicators(self) -> sparse.csc_array:
        """(P, I) combinations of columns that are 1 where a level, or a combination of levels, stands and 0 elsewhere.

        Reference levels are among them: 1 minus the columns of the others. For interactions the indicator of a cell with some
        variable at its reference is its lower-order column minus the columns of the larger cells. Columns that are multiplied
        by numbers are no indicators.
        """
        rows: list[Array] = [np.array([0])]
        values: list[Array] = [np.array([1.0])]
        names = [frozenset(block.factors) if not block.numbers else None for block in self.blocks]
        for block, start, stop in zip(self.blocks, self.offsets, self.offsets[1:], strict=False):
            if block.numbers:
                continue
            if len(block.factors) == 1 and not block.full[0]:
                # The reference level: the intercept minus the other levels' main effects.
                rows.append(np.concatenate([[0], np.arange(start, stop)]))
                values.append(np.concatenate([[1.0], -np.ones(stop - start)]))
            for column in range(start, stop):
                rows.append(np.array([column]))
                values.append(np.array([1.0]))
        for block, cell, offset in zip(self.blocks, self.cells, self.offsets, strict=False):
            if len(block.factors) < 2 or block.numbers:
                continue
            # A cell with one of its variables at the reference: the column of the others minus those that add a level.
            for left_out in np.flatnonzero(~np.array(block.full)):
                base = names.index(frozenset(np.delete(block.factors, left_out).tolist()))
                at = self._find(self.blocks[base], self.cells[base], np.delete(cell, left_out, axis=1))
                order = np.argsort(at, kind="stable")
                for group in np.split(order, np.flatnonzero(np.diff(at[order])) + 1):
                    if len(group) and at[group[0]] >= 0:
                        rows.append(np.concatenate([[self.offsets[base] + at[group[0]]], offset + group]))
                        values.append(np.concatenate([[1.0], -np.ones(len(group))]))
        lengths = [len(r) for r in rows]
        column_of = np.repeat(np.arange(len(rows)), lengths)
        return sparse.csc_array(
            (np.concatenate(values), (np.concatenate(rows).astype(np.int64), column_of)), shape=(self.ncolumns, len(rows))
        )

    def names(self, vocabulary: Vocabulary) -> list[str]:
        """Names of the columns: ``(Intercept)``, ``lag1[e]``, ``lag1[e]:lag2[h]``, ``C(year)[1990]``, ``lag1[e]:age``."""
        tokens = vocabulary.tokens
        levelled, numbers = self._kinds
        result = ["(Intercept)"]
        for block, cell in zip(self.blocks, self.cells, strict=True):
            multiplied = [str(numbers[i].variable) for i in block.numbers]
            for row in cell:
                parts = []
                for factor, level in zip(block.factors, row, strict=True):
                    if factor < self.lags:
                        parts.append(f"lag{factor + 1}[{tokens[self.levels[factor][level]]}]")
                    else:
                        covariate = levelled[factor - self.lags]
                        assert covariate.levels is not None
                        parts.append(f"{covariate.variable}[{covariate.levels[level]}]")
                result.append(":".join([*parts, *multiplied]))
        return result

    def references(self, vocabulary: Vocabulary) -> list[str]:
        """The reference levels in words."""
        lags = [f"{vocabulary.tokens[level[0]]!r} at lag {j + 1}" for j, level in enumerate(self.levels)]
        others = [f"{c.levels[0]!r} of {c.name}" for c in self.covariates if c.levels is not None]
        return [*lags, *others]

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `from_state` makes it again."""
        arrays = {f"levels{j}": level for j, level in enumerate(self.levels)}
        arrays |= {f"cells{i}": cell for i, cell in enumerate(self.cells)}
        covariates = [[c.variable.name, c.variable.indicated, c.levels] for c in self.covariates]
        return arrays, {
            "lags": self.lags,
            "covariates": covariates,
            "blocks": [[block.factors, block.full, block.numbers] for block in self.blocks],
        }

    @classmethod
    def from_state(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> LagDesign:
        """Make a design again from its `state`."""
        lags = int(settings["lags"])
        covariates = tuple(
            Covariate(Variable(name, indicated), None if levels is None else tuple(levels))
            for name, indicated, levels in settings["covariates"]
        )
        blocks = tuple(Block(*(tuple(part) for part in block)) for block in settings["blocks"])
        levels = tuple(arrays[f"levels{j}"] for j in range(lags))
        return cls(lags, covariates, blocks, levels, tuple(arrays[f"cells{i}"] for i in range(len(blocks))))

    @cached_property
    def _kinds(self) -> tuple[list[Covariate], list[Covariate]]:
        """The covariates with levels, and those that are numbers."""
        return [c for c in self.covariates if c.levels is not None], [c for c in self.covariates if c.levels is None]

    def _positions(self, contexts: Array, values: Values | None) -> Array:
        """(m, lags + covariates with levels) position of each among the levels, -1 for a token never seen at its lag."""
        lags = self._lag_positions(contexts)
        return lags if values is None else np.concatenate([lags, values.levels], axis=1)

    def _lag_positions(self, contexts: Array) -> Array:
        contexts = np.asarray(contexts, np.int64)
        result = np.empty((len(contexts), self.lags), np.int64)
        for j, level in enumerate(self.levels):
            order = np.argsort(level)
            at = np.minimum(np.searchsorted(level, contexts[:, j], sorter=order), len(level) - 1)
            found = order[at]
            result[:, j] = np.where(level[found] == contexts[:, j], found, -1)
        return result

    def _find(self, block: Block, cell: Array, rows: Array) -> Array:
        """Column, within its block, of each combination of levels; -1 where it has none."""
        if len(cell) == 0:
            return np.full(len(rows), -1, np.int64)
        levelled, _ = self._kinds
        widths = [len(self.levels[f]) if f < self.lags else len(levelled[f - self.lags].levels or ()) for f in block.factors]

        def key(values: Array) -> Array:
            code = np.zeros(len(values), np.int64)
            for j, width in enumerate(widths):
                code = code * width + values[:, j]
            return code

        valid = ((rows > 0) | ((rows == 0) & np.array(block.full, bool))).all(axis=1)
        keys, query = key(cell), key(np.maximum(rows, 0))
        at = np.minimum(np.searchsorted(keys, query), len(keys) - 1)
        return np.where(valid & (keys[at] == query), at, -1)


def _blocks(terms: Terms, lags: int, covariates: Sequence[Covariate]) -> tuple[Block, ...]:
    """How each term is coded."""
    levelled = [c.variable for c in covariates if c.levels is not None]
    numbers = [c.variable for c in covariates if c.levels is None]
    place = {Variable(f"lag{j + 1}"): j for j in range(lags)} | {v: lags + i for i, v in enumerate(levelled)}
    known = {frozenset(), *terms.terms}
    blocks = []
    for term in terms.terms:
        factors = sorted((v for v in term if v in place), key=place.__getitem__)
        blocks.append(
            Block(
                tuple(place[v] for v in factors),
                tuple(term - {v} not in known for v in factors),
                tuple(i for i, v in enumerate(numbers) if v in term),
            )
        )
    return tuple(blocks)
