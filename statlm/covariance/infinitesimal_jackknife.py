"""How the estimate answers to the weights of the documents."""

from __future__ import annotations

from dataclasses import dataclass

from statlm.covariance.clustered import check_clusters, cluster_sums
from statlm.covariance.groups import DOCUMENT, document_groups
from statlm.numerics.types import Matrix
from statlm.text.corpus import Corpus


@dataclass(frozen=True)
class InfinitesimalJackknife:
    r"""Sum over documents of squared derivatives of the estimate with respect to their weights (Jaeckel 1972).

    With weights :math:`w_g` on the log-likelihoods of the documents, the maximum moves by
    :math:`\partial \hat\theta / \partial w_g = H^{-1} s_g`, and

    .. math:: \widehat{\mathrm{Var}}\,\hat\theta = \sum_g (H^{-1} s_g)(H^{-1} s_g)'.

    So it is the cluster-robust covariance without the factor G / (G - 1), read as a bootstrap or a leave-one-out to first order
    (Giordano et al. 2019): no refit is made. `LeaveOneDocumentOut` and `DocumentBootstrap` make them, and agree where the
    estimate is near enough to linear in the weights. `influence` gives its terms one by one.

    Parameters
    ----------
    by : str
        What is weighted: "document", or a column of ``corpus.documents``.

    References
    ----------
    Jaeckel (1972), The infinitesimal jackknife. Bell Laboratories memorandum. Giordano, Stephenson, Liu, Jordan and Broderick
    (2019), A Swiss army infinitesimal jackknife. AISTATS.

    Examples
    --------
    >>> import statlm as slm
    >>> texts = ["aab", "ab", "abb", "bb", "a", "aa", "aba", "b", "ba", "aaab", "bba", "ab"]
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_texts(texts, eos=False))
    >>> ratio = fit.std_errors(cov=InfinitesimalJackknife()) / fit.std_errors(cov="cluster")
    >>> round(float(ratio[0] ** 2), 4)  # 11 / 12
    0.9167
    """

    by: str = DOCUMENT

    def factor(self, x: Matrix, corpus: Corpus) -> Matrix:
        """(G, p) sums by document.

        Raises
        ------
        TooFewClusters
            If there are fewer than 2 documents.
        """
        check_clusters(corpus, self.by)
        return cluster_sums(x, corpus, self.by)

    def reference_dof(self, corpus: Corpus) -> float:
        """G - 1."""
        return float(document_groups(corpus, self.by)[1] - 1)

    def describe(self, corpus: Corpus) -> str:
        """In words."""
        return f"infinitesimal jackknife by {self.by} ({document_groups(corpus, self.by)[1]:,} weights)"
