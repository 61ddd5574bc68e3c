"""A corpus as a sequence, and its rearrangements that a model of transitions cannot tell from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from statlm.errors import SpecificationError
from statlm.inference.homogeneity import joined_columns
from statlm.inference.markov_order import conditioned, trails_keeping_counts
from statlm.numerics.context_table import ContextTable
from statlm.numerics.markov_chain import OrderRatio, Trails
from statlm.numerics.segment_ratio import UnitCounts, group_ratio
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

METHODS = ("permutation", "bootstrap")


@dataclass(frozen=True, eq=False)
class TextOrder:
    """The units of a corpus in order: its documents, or the observations of its one document.

    The first tokens of a single document, as many as there are lags, are conditioned on.
    """

    corpus: Corpus
    lags: int

    @classmethod
    def of(cls, corpus: Corpus, lags: int) -> TextOrder:
        """The order of a corpus as it stands."""
        return cls(conditioned(corpus, lags) if corpus.ndocuments == 1 else corpus, lags)

    @property
    def in_documents(self) -> bool:
        """Whether the units are documents."""
        return self.corpus.ndocuments > 1

    @property
    def nunits(self) -> int:
        """Number of units."""
        return self.corpus.ndocuments if self.in_documents else self.corpus.nobs

    @cached_property
    def columns(self) -> list[Array]:
        """The tokens before each observation, most recent first."""
        return joined_columns([self.corpus], self.lags)

    @cached_property
    def targets(self) -> Array:
        """(N,) tokens observed."""
        return self.corpus.targets.astype(np.int64)

    @cached_property
    def unit(self) -> Array:
        """(N,) unit of each observation."""
        return self.corpus.document_index if self.in_documents else np.arange(self.corpus.nobs)

    @cached_property
    def sizes(self) -> Array:
        """(units,) observations of each."""
        return np.bincount(self.unit, minlength=self.nunits)

    def ratio(self, group: Array) -> OrderRatio:
        """Statistic and degrees of freedom for a grouping of the units, (units,) integers."""
        return group_ratio(self.columns, self.targets, group[self.unit], int(group.max()) + 1, self.corpus.vocabulary.nids)

    @cached_property
    def counts(self) -> UnitCounts:
        """Counts of cells by unit."""
        table = ContextTable.count(self.columns, self.targets, self.corpus.vocabulary.nids)
        return UnitCounts.of(table, self.columns, self.targets, self.unit)

    def check(self, method: str) -> None:
        """Raise SpecificationError where a way of rearranging does not apply."""
        if method == "permutation" and not self.in_documents:
            raise SpecificationError(
                "The corpus is one document, and permutations put documents in another order. Use method='bootstrap', which "
                "rearranges the text with its transitions kept, or cut it: corpus.blocks(length=...), split='paragraph'."
            )
        if method == "bootstrap" and self.in_documents:
            raise SpecificationError(
                f"The corpus has {self.corpus.ndocuments:,} documents, and the bootstrap rearranges one text. Use "
                "method='permutation', which puts the documents in another order."
            )

    def shuffled(self, rng: np.random.Generator) -> Array:
        """(units,) the place of each unit in a rearrangement that is as likely as the text itself under the null hypothesis.

        Documents are put in random order. Of a single document a text is drawn that has the same counts of transitions: all such
        texts are equally likely under a chain with constant transition probabilities (see `markov_order_test`).
        """
        if self.in_documents:
            return rng.permutation(self.nunits)
        path = self._trails.draw(rng)
        place = np.empty(self.nunits, np.int64)
        place[self._observation[path[self._trails.token[path] >= 0]]] = np.arange(self.nunits)
        return place

    @cached_property
    def _trails(self) -> Trails:
        return trails_keeping_counts(self.corpus, self.columns)

    @cached_property
    def _observation(self) -> Array:
        """Observation of each entry of the trails."""
        return np.cumsum(self._trails.token >= 0) - 1
