"""The Hosmer-Lemeshow test of calibration, model-based or robust to dependence within documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sparse

from statlm.covariance import Dependence
from statlm.diagnostics.calibration import matrix_dependence
from statlm.diagnostics.events import event_of
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.result import TestResult
from statlm.likelihood import Predictive
from statlm.numerics.calibration_bins import bin_edges, bin_index


def hosmer_lemeshow(
    model: Predictive,
    event: str | Sequence[str] = "top",
    *,
    groups: int = 10,
    dependence: str | Dependence | None = "model",
) -> TestResult:
    r"""Hosmer and Lemeshow's test that an event comes about as often as the model says, in groups of equal forecasts.

    With :math:`O_g` occurrences in group g, the statistic is :math:`\sum_g (O_g - \sum p_i)^2 / \sum p_i (1 - p_i)`, referred
    to a chi-square with as many degrees of freedom as groups: the forecasts were made by a model fitted to other text.

    Parameters
    ----------
    model : Predictive
        On text that it was not fitted to.
    event : "top", a token, or a sequence of tokens
        As of `calibration`.
    groups : int
        At least 2; groups of equal numbers of forecasts, fewer where many forecasts are equal.
    dependence : "model", str or object
        "model": the null hypothesis is that the model's conditional probabilities are right; then :math:`y_i - p_i` is a
        martingale difference, and the variance above is right however the text depends on its past. With an assumption on
        dependence ("iid", "cluster", "HAC") the null is weaker, that frequencies in groups are right on average over texts, and
        the statistic is :math:`d' \hat V^{-1} d`, referred to F with clusters.

    Returns
    -------
    TestResult

    Raises
    ------
    SpecificationError
        If there are fewer than 2 groups, or no such token or dependence.
    NoEstimate
        If a group of certain forecasts was contradicted, or there are too few documents for the groups.

    Notes
    -----
    The variance of a group is :math:`\sum p_i (1 - p_i)`, exact under the null; textbooks have
    :math:`n_g \bar p_g (1 - \bar p_g)`, which is larger by the spread of forecasts within the group.

    References
    ----------
    Hosmer and Lemeshow (1980), Goodness of fit tests for the multiple logistic regression model. Hosmer, Lemeshow and Sturdivant
    (2013), section 5.2.2, for the degrees of freedom on external data.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra, a cadabra. " * 40).split(test=0.5)
    >>> bool(hosmer_lemeshow(slm.NGram(n=2, pseudo_count=20).fit(train).on(test)).p_value < 1e-6)
    True
    """
    if groups < 2:
        raise SpecificationError(f"groups={groups!r}: the test compares groups of forecasts, so it needs 2 or more.")
    found = event_of(model, event)
    p, y = found.probability, found.happened.astype(float)
    _, index = np.unique(bin_index(p, bin_edges(p, groups, "quantile")), return_inverse=True)
    count = np.bincount(index)
    surplus = np.bincount(index, weights=y - p)
    details = {"groups": float(len(count)), "nobs": float(len(y))}
    null = f"'{found.name}' is as frequent as forecast in every group"
    if dependence == "model":
        variance = np.bincount(index, weights=p * (1 - p))
        certain = variance <= 1e-15 * count
        if certain.any() and np.abs(surplus[certain]).max() > 1e-9:
            raise NoEstimate(
                f"A group of {int(count[certain].max()):,} forecasts of exactly 0 or 1 was contradicted by the text: the model "
                "is refuted, and the statistic is infinite. Use a model with pseudo_count > 0 or a smoothing."
            )
        if certain.all():
            raise NoEstimate("All forecasts are exactly 0 or 1, so the statistic has no variance. Use a smoothed model.")
        from scipy.stats import chi2

        statistic = float((surplus[~certain] ** 2 / variance[~certain]).sum())
        dof = int(np.count_nonzero(~certain))
        return TestResult(
            "Hosmer-Lemeshow", statistic, dof, float(chi2.sf(statistic, dof)), null, "Variance: that of the model.", details
        )
    chosen, described = matrix_dependence(dependence, model.corpus)
    rows = sparse.csr_array((y - p - (surplus / count)[index], (np.arange(len(y)), index)), shape=(len(y), len(count)))
    along = np.asarray(chosen.factor(rows, model.corpus) @ np.eye(len(count)))
    covariance = along.T @ along
    q, reference_dof = len(count), chosen.reference_dof(model.corpus)
    if reference_dof < q or np.linalg.matrix_rank(covariance, hermitian=True) < q:
        raise NoEstimate(
            f"{q} groups need more than {q} documents for a clustered covariance of full rank, and there are "
            f"{model.corpus.ndocuments:,}. Use fewer groups, more documents, or dependence='model'."
        )
    from scipy.stats import chi2, f

    wald = float(surplus @ np.linalg.solve(covariance, surplus))
    # Hotelling's T squared with G - 1 degrees of freedom of the covariance.
    lower = reference_dof - q + 1
    tail = chi2.sf(wald, q) if np.isinf(reference_dof) else f.sf(wald * lower / (reference_dof * q), q, lower)
    return TestResult("Hosmer-Lemeshow, robust", wald, q, float(tail), null, f"Dependence: {described}.", details)
