"""Corpora drawn from a model: the parametric bootstrap, and data with a known truth."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, count

import numpy as np

from statlm.errors import SpecificationError
from statlm.generation.generate import BLOCK, check_count, extend, generator
from statlm.likelihood import Predictive
from statlm.numerics.sampling import cumulative
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

# Contexts of up to this many tokens recur often enough for their distributions to be kept.
TABLE_MEMORY = 7
# Numbers kept before the table starts anew, about 128 MB.
TABLE_SIZE = 2**23
# Where documents end by themselves, the limit is this many times the longest document of the model's corpus.
LONGER = 10


def simulate(
    model: Predictive,
    *,
    documents: int | None = None,
    length: int | None = None,
    like: Corpus | None = None,
    seed: int = 0,
) -> Corpus:
    """Draw a corpus from a model, by default of the shape of the corpus that the model stands on.

    Every observation is drawn from the model given the tokens before it; the *given* tokens of each document are copied.
    So a replicate is a draw from the model's likelihood, conditional on what the likelihood conditions on: refitting
    replicates is the parametric bootstrap.

    Parameters
    ----------
    model : Predictive
        A fit, or any distribution over the next token.
    documents : int, optional
        Number of documents. By default as many as the corpus of reference has; otherwise its documents are taken in turn,
        from the first on and repeated as needed, with their lengths, given tokens and covariates.
    length : int, optional
        Tokens of each document, given ones and ``<eos>`` included. By default documents get the lengths that they have in
        the corpus of reference.
    like : Corpus, optional
        The corpus of reference; by default the model's own.
    seed : int
        Equal seeds give equal corpora.

    Returns
    -------
    Corpus
        Over the model's vocabulary object.

    Raises
    ------
    CorpusError
        If `like` has another vocabulary than the model.
    SpecificationError
        If `documents` or `length` is not a whole number of 1 or more, `length` leaves nothing to draw in some document, or
        `seed` is not a whole number.

    Notes
    -----
    *Ends.* Where the vocabulary has ``<eos>``, a document ends when it is drawn, so lengths are random, as they are under
    the model. Lengths are then limits: a document that reaches its limit without ``<eos>`` is cut there and has none. The
    limit is `length`; by default, for a document that ends in ``<eos>``, 10 times the longest document of the corpus of
    reference (a guard against models that hardly ever end), and for a document that was cut before its end, as blocks are,
    the place where it was cut.

    *Speed.* Of a model whose memory is short, the distribution after each context is asked for once and kept.

    References
    ----------
    Efron and Tibshirani (1993), An introduction to the bootstrap, section 6.5.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_tokens([["sun", "sun", "rain"], ["rain", "sun"]], eos=False, given=1))
    >>> replicate = simulate(fit, seed=1)
    >>> replicate.offsets.tolist(), replicate.given.tolist()
    ([0, 3, 5], [1, 1])
    >>> simulate(fit, documents=3, length=100).nobs
    297
    """
    vocabulary = model.corpus.vocabulary
    if documents is not None:
        check_count("documents", documents, "draws no corpus")
    if length is not None:
        check_count("length", length, "draws no token")
    if like is None:
        like = model.corpus
    else:
        vocabulary.check_same(like.vocabulary)
    index = np.arange(like.ndocuments if documents is None else documents) % like.ndocuments
    given = like.given[index]
    limits = _limits(like, length)[index]
    if length is not None and (short := int(np.count_nonzero(given >= length))):
        raise SpecificationError(
            f"length={length} leaves nothing to draw in {short:,} of {len(index):,} documents, which begin with up to "
            f"{int(given.max()):,} given tokens. Choose length={int(given.max()) + 1} or more."
        )
    first = like.offsets[:-1][index]
    starts = [like.tokens[a : a + n].astype(np.int64) for a, n in zip(first, given, strict=True)]
    complete = np.array([len(ids) > 0 and ids[-1] == vocabulary.eos for ids in starts])
    todraw = np.where(complete, 0, limits - given)
    rng = generator(seed)
    if model.memory is not None and model.memory <= TABLE_MEMORY:
        drawn = _walk(model, model.memory, starts, todraw, rng)
    else:
        rows, ids, *_ = extend(
            model,
            starts,
            todraw,
            ends=np.array([vocabulary.eos]),
            sampler=lambda rows: rows,
            uniforms=lambda rows, step: rng.random(len(rows)),
        )
        drawn = np.split(ids, np.cumsum(np.bincount(rows, minlength=len(index)))[:-1])
    parts = [part for both in zip(starts, drawn, strict=True) for part in both]
    lengths = given + np.array([len(ids) for ids in drawn])
    return Corpus(
        vocabulary,
        np.concatenate(parts).astype(vocabulary.dtype),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        given.astype(np.int64),
        like.documents.iloc[index].reset_index(drop=True),
    )


def _limits(like: Corpus, length: int | None) -> Array:
    """(D,) most tokens of each document, given ones included."""
    lengths = np.diff(like.offsets)
    if length is not None:
        return np.full(len(lengths), length)
    ended = np.zeros(len(lengths), bool)
    ended[lengths > 0] = like.tokens[like.offsets[1:][lengths > 0] - 1] == like.vocabulary.eos
    return np.where(ended, LONGER * lengths.max(), lengths)


def _walk(model: Predictive, memory: int, starts: Sequence[Array], todraw: Array, rng: np.random.Generator) -> list[Array]:
    """Draw documents one after the other, each as far as the distributions after its contexts are known.

    The distributions that documents wait for are then asked of the model at once, and the documents go on: a step costs a
    look-up and a bisection, not a call of the model.

    Parameters
    ----------
    model : Predictive
    memory : int
        Its memory k.
    starts : sequence of D integer arrays
    todraw : (D,) integer array
        At most how many tokens are drawn for each document.
    rng : numpy Generator

    Returns
    -------
    list of D int64 arrays
        The tokens drawn.
    """
    vocabulary = model.corpus.vocabulary
    eos, base = vocabulary.eos, vocabulary.nids
    modulus = base**memory  # a context is the number whose k digits in this base are its tokens
    first_key = 0
    for token in ([vocabulary.pad] * memory + [vocabulary.bos])[-memory:] if memory else []:
        first_key = first_key * base + token
    keys = []
    for ids in starts:
        key = first_key
        for token in ids[max(len(ids) - memory, 0) :].tolist():
            key = (key * base + token) % modulus
        keys.append(key)
    table: dict[int, tuple[array[float], Sequence[int]]] = {}
    kept = 0
    drawn: list[list[int]] = [[] for _ in starts]
    limits = todraw.tolist()
    uniform = _uniforms(rng)
    most = max(BLOCK // vocabulary.size, 1)
    waiting = np.flatnonzero(todraw > 0).tolist()
    while waiting:
        unknown: dict[int, None] = {}
        stuck = []
        reached = len(waiting)
        for place, document in enumerate(waiting):
            tokens, key, limit = drawn[document], keys[document], limits[document]
            while (known := table.get(key)) is not None:
                token = known[1][bisect_right(known[0], next(uniform))]
                tokens.append(token)
                if token == eos or len(tokens) >= limit:
                    break
                key = (key * base + token) % modulus
            else:
                keys[document] = key
                unknown[key] = None
                stuck.append(document)
                if len(unknown) == most:
                    reached = place + 1
                    break
        waiting = stuck + waiting[reached:]
        if not unknown:
            continue
        if kept > TABLE_SIZE:
            table.clear()
            kept = 0
        contexts = np.array([_digits(key, base, memory) for key in unknown], np.int64).reshape(len(unknown), memory)
        rows = model.logprobs(contexts)
        for key, row, possible in zip(unknown, cumulative(rows), ~np.isneginf(rows), strict=True):
            support = np.flatnonzero(possible)
            tokens_of: Sequence[int] = range(len(row)) if len(support) == len(row) else array("q", support.tobytes())
            table[key] = array("d", row[support].tobytes()), tokens_of
            kept += len(support)
    return [np.array(tokens, np.int64) for tokens in drawn]


def _uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Uniform numbers without end."""
    return chain.from_iterable(rng.random(2**14).tolist() for _ in count())


def _digits(key: int, base: int, memory: int) -> list[int]:
    """The tokens of a context's number, oldest first."""
    digits = []
    for _ in range(memory):
        key, digit = divmod(key, base)
        digits.append(digit)
    return digits[::-1]
