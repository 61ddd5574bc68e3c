"""What a smoothing finds, and what a smoothing is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from statlm.fit.fit import FitReport
from statlm.likelihood import Predictive
from statlm.models.ngram.interpolated import InterpolatedNGram
from statlm.models.ngram.stream import count_corpus
from statlm.numerics.backoff_table import BackoffTable
from statlm.numerics.ngram_counts import NGramCounts
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.window_counts import WindowCounts


@dataclass(frozen=True, eq=False)
class Estimated:
    """Probabilities, and how they were found.

    Attributes
    ----------
    table : BackoffTable
    records : tuple of dict
        A row a length: ``n``, the counts of counts or sums that were used, what was estimated, and its ``source``.
    method : str
        The smoothing, in words.
    remarks : tuple of str
        What a reader of the summary must know.
    """

    table: BackoffTable
    records: tuple[dict[str, Any], ...]
    method: str
    remarks: tuple[str, ...] = ()


class Smoothing(Protocol):
    """How an n-gram model is estimated: a frozen dataclass of settings.

    One that makes probabilities of counts alone is a `FromCounts` and needs only `estimate`.
    """

    @property
    def name(self) -> str:
        """What `NGram` knows it by."""
        ...

    def fit(self, corpus: Corpus, n: int) -> tuple[Predictive, FitReport]:
        """The model at its estimate, and how it was found."""
        ...

    def restore(self, corpus: Corpus, n: int, arrays: dict[str, Array], settings: dict[str, Any]) -> Predictive:
        """The model that was saved with its `state`, on a corpus."""
        ...


@runtime_checkable
class FitsCounts(Protocol):
    """A smoothing that can be estimated without the text, from what was counted of it."""

    def fit_counts(self, counts: WindowCounts, corpus: Corpus, n: int) -> Predictive:
        """The model at its estimate, standing on a corpus that need not be the one counted."""
        ...


class FromCounts(ABC):
    """A smoothing that needs nothing but counts."""

    name: str

    @abstractmethod
    def estimate(self, counts: NGramCounts, size: int) -> Estimated:
        """Probabilities over `size` types from counts."""

    def fit(self, corpus: Corpus, n: int) -> tuple[Predictive, FitReport]:
        """The model at its estimate, and how it was found."""
        found = self.estimate(count_corpus(corpus, n), corpus.vocabulary.size)
        model = InterpolatedNGram(corpus, found.table, found.records, found.remarks)
        return model, FitReport(f"{found.method}; {sources(found.records)}")

    def fit_counts(self, counts: WindowCounts, corpus: Corpus, n: int) -> Predictive:
        """The model at its estimate, standing on a corpus that need not be the one counted."""
        found = self.estimate(counts.ngram_counts(n), counts.vocabulary.size)
        return InterpolatedNGram(corpus, found.table, found.records, found.remarks)

    def restore(self, corpus: Corpus, n: int, arrays: dict[str, Array], settings: dict[str, Any]) -> Predictive:
        """The model that was saved with its `state`, on a corpus."""
        return InterpolatedNGram.restore(n, corpus, arrays, settings)


def by_length(records: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Records of lengths that were estimated at the same time, in the order of the lengths."""
    return tuple(sorted(records, key=lambda record: int(record["n"])))


def sources(records: tuple[dict[str, Any], ...]) -> str:
    """Where the discounts came from, in words: one source for all lengths, or a list."""
    by_source: dict[str, list[str]] = {}
    for record in records:
        by_source.setdefault(record["source"], []).append(str(record["n"]))
    if len(by_source) == 1:
        return next(iter(by_source))
    return ", ".join(f"{source} at n = {', '.join(lengths)}" for source, lengths in by_source.items())
