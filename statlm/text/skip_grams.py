"""Pairs of tokens that stand near each other, as a corpus: what skip-gram models are fitted to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from statlm.errors import CorpusError, SpecificationError
from statlm.text.corpus import Corpus


def skip_grams(corpus: Corpus, window: int = 5) -> Corpus:
    r"""All pairs of a token and another one at most `window` places from it in the same document.

    A pair is a document of two tokens, of which the first, the *centre*, is given and the second, its *neighbour*,
    predicted. So any model of the next token is a skip-gram model when it is fitted to pairs: `SoftmaxRegression` with
    one lag and a rank is that of Mikolov et al. (2013) with the full softmax, by exact maximum likelihood.

    Parameters
    ----------
    corpus : Corpus
        Ends of documents are no neighbours, and neither are tokens of types that the vocabulary lacks.
    window : int
        Places to either side.

    Returns
    -------
    Corpus
        With a column ``source`` in its documents, the document of each pair, in whose order the pairs are. Pairs that
        share a token depend on each other: use ``Clustered(by="source")``.

    Raises
    ------
    SpecificationError
        If the window is not 1 or more.
    CorpusError
        If there is no pair.

    References
    ----------
    Mikolov, Sutskever, Chen, Corrado and Dean (2013), Distributed representations of words and phrases and their
    compositionality.

    Examples
    --------
    >>> pairs = skip_grams(Corpus.from_texts(["abc"]), window=1)
    >>> [pairs.text(d) for d in range(pairs.ndocuments)], pairs.nobs
    (['ab', 'bc', 'ba', 'cb'], 4)
    """
    if isinstance(window, bool) or window < 1:
        raise SpecificationError(f"window={window!r}: neighbours are at least one place away. Choose 1 or more.")
    vocabulary = corpus.vocabulary
    if vocabulary.with_eos:
        vocabulary = replace(vocabulary, with_eos=False)  # the last id of the support: the others stay
    tokens = corpus.tokens.astype(np.int64)
    document = np.repeat(np.arange(corpus.ndocuments), np.diff(corpus.offsets))
    known = tokens < vocabulary.size
    pairs, sources = [], []
    for distance in range(1, window + 1):
        together = (document[distance:] == document[:-distance]) & known[distance:] & known[:-distance]
        where = np.flatnonzero(together)
        for centre, neighbour in ((where, where + distance), (where + distance, where)):
            pairs.append(np.stack([tokens[centre], tokens[neighbour]], axis=1))
            sources.append(document[where])
    joined, source = np.concatenate(pairs), np.concatenate(sources)
    if not len(joined):
        raise CorpusError(
            f"No two known tokens stand within {window} places of each other in a document, so there is no pair to learn from."
        )
    order = np.argsort(source, kind="stable")
    joined, source = joined[order], source[order]
    names = corpus.documents["name"].to_numpy()
    table = pd.DataFrame({"name": pd.Series(names[source], dtype="str"), "source": source})
    count = len(joined)
    return Corpus(
        vocabulary,
        joined.ravel().astype(vocabulary.dtype),
        np.arange(0, 2 * count + 1, 2, dtype=np.int64),
        np.ones(count, np.int64),
        table,
    )
