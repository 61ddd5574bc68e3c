"""Dependence of any form within documents, none between them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from statlm.errors import FewClustersWarning, TooFewClusters
from statlm.numerics.repeated_rows import sum_by
from statlm.numerics.types import Matrix
from statlm.text.corpus import Corpus

ENOUGH = 10


@dataclass(frozen=True)
class Clustered:
    """Documents are independent, tokens within them need not be (Liang and Zeger 1986).

    The variance of a sum is the sum of squares of document sums, times G / (G - 1) for G documents. Ratios are referred to
    Student's t with G - 1 degrees of freedom.
    """

    def factor(self, x: Matrix, corpus: Corpus) -> Matrix:
        """(G, p) document sums.

        Raises
        ------
        TooFewClusters
            If there are fewer than 2 documents.
        """
        groups = check_clusters(corpus)
        scale = np.sqrt(groups / (groups - 1))
        sums = sum_by(x, corpus.document_index, groups)
        return sums * scale if not sparse.issparse(sums) else sparse.csr_array(sums) * scale

    def reference_dof(self, corpus: Corpus) -> float:
        """G - 1."""
        return float(corpus.ndocuments - 1)

    def describe(self, corpus: Corpus) -> str:
        """In words."""
        return f"clustered by document ({corpus.ndocuments:,} clusters)"


def check_clusters(corpus: Corpus) -> int:
    """Number of documents, refused below 2 and warned of below 10."""
    groups = corpus.ndocuments
    if groups < 2:
        raise TooFewClusters(
            f"The corpus is {groups} document, and errors clustered by document need at least 2 (10 or more to be reliable): "
            'one sum has no variance. Use "HAC" for dependence along one long text, or cut it with corpus.blocks(length=...) '
            "or split='paragraph', which states that the pieces are independent."
        )
    if groups < ENOUGH:
        warnings.warn(
            f"Only {groups} documents: errors clustered by document are themselves uncertain below {ENOUGH} clusters and tend "
            f"to be too small. The t distribution with {groups - 1} degrees of freedom is used; more documents would be "
            'better, or "HAC".',
            FewClustersWarning,
            stacklevel=3,
        )
    return groups
