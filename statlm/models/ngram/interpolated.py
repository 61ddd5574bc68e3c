"""An n-gram model with smoothed probabilities: a distribution over the next token, whatever the smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import DamagedFile
from statlm.models.ngram.stream import stream_of
from statlm.numerics.backoff_table import BackoffTable
from statlm.numerics.ngram_index import Level, NGramIndex
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for
from statlm.text.corpus import Corpus
from statlm.text.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class InterpolatedNGram:
    """Smoothed n-gram probabilities on a corpus; what `NGram` with a `smoothing` fits.

    It is a `Predictive` and no `Likelihood`: discounts are functions of counts of counts, or chosen so, and not the maximum
    of a likelihood of the observations, so there is no score whose variance would be their standard error. Held-out
    measures and comparisons have errors as for every model.

    Parameters
    ----------
    corpus : Corpus
    table : BackoffTable
    records : tuple of dict
        How the discounts or weights of each length were found.
    remarks : tuple of str
        What a reader of the summary must know.

    Examples
    --------
    >>> import statlm as slm
    >>> train = slm.Corpus.from_texts(["abracadabra", "barbara"])
    >>> model = slm.NGram(n=3, smoothing="witten-bell").fit(train).likelihood
    >>> model.ngrams
    (6, 13, 14)
    """

    corpus: Corpus
    table: BackoffTable
    records: tuple[dict[str, Any], ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Length of the longest n-grams."""
        return self.table.n

    @property
    def memory(self) -> int:
        """How many tokens back the model looks."""
        return self.table.n - 1

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        stream, observations = stream_of(self.corpus)
        with np.errstate(divide="ignore"):
            result: Array = np.log(self.table.score(stream)[observations])
        return result

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token after contexts of token ids, nats."""
        with np.errstate(divide="ignore"):
            result: Array = np.log(self.table.distributions(np.atleast_2d(np.asarray(contexts, np.int64))))
        return result

    def on(self, corpus: Corpus) -> InterpolatedNGram:
        """The same probabilities on another corpus of the same vocabulary."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return replace(self, corpus=corpus)

    @property
    def ngrams(self) -> tuple[int, ...]:
        """Number of m-grams that are listed, for m = 1, ..., n: types that may follow, and the n-grams seen."""
        return (self.table.size, *(len(level) for level in self.table.index.levels))

    @property
    def discounts(self) -> pd.DataFrame:
        """How each length was smoothed: a row a length, with counts of counts, discounts or weights, and their source."""
        return pd.DataFrame(list(self.records))

    def notes(self) -> list[str]:
        """What a reader of the summary must know: where a formula failed, and what had to be held fixed."""
        failed = [str(record["n"]) for record in self.records if record.get("source") == "fallback"]
        notes = list(self.remarks)
        if failed:
            notes.append(
                f"Counts of counts give no discounts at n = {', '.join(failed)}; fixed ones were used there (see "
                "`discounts`)."
            )
        return notes

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `restore` makes it again."""
        table = self.table
        arrays = {f"probability{m}": p for m, p in enumerate(table.probability, start=1)}
        arrays |= {f"backoff{m}": b for m, b in enumerate(table.backoff, start=1)}
        arrays |= index_arrays(table.index)
        return arrays, {"records": list(self.records), "remarks": list(self.remarks)}

    @classmethod
    def restore(cls, n: int, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]) -> InterpolatedNGram:
        """The inverse of `state`, on a corpus.

        Raises
        ------
        DamagedFile
            If arrays are missing or do not fit together.
        """
        index = restore_index(n, corpus.vocabulary, arrays)
        try:
            probability = tuple(arrays[f"probability{m}"] for m in range(1, n + 1))
            backoff = tuple(arrays[f"backoff{m}"] for m in range(1, n))
            records, remarks = tuple(settings["records"]), tuple(settings["remarks"])
        except KeyError as error:
            raise DamagedFile(f"The saved n-gram lacks {error}. Save the fit again.") from error
        check_lengths(index, probability, backoff)
        return cls(corpus, BackoffTable(index, probability, backoff, corpus.vocabulary.size), records, remarks)


def index_arrays(index: NGramIndex) -> dict[str, Array]:
    """The arrays of an index, by name."""
    arrays: dict[str, Array] = {}
    for m, level in enumerate(index.levels, start=2):
        arrays |= {f"suffix{m}": level.suffix, f"oldest{m}": level.oldest, f"context{m}": level.context}
    return arrays


def restore_index(n: int, vocabulary: Vocabulary, arrays: dict[str, Array]) -> NGramIndex:
    """The index that `index_arrays` wrote down.

    Raises
    ------
    DamagedFile
        If arrays are missing or do not fit together.
    """
    bits = bits_for(vocabulary.nids)
    levels = []
    below = vocabulary.nids
    try:
        for m in range(2, n + 1):
            level = Level(arrays[f"suffix{m}"], arrays[f"oldest{m}"], arrays[f"context{m}"], bits)
            for rows, size in ((level.suffix, below), (level.oldest, vocabulary.nids), (level.context, below)):
                if len(rows) != len(level) or (len(rows) and (rows.min() < 0 or rows.max() >= size)):
                    raise DamagedFile(f"The saved table of {m}-grams does not fit together. Save the fit again.")
            below = len(level)
            levels.append(level)
    except KeyError as error:
        raise DamagedFile(f"The saved n-gram lacks {error}. Save the fit again.") from error
    return NGramIndex(n, vocabulary.nids, vocabulary.bos, vocabulary.pad, tuple(levels))


def check_lengths(index: NGramIndex, *families: Sequence[Array]) -> None:
    """Raise DamagedFile unless each array has an entry for each m-gram of its length."""
    for family in families:
        for m, values in enumerate(family, start=1):
            if len(values) != index.size(m):
                raise DamagedFile(f"The saved table of {m}-grams does not fit together. Save the fit again.")
