"""Contexts as people write them, and the corpus of what could come next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import CorpusError
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.vocabulary import Vocabulary


def context_ids(vocabulary: Vocabulary, contexts: Sequence[Any] | str) -> list[Array]:
    """Token ids of each context, without ``<bos>``.

    Parameters
    ----------
    vocabulary : Vocabulary
    contexts : sequence of strings, or of sequences of tokens (strings) or ids (integers)
        A context is the beginning of a document; of one that is longer than a model's memory, its end matters.
    """
    if isinstance(contexts, str):
        raise CorpusError(f"contexts must be a list; for one context write [{contexts!r}].")
    found = []
    for context in contexts:
        if isinstance(context, str):
            ids = np.asarray(vocabulary.encode(context).ids, np.int64)
        elif all(isinstance(token, str) for token in context):
            ids = vocabulary.ids_of(context)
        else:
            ids = np.asarray(context, np.int64)
            if len(ids) and (ids.min() < 0 or ids.max() >= vocabulary.nids):
                raise CorpusError(
                    f"A context has ids from {ids.min()} to {ids.max()}; the vocabulary has 0 to {vocabulary.nids - 1}."
                )
        found.append(ids[(ids != vocabulary.bos) & (ids != vocabulary.pad)])
    return found


def context_array(vocabulary: Vocabulary, contexts: Sequence[Array]) -> Array:
    """(m, k) ids for `Predictive.logprobs`: ``<bos>`` before each context, ``<pad>`` before that."""
    width = max((len(ids) for ids in contexts), default=0) + 1
    result = np.full((len(contexts), width), vocabulary.pad, np.int64)
    for row, ids in zip(result, contexts, strict=True):
        row[width - len(ids) :] = ids
        row[width - len(ids) - 1] = vocabulary.bos
    return result


def continuations(vocabulary: Vocabulary, contexts: Sequence[Array], tokens: Sequence[Array]) -> Corpus:
    """The corpus whose observations are `tokens[i]`, each alone, after the given `contexts[i]`.

    The score of these observations is the gradient of ``log p(token | context)``: the delta method needs no finite
    differences.

    Parameters
    ----------
    vocabulary : Vocabulary
    contexts : sequence of m (k_i,) integer arrays
    tokens : sequence of m integer arrays
        The tokens of interest after each context.
    """
    documents = [np.append(ids, token) for ids, follow in zip(contexts, tokens, strict=True) for token in follow]
    lengths = np.array([len(d) for d in documents], np.int64)
    return Corpus(
        vocabulary,
        np.concatenate(documents).astype(vocabulary.dtype),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        lengths - 1,
        pd.DataFrame({"name": pd.Series([str(i) for i in range(len(documents))], dtype="str")}),
    )
