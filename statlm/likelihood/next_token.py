"""The distribution of the next token at every observation of a corpus, a bounded piece at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from statlm.likelihood.protocols import Predictive
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for, unique_rows

HELD = 2_000_000  # doubles of log-probabilities at a time: 16 MB
LONG = 16  # contexts of more tokens than this hardly ever repeat


class NextTokens(NamedTuple):
    """Distributions after some contexts, and the observations that have them.

    Attributes
    ----------
    logprobs : (m, V) array
        ``log p(. | context)``, nats, a row a context.
    row : (q,) integer array
        Which of the rows each observation has.
    where : (q,) integer array
        Which observations of the corpus they are.
    """

    logprobs: Array
    row: Array
    where: Array


def next_tokens(model: Predictive) -> Iterator[NextTokens]:
    """Distributions of the next token over a model's corpus, each distinct context of a short memory once.

    Every observation comes exactly once; their order is that of the corpus only where the memory is long.

    Parameters
    ----------
    model : Predictive

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))
    >>> sum(len(part.where) for part in next_tokens(fit)), [part.logprobs.shape for part in next_tokens(fit)]
    (11, [(6, 5)])
    """
    memory = model.memory
    return _by_context(model, memory) if memory is not None and memory <= LONG else _by_observation(model, memory)


def _by_context(model: Predictive, memory: int) -> Iterator[NextTokens]:
    corpus = model.corpus
    if memory == 0:
        contexts, index = np.zeros((1, 0), np.int64), np.zeros(corpus.nobs, np.int64)
    else:
        found = unique_rows(corpus.context_columns(memory), bits_for(corpus.vocabulary.nids), index=True)
        assert found.index is not None
        contexts, index = np.stack(found.columns[::-1], axis=1), found.index
    order = np.argsort(index, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=len(contexts)))])
    step = max(HELD // corpus.vocabulary.size, 1)
    for first in range(0, len(contexts), step):
        last = min(first + step, len(contexts))
        here = order[bounds[first] : bounds[last]]
        yield NextTokens(model.logprobs(contexts[first:last]), index[here] - first, here)


def _by_observation(model: Predictive, memory: int | None) -> Iterator[NextTokens]:
    corpus = model.corpus
    vocabulary, tokens = corpus.vocabulary, corpus.tokens.astype(np.int64)
    positions = corpus.positions
    places = corpus.offsets[:-1][corpus.document_index] + positions
    step = max(HELD // vocabulary.size, 1)
    first = 0
    while first < corpus.nobs:
        size = step
        while True:  # fewer observations where their contexts are long
            longest = int(positions[first : first + size].max()) + 1  # <bos> is part of a context
            width = longest if memory is None else min(longest, memory)
            if size * width <= HELD or size == 1:
                break
            size = max(size // 2, 1)
        here = np.arange(first, min(first + size, corpus.nobs))
        lags = np.arange(width, 0, -1)
        reach = positions[here, None] + 1 - lags  # 0 where the lag falls on <bos>, less before it
        before = tokens[np.maximum(places[here, None] - lags, 0)]  # (m, width)
        contexts = np.where(reach > 0, before, np.where(reach == 0, vocabulary.bos, vocabulary.pad))
        yield NextTokens(model.logprobs(contexts), np.arange(len(here)), here)
        first += size
