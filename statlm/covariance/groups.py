"""Which observations go together: documents, or what is written beside them."""

from __future__ import annotations

import pandas as pd

from statlm.errors import SpecificationError
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

DOCUMENT = "document"


def group_index(corpus: Corpus, by: str = DOCUMENT) -> tuple[Array, int]:
    """Group of each observation, and the number of groups.

    Parameters
    ----------
    corpus : Corpus
    by : str
        "document", or a column of ``corpus.documents`` whose values are the groups.

    Returns
    -------
    index : (nobs,) integer array
    ngroups : int

    Raises
    ------
    SpecificationError
        If there is no such column, or it has missing values.
    """
    of_document, ngroups = document_groups(corpus, by)
    return of_document[corpus.document_index], ngroups


def document_groups(corpus: Corpus, by: str = DOCUMENT) -> tuple[Array, int]:
    """(ndocuments,) group of each document, and the number of groups; see `group_index`."""
    codes, labels = labelled_groups(corpus, by)
    return codes, len(labels)


def labelled_groups(corpus: Corpus, by: str = DOCUMENT) -> tuple[Array, list[str]]:
    """(ndocuments,) group of each document, and what the groups are called, in the order in which they appear."""
    if by == DOCUMENT and by not in corpus.documents:
        codes, labels = pd.factorize(corpus.documents.index)
        return codes, corpus.documents["name"].astype(str).tolist()
    if by not in corpus.documents:
        raise SpecificationError(
            f"There is no column {by!r} that says which documents go together. corpus.documents has "
            f"{', '.join(map(repr, corpus.documents.columns))}; 'document' makes each a group of its own. Others are given when "
            "the corpus is made: covariates=."
        )
    codes, labels = pd.factorize(corpus.documents[by])
    if (codes < 0).any():
        raise SpecificationError(
            f"The column {by!r} is missing for {int((codes < 0).sum()):,} of {corpus.ndocuments:,} documents, so their group is "
            "unknown. Leave these documents out (corpus.subset), or give them a group."
        )
    return codes, [str(label) for label in labels]
