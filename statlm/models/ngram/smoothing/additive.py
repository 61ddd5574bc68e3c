"""Additive smoothing: the posterior mean under a symmetric Dirichlet prior."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from statlm.errors import SpecificationError
from statlm.fit.fit import FitReport
from statlm.models.ngram.likelihood import NGramLikelihood
from statlm.models.ngram.table import count_table, dirichlet_mean, restore_table
from statlm.numerics.context_table import ContextTable
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.window_counts import WindowCounts

LOG_BOUNDS = (-20.0, 10.0)


@dataclass(frozen=True)
class Additive:
    r"""A number added to every count, :math:`(n_{cw} + a) / (n_c + a V)`: Laplace's and Lidstone's rule.

    It is the posterior mean under a symmetric Dirichlet prior with parameter a. By default a maximises the marginal
    likelihood of the counts, the Dirichlet-multinomial

    .. math:: \prod_c \frac{\Gamma(aV)}{\Gamma(aV + n_c)} \prod_w \frac{\Gamma(a + n_{cw})}{\Gamma(a)}

    (empirical Bayes). The shorter n-grams are not used, which is why it does badly at large n.

    Parameters
    ----------
    pseudo_count : float, optional
        a > 0. By default it is estimated.

    Raises
    ------
    SpecificationError
        If `pseudo_count` is not a positive number.

    References
    ----------
    Chen and Goodman (1999), An empirical study of smoothing techniques for language modeling. Computer Speech and Language
    13. MacKay and Peto (1995), A hierarchical Dirichlet language model. Natural Language Engineering 1.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra")
    >>> laplace = slm.NGram(n=2, smoothing=slm.Additive(1)).fit(corpus)
    >>> laplace.loglike == slm.NGram(n=2, pseudo_count=1).fit(corpus).loglike
    True
    """

    pseudo_count: float | None = None
    name: str = field(default="additive", init=False, repr=False)

    def __post_init__(self) -> None:
        if self.pseudo_count is not None and not (self.pseudo_count > 0 and np.isfinite(self.pseudo_count)):
            raise SpecificationError(
                f"pseudo_count={self.pseudo_count!r} is not a prior count. Choose a positive number, or None to estimate it."
            )

    def fit(self, corpus: Corpus, n: int) -> tuple[NGramLikelihood, FitReport]:
        """The model at its estimate, and how it was found."""
        table = count_table(corpus, n)
        if self.pseudo_count is not None:
            report = FitReport("posterior mean (closed form)")
            return dirichlet_mean(n, corpus, table, float(self.pseudo_count)), report
        a, converged = _marginal_maximum(table, corpus.vocabulary.size)
        method = f"posterior mean; pseudo-count {a:.4g} by maximum marginal likelihood"
        return dirichlet_mean(n, corpus, table, a), FitReport(method, converged)

    def fit_counts(self, counts: WindowCounts, corpus: Corpus, n: int) -> NGramLikelihood:
        """The model at its estimate, standing on a corpus that need not be the one counted."""
        table = counts.context_table(n)
        a = self.pseudo_count if self.pseudo_count is not None else _marginal_maximum(table, counts.vocabulary.size)[0]
        return dirichlet_mean(n, corpus, table, float(a))

    def restore(self, corpus: Corpus, n: int, arrays: dict[str, Array], settings: dict[str, Any]) -> NGramLikelihood:
        """The model that was saved with its `state`, on a corpus."""
        return restore_table(n, corpus, arrays, settings)


def _marginal_maximum(table: ContextTable, size: int) -> tuple[float, bool]:
    """The pseudo-count that maximises the Dirichlet-multinomial likelihood, and whether it lies inside of its bounds."""
    totals, ntotals = np.unique(table.totals, return_counts=True)
    counts, ncounts = np.unique(table.counts, return_counts=True)

    def minus_log_marginal(log_a: float) -> float:
        a = np.exp(log_a)
        contexts = ntotals @ (gammaln(a * size) - gammaln(a * size + totals))
        cells = ncounts @ (gammaln(a + counts) - gammaln(a))
        return float(-(contexts + cells))

    found = minimize_scalar(minus_log_marginal, bounds=LOG_BOUNDS, method="bounded", options={"xatol": 1e-10})
    inside = LOG_BOUNDS[0] + 1e-3 < found.x < LOG_BOUNDS[1] - 1e-3
    return float(np.exp(found.x)), bool(found.success and inside)
