"""Corpora for a model that comes with a tokenizer: the text of another corpus cut anew, and one of no text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from statlm.errors import CorpusError
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.encoding import normalise
from statlm.text.vocabulary import Vocabulary


def recut(corpus: Corpus, vocabulary: Vocabulary) -> Corpus:
    """The same documents in the tokens of another vocabulary, with its ends of documents if it has them.

    What is given stays given, to the byte: that text and the rest are cut apart.

    Raises
    ------
    CorpusError
        If the tokens do not keep the text.
    """
    sizes = corpus.token_sizes
    if corpus.vocabulary.tokenizer is None or sizes is None:
        raise CorpusError("The corpus was made from tokens, so there is no text to cut anew. Pass the texts themselves.")
    texts: list[str] = []
    for start, stop, given in zip(corpus.offsets[:-1], corpus.offsets[1:], corpus.given, strict=True):
        for part in (slice(start, start + given), slice(start + given, stop)):
            ids = corpus.tokens[part]
            text = corpus.vocabulary.decode(ids[ids != corpus.vocabulary.eos])
            if len(text.encode()) != int(sizes[0][part].sum(dtype=np.int64)) or text != normalise(text):
                raise CorpusError(
                    f"The tokens of {corpus.documents['name'].iloc[len(texts) // 2]!r} do not keep its text (white space, case, "
                    "unknown tokens, or half a character), so it cannot be cut anew. Pass the texts themselves."
                )
            texts.append(text)
    found, ntokens = vocabulary.encode_many(texts)
    given, rest = ntokens[::2], ntokens[1::2]
    if not vocabulary.with_eos and (given + rest == 0).any():
        raise CorpusError(
            f"Document {int(np.argmin(given + rest)) + 1:,} is empty: it holds no token to predict. Remove it."
        )
    ends = np.cumsum(given + rest)
    ids, nbytes, nchars = found.ids, found.nbytes, found.nchars
    if vocabulary.with_eos:
        ids, nbytes, nchars = (np.insert(a, ends, v) for a, v in ((ids, vocabulary.eos), (nbytes, 0), (nchars, 0)))
    offsets = np.concatenate([[0], np.cumsum(given + rest + vocabulary.with_eos)]).astype(np.int64)
    return Corpus(
        vocabulary,
        ids.astype(vocabulary.dtype),
        offsets,
        given.astype(np.int64),
        corpus.documents,
        _narrow(nbytes),
        _narrow(nchars),
    )


def given_at_least(corpus: Corpus, least: int) -> Corpus:
    """The same corpus with at least this many tokens of each document given; documents with nothing left are dropped."""
    given = np.maximum(corpus.given, least)
    left = np.diff(corpus.offsets) > given
    if not left.any():
        raise CorpusError(
            f"No document is longer than {least} token{'s' * (least != 1)}, and the first of each cannot be predicted. Use "
            "longer texts."
        )
    raised = replace(corpus, given=np.minimum(given, np.diff(corpus.offsets)))
    return raised if left.all() else raised.subset(np.flatnonzero(left))


def _narrow(sizes: Array) -> Array:
    """The sizes of tokens in the smallest integers that hold them."""
    narrow: Array = sizes.astype(np.min_scalar_type(int(sizes.max(initial=0))))
    return narrow


def placeholder(vocabulary: Vocabulary) -> Corpus:
    """Two tokens, the first of them given: what a model that comes without its text stands on."""
    table = pd.DataFrame({"name": pd.Series(["no text"], dtype="str")})
    sizes = np.zeros(2, np.int64)
    return Corpus(
        vocabulary, np.array([0, 1], vocabulary.dtype), np.array([0, 2]), np.array([1]), table, sizes, sizes.copy()
    )
