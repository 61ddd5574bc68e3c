"""Dependence of any form within documents, none between them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from statlm.covariance.groups import DOCUMENT, document_groups, group_index
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

    Parameters
    ----------
    by : str
        What is a cluster: "document", or a column of ``corpus.documents`` (all speeches of a president, say).

    Examples
    --------
    >>> import pandas as pd
    >>> import statlm as slm
    >>> authors = pd.DataFrame({"author": list("xxyyzz")})
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_texts(["aab", "ab", "abb", "bb", "a", "aa"] * 1, covariates=authors, eos=False))
    >>> Clustered(by="author").describe(fit.corpus)
    'clustered by author (3 clusters)'
    """

    by: str = DOCUMENT

    def factor(self, x: Matrix, corpus: Corpus) -> Matrix:
        """(G, p) sums by cluster.

        Raises
        ------
        TooFewClusters
            If there are fewer than 2 clusters.
        """
        groups = check_clusters(corpus, self.by)
        return cluster_sums(x, corpus, self.by, np.sqrt(groups / (groups - 1)))

    def reference_dof(self, corpus: Corpus) -> float:
        """G - 1."""
        return float(document_groups(corpus, self.by)[1] - 1)

    def describe(self, corpus: Corpus) -> str:
        """In words."""
        return f"clustered by {self.by} ({document_groups(corpus, self.by)[1]:,} clusters)"


def cluster_sums(x: Matrix, corpus: Corpus, by: str, scale: float = 1.0) -> Matrix:
    """(G, p) sums of the rows of x by cluster, times a factor; sparse where they are."""
    index, groups = group_index(corpus, by)
    sums = sum_by(x, index, groups)
    return sums * scale if not sparse.issparse(sums) else sparse.csr_array(sums) * scale


def check_clusters(corpus: Corpus, by: str = DOCUMENT) -> int:
    """Number of clusters, refused below 2 and warned of below 10."""
    groups = document_groups(corpus, by)[1]
    if groups < 2:
        if by != DOCUMENT:
            raise TooFewClusters(
                f"All {corpus.ndocuments:,} documents have the same {by}, and clustered errors need at least 2 clusters (10 or "
                "more to be reliable): one sum has no variance. Cluster by another column, or by document."
            )
        raise TooFewClusters(
            f"The corpus is {groups} document, and errors clustered by document need at least 2 (10 or more to be reliable): "
            'one sum has no variance. Use "HAC" for dependence along one long text, or cut it with corpus.blocks(length=...) '
            "or split='paragraph', which states that the pieces are independent."
        )
    if groups < ENOUGH:
        what = f"{groups} documents" if by == DOCUMENT else f"{groups} clusters"
        warnings.warn(
            f"Only {what}: errors clustered by {by} are themselves uncertain below {ENOUGH} clusters and tend "
            f"to be too small. The t distribution with {groups - 1} degrees of freedom is used; more documents would be "
            'better, or "HAC".',
            FewClustersWarning,
            stacklevel=3,
        )
    return groups
