"""A corpus as the numerics of n-grams read it: documents end to end, each with its start mark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from statlm.numerics.document_stream import document_stream
from statlm.numerics.ngram_counts import NGramCounts, count_ngrams
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


def stream_of(corpus: Corpus) -> tuple[Array, Array]:
    """The tokens with ``<bos>`` before each document (int32), and the (nobs,) places of the observations among them."""
    return document_stream(corpus.tokens, corpus.offsets, corpus.given, corpus.vocabulary.bos)


def count_corpus(corpus: Corpus, n: int) -> NGramCounts:
    """Counts of the n-grams of a corpus.

    Given tokens and, where ``<unk>`` is not in the support, unknown ones are conditioned on and not counted themselves.
    """
    vocabulary = corpus.vocabulary
    stream, observations = stream_of(corpus)
    unknown = not vocabulary.with_unk and bool((corpus.tokens == vocabulary.unk).any())
    observed = None
    if corpus.given.any() or unknown:
        observed = np.zeros(len(stream), bool)
        observed[observations] = True
        observed &= stream < vocabulary.size
    counts = count_ngrams(stream, observed, n, vocabulary.bos, vocabulary.pad, vocabulary.nids)
    arrival = counts.arrival.copy()
    arrival[[vocabulary.unk, vocabulary.bos, vocabulary.eos]] = -3, -2, -1  # they are numbered before all that occur
    return replace(counts, arrival=arrival)
