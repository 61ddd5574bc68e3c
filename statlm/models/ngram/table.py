"""From a corpus to the table of what follows what, and to probabilities: the unsmoothed and the Dirichlet n-gram."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlm.errors import DamagedFile
from statlm.models.ngram.likelihood import NGramLikelihood
from statlm.numerics.context_table import ContextTable
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


def count_table(corpus: Corpus, n: int) -> ContextTable:
    """What follows each context of n - 1 tokens; ``<unk>`` of a borrowed vocabulary has no probability and is left out."""
    columns, targets = corpus.context_columns(max(n - 1, 0)), corpus.targets
    inside = targets < corpus.vocabulary.size
    if not inside.all():
        columns, targets = [column[inside] for column in columns], targets[inside]
    return ContextTable.count(columns, targets, corpus.vocabulary.nids)


def dirichlet_mean(n: int, corpus: Corpus, table: ContextTable, pseudo_count: float) -> NGramLikelihood:
    """The posterior mean under a symmetric Dirichlet prior; maximum likelihood where `pseudo_count` is 0."""
    size = corpus.vocabulary.size
    if n == 0:
        nothing = np.zeros(0, np.int64)
        empty = ContextTable(np.zeros((0, 0), np.int64), np.zeros(1, np.int64), nothing, nothing, table.bits)
        return NGramLikelihood(n, corpus, empty, np.zeros(0), np.zeros(0), ntypes=1, size=size, pseudo_count=0.0)
    with np.errstate(divide="ignore"):
        denominator = np.log(table.totals + pseudo_count * size)
        cells = np.log(table.counts + pseudo_count) - denominator[table.row_of_cell]
        others = np.log(pseudo_count) - denominator
    ntypes = len(np.unique(table.tokens))
    return NGramLikelihood(n, corpus, table, cells, others, ntypes=ntypes, size=size, pseudo_count=pseudo_count)


def restore_table(n: int, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]) -> NGramLikelihood:
    """The likelihood of a saved fit, on another corpus; the inverse of `NGramLikelihood.state`.

    Raises
    ------
    DamagedFile
        If arrays are missing or do not fit together.
    """
    try:
        table = ContextTable(arrays["contexts"], arrays["starts"], arrays["tokens"], arrays["counts"], settings["bits"])
        consistent = (
            len(arrays["cells"]) == table.ncells == int(table.starts[-1])
            and len(arrays["others"]) == table.ncontexts == len(table.starts) - 1
            and table.contexts.shape[1] == max(n - 1, 0)
        )
        if not consistent:
            raise DamagedFile("The arrays of the n-gram table do not fit together. Save the fit again.")
        return NGramLikelihood(
            n,
            corpus,
            table,
            arrays["cells"],
            arrays["others"],
            ntypes=int(settings["ntypes"]),
            size=int(settings["size"]),
            pseudo_count=float(settings["pseudo_count"]),
        )
    except KeyError as error:
        raise DamagedFile(f"The saved n-gram lacks {error}. Save the fit again.") from error
