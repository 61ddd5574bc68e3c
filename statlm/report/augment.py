"""A row a token: what the model made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from statlm.likelihood import Predictive, underlying
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for, dense_rank, unique_rows
from statlm.text.corpus import Corpus

CHUNK = 2_000_000  # doubles of log-probabilities at a time: 16 MB, and a few of its size on the way
BLOCK = 1 << 18  # doubles compared at a time, which stay in the cache
LONG = 16  # contexts of more tokens than this hardly ever repeat


@runtime_checkable
class OfObservations(Protocol):
    """A model whose probabilities may depend on more than the context: on covariates of the observations."""

    @property
    def covariates(self) -> tuple[str, ...]:
        """Their names; empty where there are none."""
        ...

    def logprobs_obs(self, observations: Array) -> Array:
        """(m, V) log-probabilities of what could stand at these observations."""
        ...


def augment(model: Predictive) -> pd.DataFrame:
    r"""A row an observation: where it stands, how surprising it was, how uncertain the model was before it.

    Parameters
    ----------
    model : Predictive
        A fit, an evaluation or a likelihood, on its corpus.

    Returns
    -------
    DataFrame
        ``document`` (name), ``position`` (in the document, from 0), ``start`` and ``stop`` (characters of the document's NFC
        text that the token stands for, which tile it; absent where the data are not text), ``token``, ``loglike`` (nats),
        ``surprisal`` (bits, :math:`-\log_2 p(y_i \mid x_i)`), ``entropy`` (bits,
        :math:`-\sum_w p(w \mid x_i) \log_2 p(w \mid x_i)`: the mean of the surprisal if the model is right), ``rank`` (1
        plus the number of types that are strictly more probable) and ``correct`` (rank 1). Where several types share the
        first place each of them has rank 1, so that under a uniform distribution everything is "correct".

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("aab"))
    >>> augment(fit)[["token", "start", "stop", "surprisal", "entropy", "rank"]].round(3).iloc[2].to_dict()
    {'token': 'b', 'start': 2, 'stop': 3, 'surprisal': 1.585, 'entropy': 0.918, 'rank': 2}
    """
    corpus = model.corpus
    loglike = np.asarray(model.loglike_obs(), float)
    names = corpus.documents["name"].to_numpy(dtype=object)
    columns = {"document": names[corpus.document_index], "position": corpus.positions}
    spans = _spans(corpus)
    if spans is not None:
        columns["start"], columns["stop"] = spans
    entropy, rank = _entropy_and_rank(model, loglike)
    columns["token"] = np.array(corpus.vocabulary.tokens, dtype=object)[corpus.targets]
    columns["loglike"] = loglike
    columns["surprisal"] = 0.0 - loglike / np.log(2.0)
    columns["entropy"] = entropy
    columns["rank"] = rank
    columns["correct"] = rank == 1
    return pd.DataFrame(columns, copy=False)


def _places(corpus: Corpus) -> Array:
    """(nobs,) place of each observation among all tokens."""
    places: Array = corpus.offsets[:-1][corpus.document_index] + corpus.positions
    return places


def _spans(corpus: Corpus) -> tuple[Array, Array] | None:
    sizes = corpus.token_sizes
    if sizes is None:
        return None
    ends = np.concatenate([[0], np.cumsum(sizes[1], dtype=np.int64)])
    places = _places(corpus)
    before = ends[corpus.offsets[:-1]][corpus.document_index]
    return ends[places] - before, ends[places + 1] - before


class _Cells(NamedTuple):
    """A chunk of contexts, and the (context, token) pairs to look up in them."""

    contexts: Array  # (m, k) ids, oldest first
    row: Array  # (q,) context of each pair
    token: Array  # (q,)
    observations: Array  # context of each pair's observations, numbered within the chunk: (nobs of the chunk,)
    pair: Array  # pair of each of these observations
    where: Array | slice  # which observations of the corpus they are


def _entropy_and_rank(model: Predictive, loglike: Array) -> tuple[Array, Array]:
    """(nobs,) entropy in bits, and rank."""
    corpus = model.corpus
    entropy, rank = np.empty(corpus.nobs), np.empty(corpus.nobs, np.int64)
    memory = model.memory
    held = underlying(model)
    if isinstance(held, OfObservations) and held.covariates:
        for start in range(0, corpus.nobs, max(CHUNK // corpus.vocabulary.size, 1)):
            here = np.arange(start, min(start + max(CHUNK // corpus.vocabulary.size, 1), corpus.nobs))
            logprobs = held.logprobs_obs(here)
            entropy[here] = _entropies(logprobs)
            rank[here] = _ranks(logprobs, np.arange(len(here)), corpus.targets[here].astype(np.int64), loglike[here])
        return entropy, rank
    for cells in _by_context(corpus, memory) if memory is not None and memory <= LONG else _by_observation(corpus, memory):
        logprobs = model.logprobs(cells.contexts)
        entropy[cells.where] = _entropies(logprobs)[cells.observations]
        own = np.empty(len(cells.row))
        own[cells.pair] = loglike[cells.where]
        rank[cells.where] = _ranks(logprobs, cells.row, cells.token, own)[cells.pair]
    return entropy, rank


def _by_context(corpus: Corpus, memory: int) -> Iterator[_Cells]:
    """Distinct contexts in chunks: a model with a short memory sees the same ones again and again."""
    vocabulary, n = corpus.vocabulary, corpus.nobs
    if memory == 0:
        contexts, index = np.zeros((1, 0), np.int64), np.zeros(n, np.int64)
    else:
        found = unique_rows(corpus.context_columns(memory), bits_for(vocabulary.nids), index=True)
        assert found.index is not None
        contexts, index = np.stack(found.columns[::-1], axis=1), found.index
    pair, distinct = dense_rank(index * vocabulary.nids + corpus.targets, bits_for(len(contexts) * vocabulary.nids))
    row, token = np.divmod(distinct, vocabulary.nids)
    order = np.argsort(index, kind="stable") if len(contexts) > 1 else np.arange(n)
    step = max(CHUNK // vocabulary.size, 1)
    cuts = np.append(np.arange(0, len(contexts), step), len(contexts))
    pairs = np.searchsorted(row, cuts)
    observed = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=len(contexts)))])[cuts]
    for i, first in enumerate(cuts[:-1]):
        here = order[observed[i] : observed[i + 1]]
        some = slice(pairs[i], pairs[i + 1])
        yield _Cells(
            contexts[first : cuts[i + 1]], row[some] - first, token[some], index[here] - first, pair[here] - pairs[i], here
        )


def _by_observation(corpus: Corpus, memory: int | None) -> Iterator[_Cells]:
    """Batches of observations, each with all the tokens before it that the model may look at."""
    vocabulary = corpus.vocabulary
    places, positions, targets = _places(corpus), corpus.positions, corpus.targets
    tokens = corpus.tokens.astype(np.int64)
    first = 0
    while first < corpus.nobs:
        size = max(CHUNK // vocabulary.size, 1)
        width = _width(positions[first : first + size], memory)
        if size * width > CHUNK:
            size = max(CHUNK // width, 1)
            width = _width(positions[first : first + size], memory)
        here = slice(first, min(first + size, corpus.nobs))
        lags = np.arange(width, 0, -1)
        reach = positions[here, None] + 1 - lags  # 0 where the lag falls on <bos>
        before = tokens[np.maximum(places[here, None] - lags, 0)]  # (m, width)
        contexts = np.where(reach > 0, before, np.where(reach == 0, vocabulary.bos, vocabulary.pad))
        each = np.arange(len(contexts))
        yield _Cells(contexts, each, targets[here].astype(np.int64), each, each, here)
        first = here.stop


def _width(positions: Array, memory: int | None) -> int:
    longest = int(positions.max()) + 1  # <bos> is part of a context
    return longest if memory is None else min(longest, memory)


def _entropies(logprobs: Array) -> Array:
    """(m,) bits."""
    finite = np.maximum(logprobs, -1e300)  # p log p is 0 at p = 0, not nan
    entropies: Array = 0.0 - np.einsum("mv,mv->m", np.exp(logprobs), finite) / np.log(2.0)
    return entropies


def _ranks(logprobs: Array, row: Array, token: Array, own: Array) -> Array:
    """(q,) one plus the number of types more probable; `own` is the log-probability of a token outside the support."""
    size = logprobs.shape[1]
    inside = token < size
    value = np.where(inside, logprobs[row, np.where(inside, token, 0)], own)
    ranks = np.empty(len(row), np.int64)
    step = max(BLOCK // size, 1)
    for i in range(0, len(row), step):
        some = slice(i, i + step)
        ranks[some] = np.count_nonzero(logprobs[row[some]] > value[some, None], axis=1) + 1
    return ranks
