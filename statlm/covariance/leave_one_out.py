"""How far the estimate moves when each document is left out, by refits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from statlm.covariance.document_bootstrap import check_documents, key_of
from statlm.covariance.groups import DOCUMENT, document_groups
from statlm.covariance.refits import Replicates, failures, replicates, spread, spreads
from statlm.likelihood import Likelihood
from statlm.numerics.types import Array, Matrix
from statlm.text.corpus import Corpus


@dataclass(frozen=True)
class LeaveOneDocumentOut:
    r"""The jackknife over documents: exact refits without each of them (Tukey 1958; by cluster, Lipsitz et al. 1994).

    .. math:: \frac{G - 1}{G} \sum_g (\hat\theta_{(g)} - \bar\theta_{(\cdot)})(\hat\theta_{(g)} - \bar\theta_{(\cdot)})'

    `InfinitesimalJackknife` is its first-order approximation without refits, and the clustered covariance lies beside both. Among
    few or unequal clusters the jackknife errs on the side of too large.

    Parameters
    ----------
    by : str
        What is left out at a time: "document", or a column of ``corpus.documents``.
    progress : bool
        Whether to show a bar.
    specification : object, optional
        How the model was estimated; a fit knows.

    Notes
    -----
    There are as many refits as documents. How they run, and what becomes of those that fail, is as of `DocumentBootstrap`.
    What has no value without some document rests on it alone, and its error is infinite.

    References
    ----------
    Tukey (1958), Bias and confidence in not-quite large samples. Annals of Mathematical Statistics 29. Lipsitz, Dear and Zhao
    (1994), Jackknife estimators of variance for parameter estimates from estimating equations with applications to clustered
    survival data. Biometrics 50.

    Examples
    --------
    >>> import statlm as slm
    >>> texts = ["aab", "ab", "abb", "bb", "a", "aa", "aba", "b", "ba", "aaab", "bba", "ab"] * 3
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_texts(texts, eos=False))
    >>> fit.std_errors(cov=LeaveOneDocumentOut()).round(4).tolist(), fit.std_errors(cov="cluster").round(4).tolist()
    ([0.0435], [0.0434])
    """

    by: str = DOCUMENT
    progress: bool = field(default=False, compare=False)
    specification: Any = field(default=None, repr=False)

    def bound_to(self, specification: Any) -> Self:
        """The same jackknife, of models estimated in this way."""
        return self if self.specification is not None else replace(self, specification=specification)

    def of(self, model: Likelihood, gradients: Matrix) -> Array:
        """(q, q) covariance over refits."""
        made = self._made(model)
        return spread(made, model.params, gradients, self._factor(model), tolerance=0.0)

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) diagonal."""
        made = self._made(model)
        return spreads(made, model.params, gradients, self._factor(model), tolerance=0.0)

    def reference_dof(self, model: Likelihood) -> float:
        """G - 1."""
        return float(document_groups(model.corpus, self.by)[1] - 1)

    def describe(self, model: Likelihood) -> str:
        """In words."""
        groups = document_groups(model.corpus, self.by)[1]
        return f"jackknife, one {self.by} left out ({groups:,} refits{failures(key_of(self, model), model)})"

    def _made(self, model: Likelihood) -> Replicates:
        check_documents(model.corpus, self.by, "jackknife")
        groups = document_groups(model.corpus, self.by)[1]
        draws = [WithoutGroup(group, self.by) for group in range(groups)]
        return replicates(key_of(self, model), model, self.specification, draws, progress=self.progress)

    def _factor(self, model: Likelihood) -> float:
        return float(document_groups(model.corpus, self.by)[1] - 1)  # a sum over refits, where `spread` takes a mean


@dataclass(frozen=True)
class WithoutGroup:
    """All documents but those of one group."""

    group: int
    by: str

    def __call__(self, corpus: Corpus) -> Corpus:
        """The others, in order."""
        of_document, _ = document_groups(corpus, self.by)
        return corpus.subset(np.flatnonzero(of_document != self.group))

    def weights(self, corpus: Corpus, memory: int | None) -> Array:
        """(nobs,) 0 for the observations of the group, 1 for the others."""
        return (document_groups(corpus, self.by)[0] != self.group).astype(np.int64)[corpus.document_index]
