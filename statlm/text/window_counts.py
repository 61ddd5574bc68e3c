"""What was counted of a text: its distinct windows, without the text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.numerics.context_table import ContextTable
from statlm.numerics.ngram_counts import NGramCounts
from statlm.numerics.types import Array
from statlm.numerics.window_counts import context_table, ngram_counts, shorter_windows
from statlm.text.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class WindowCounts:
    """How often each token occurred with the n - 1 before it; sufficient for n-grams of every length up to n.

    Parameters
    ----------
    vocabulary : Vocabulary
    columns : tuple of n (U,) int32 arrays
        Distinct windows in lexicographic order, the most recent token in the first column; ``<bos>`` where the document
        starts and ``<pad>`` before it.
    counts : (U,) int64 array
    arrival : (nids,) int64 array
        The place of each type in the order of first occurrence.
    """

    vocabulary: Vocabulary
    columns: tuple[Array, ...]
    counts: Array
    arrival: Array

    @property
    def n(self) -> int:
        """Length of the windows."""
        return len(self.columns)

    @property
    def nobs(self) -> int:
        """Number of observations."""
        return int(self.counts.sum())

    def ngram_counts(self, n: int) -> NGramCounts:
        """Counts of the n-grams of every length up to n; unknown tokens outside of the support are not counted."""
        vocabulary = self.vocabulary
        columns, counts = shorter_windows(self.columns, self.counts, n)
        counts = np.where(columns[0] < vocabulary.size, counts, 0)
        arrival = self.arrival.copy()
        arrival[[vocabulary.unk, vocabulary.bos, vocabulary.eos]] = -3, -2, -1  # as in a text that is counted in memory
        return ngram_counts(columns, counts, arrival, vocabulary.bos, vocabulary.pad, vocabulary.nids)

    def context_table(self, n: int) -> ContextTable:
        """What followed each context of n - 1 tokens."""
        columns, counts = shorter_windows(self.columns, self.counts, max(n, 1))
        inside = columns[0] < self.vocabulary.size
        return context_table([column[inside] for column in columns], counts[inside], self.vocabulary.nids)
