"""Takeuchi's criterion, and the effective number of parameters that it charges for."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator

from statlm import measures
from statlm.covariance import Covariance, Dependence, Sandwich, resolve_cov
from statlm.covariance.bread import bread
from statlm.covariance.functionals import quadratic_forms, row_slices
from statlm.covariance.hac import MovingSums
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.maxima import check_maximum, name_of
from statlm.likelihood import Likelihood, is_likelihood, is_penalised, underlying
from statlm.measures.fit_measures import check_maximum as check_unpenalised
from statlm.numerics.cell_form import CellForm
from statlm.numerics.damped import SMALL
from statlm.numerics.linalg import Factor, factorise, identity
from statlm.numerics.repeated_rows import RepeatedRows, dense
from statlm.numerics.types import Matrix
from statlm.text.corpus import Corpus


@runtime_checkable
class InCells(Protocol):
    """A likelihood whose scores have inner products under the inverse information in closed form, cell by cell."""

    def solved_scores(self) -> CellForm:
        """The products, with the precision of a penalty in the information."""
        ...


PROBES, TOGETHER = 16, 4  # random vectors of a stochastic trace, and how many are solved for together
SPARSE_ROWS = 4096  # rows of a sparse factor whose sparse solutions are held at a time


def effective_parameters(fit: Likelihood, cov: str | Covariance | Dependence = "HC0") -> float:
    r"""Effective number of parameters, the trace of :math:`H^{-1} J`.

    H is the information (with the precision of the penalty, where one was fitted) and J the variance of the summed scores
    under an assumption on dependence. Where the model is right and observations are independent given their contexts, it
    estimates the number of finite parameters; where the model is wrong, how far the log-likelihood on the training text
    exceeds that on new text, in nats: half of that gap comes from the estimate having moved, half from the text it moved to.

    Parameters
    ----------
    fit : Fit or Likelihood
        At its estimate, on the corpus it was fitted to.
    cov : str or object
        "HC0", "cluster", "HAC", or an assumption on dependence such as ``slm.Clustered()``: how J is estimated.

    Returns
    -------
    float
        Parameters.

    Raises
    ------
    SpecificationError
        If `cov` is no sandwich, or an unpenalised model is not at its maximum on this corpus.
    SingularInformation
        If some combination of the parameters is not identified.
    NoEstimate
        If the model has no parameters and derivatives, or an observation has probability 0.

    Notes
    -----
    With a factor F of J, F'F = J, the trace is the sum over its rows (one a distinct observation, or one a document) of
    :math:`f' H^{-1} f`, or over the parameters of :math:`(F e_j)'(F H^{-1} e_j)` where they are fewer; a slice of either at a
    time, and no p x p matrix beyond what the information itself is. An n-gram has the products :math:`s_k' H^{-1} s_l` of
    its cells in closed form, and half a million parameters take seconds. Of a network with more than 1,500 weights the trace is
    stochastic, the mean of :math:`u' H^{-1} u` over 16 sums u of scores with random signs: its relative Monte-Carlo error is at
    most about :math:`\sqrt{1 / (8 m)}` where m of the weights are effective, and less than a tenth from a dozen on.

    It is exactly p for an n-gram by maximum likelihood: the model is saturated and J = H. Parameters on the boundary (counts of
    0, coefficients at infinity) are not among the p, although `dof` counts them.

    References
    ----------
    Takeuchi (1976), Distribution of informational statistics and a criterion of model fitting. Suri-Kagaku 153 (in Japanese).
    Shibata (1989), Statistical aspects of model selection, for penalised estimates. Hutchinson (1989), A stochastic estimator of
    the trace of the influence matrix. Communications in Statistics 18.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abracadabra" * 10))
    >>> round(effective_parameters(fit), 6)
    4.0
    """
    chosen = resolve_cov(cov)
    if not isinstance(chosen, Sandwich):
        raise SpecificationError(
            f"{cov!r} takes the model to be right, where the effective parameters are the parameters, or is made without a "
            "variance of summed scores. Name how the scores depend on each other: 'HC0', 'cluster', 'HAC', or an object such "
            "as Clustered()."
        )
    model = underlying(fit)
    if not is_likelihood(model):
        raise NoEstimate(
            f"{name_of(fit)} has no parameters and derivatives, so there is no trace to take. Compare on held-out text: "
            "compare(..., on=test)."
        )
    if not is_penalised(model):
        try:
            check_maximum(model, name_of(fit))
        except SpecificationError as error:
            raise SpecificationError(
                f"{name_of(fit)} is not at its maximum on this corpus, and away from it the trace says nothing about the "
                "estimate. Pass the fit itself, on the corpus it was fitted to."
            ) from error
    if len(model.params) == 0:
        return 0.0
    if isinstance(model, InCells) and np.isfinite(model.loglike_obs()).all():
        return _trace_in_cells(model.solved_scores(), chosen.dependence, model.corpus)
    score = model.score()
    if isinstance(score, LinearOperator) and score.shape[1] > SMALL:
        return _stochastic_trace(score, chosen.dependence, model.corpus, factorise(bread(model)))
    factor = chosen.dependence.factor(score, model.corpus)
    return _trace(factor, factorise(bread(model)))


def tic(fit: Likelihood, cov: str | Covariance | Dependence = "HC0") -> float:
    r"""Takeuchi's criterion :math:`-2 \ell + 2\,\mathrm{tr}(H^{-1} J)`, nats: AIC's generalisation to models that are wrong.

    Parameters
    ----------
    fit : Fit or Likelihood
        At its maximum-likelihood estimate, on the corpus it was fitted to.
    cov : str or object
        As of `effective_parameters`.

    Returns
    -------
    float
        Smaller is better; comparable between models of the same observations under the same `cov`.

    Raises
    ------
    NoEstimate
        If the estimate is penalised, or as `effective_parameters` says.
    SpecificationError, SingularInformation
        As of `effective_parameters`.

    Notes
    -----
    The trace is itself an estimate, and a noisy one where parameters are many and counts small; with parameters on the boundary
    it charges for the finite ones only, and flatters the model.

    References
    ----------
    Takeuchi (1976). Konishi and Kitagawa (2008), Information criteria and statistical modeling, chapter 3.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abracadabra" * 10))
    >>> abs(tic(fit) - fit.aic) < 1e-6
    True
    """
    if is_likelihood(fit):
        check_unpenalised(fit, "TIC")
    penalty = 2.0 * effective_parameters(fit, cov)
    return measures.deviance(fit) + penalty


def _trace_in_cells(form: CellForm, dependence: Dependence, corpus: Corpus) -> float:
    """The trace from sums of cells in place of sums of scores, each of which touches a whole context."""
    factor = dependence.factor(RepeatedRows(identity(form.ncells + 1), form.cell), corpus)
    if not isinstance(factor, MovingSums):
        return form.trace(factor)
    lags = factor.lags
    apart = [(1 - lag / (lags + 1)) * form.at_lag(lag, corpus.document_index) for lag in range(1, lags + 1)]
    return form.at_lag(0, corpus.document_index) + 2 * float(sum(apart))


def _stochastic_trace(score: LinearOperator, dependence: Dependence, corpus: Corpus, inverse: Factor) -> float:
    """Mean of ``u' H^-1 u`` over sums u of scores with random signs, whose second moment is J (Hutchinson 1989)."""
    rows = dependence.factor(identity(corpus.nobs), corpus)  # J = S' rows' rows S
    if not sparse.issparse(rows):
        raise NoEstimate(
            f"The trace of {score.shape[1]:,} weights is taken over sums of scores with random signs, one sign an observation or "
            f"a cluster, and this dependence has no such units ({dependence.describe(corpus)}). Use cov='HC0' or 'cluster'."
        )
    rng = np.random.default_rng(0)
    total = 0.0
    for _ in range(0, PROBES, TOGETHER):
        signs = rng.choice([-1.0, 1.0], size=(rows.shape[0], TOGETHER))
        sums = np.asarray(score.T @ (rows.T @ signs))
        total += float((sums * inverse.solve(sums)).sum())
    return total / PROBES


def _trace(factor: Matrix, inverse: Factor) -> float:
    """``tr(F H^-1 F')``, over the rows of F or over its columns, whichever are fewer."""
    rows, p = factor.shape
    if sparse.issparse(factor):
        factor = sparse.csr_array(factor)
        if sparse.issparse(inverse.solve(factor[:1].T)):  # solutions stay within blocks: many rows at a time
            parts = (factor[i : i + SPARSE_ROWS] for i in range(0, rows, SPARSE_ROWS))
            return float(sum(part.multiply(inverse.solve(part.T).T).sum() for part in parts))
    if rows <= p and (sparse.issparse(factor) or isinstance(factor, np.ndarray)):
        return float(quadratic_forms(factor, inverse.solve).sum())
    total = 0.0
    for some in row_slices(identity(p), rows):
        unit = dense(some.T) if isinstance(factor, LinearOperator) else some.T
        total += float((dense(factor @ unit) * dense(factor @ inverse.solve(unit))).sum())
    return total
