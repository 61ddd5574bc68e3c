"""Firth's penalised likelihood for the grouped multinomial logit: half the log determinant of the information is added.

The penalty is the logarithm of Jeffreys' prior. Its maximum is always finite, separation or not, and its bias is of smaller order
than that of maximum likelihood (Firth 1993; Kosmidis and Firth 2021).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg

from statlm.errors import SingularInformation
from statlm.numerics.grouped_logit import BLOCK, GroupedLogit
from statlm.numerics.logit_newton import LAST_MOVE, MAX_HALVINGS, MAX_MOVE, Optimum
from statlm.numerics.types import Array


def maximise_firth(
    data: GroupedLogit,
    start: Array,
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 200,
    watch: Callable[[int, float, float, float], bool] | None = None,
) -> Optimum:
    r"""Maximise :math:`\ell(\theta) + \tfrac12 \log\det I(\theta)` over the free coefficients, which must be identified.

    With :math:`q_{cj}` the variance of :math:`\log p_{cj}` by the inverse of the information, the gradient is that of a
    multinomial with :math:`\tfrac12 n_c p_{cj} q_{cj}` observations added to each cell:

    .. math:: \sum_c x_c \Big[ y_{cj} - n_c p_{cj} + \tfrac12 n_c p_{cj} \big(q_{cj} - \textstyle\sum_k p_{ck} q_{ck}\big) \Big]

    Steps are Fisher scoring with the totals of such a table, which in a saturated model (where half an observation is added to
    each cell) makes them Newton steps.

    Parameters
    ----------
    data : GroupedLogit
        All classes possible.
    start : (P, J) array
    tolerance : float
        As of `maximise`.
    max_iterations : int
    watch : callable, optional
        Called with (iteration, penalised log-likelihood, gradient norm, step); stops when it returns true.

    References
    ----------
    Firth (1993), Bias reduction of maximum likelihood estimates. Biometrika 80. Kosmidis and Firth (2011), Multinomial logit bias
    reduction via the Poisson log-linear model. Biometrika 98. Kosmidis and Firth (2021), Jeffreys-prior penalty, finiteness and
    shrinkage in binomial-response generalized linear models. Biometrika 108.
    """
    coefficients = start.copy()
    logp = data.log_probabilities(coefficients)
    value, inverse = _penalised(data, logp)
    step_size = norm = np.inf
    full = np.zeros_like(coefficients)
    nclasses = data.counts.shape[1]
    iteration = 0
    for iteration in range(1, max_iterations + 1):
        p = np.exp(logp)
        q = log_probability_variances(data, p, inverse())
        mean = (p * q).sum(axis=1, keepdims=True)  # the leverage of an observation of each context
        totals = data.totals[:, None]
        residual = data.counts - totals * p + 0.5 * totals * p * (q - mean)
        gradient = np.asarray(data.design.T @ residual)[data.index]
        norm = float(np.abs(gradient).max(initial=0.0)) / data.nobs
        if norm < tolerance and step_size < LAST_MOVE:
            return Optimum(coefficients, data.loglike(logp), norm, step_size, full, iteration - 1, True)
        weights = totals * (1.0 + mean * nclasses / (2.0 * (nclasses - 1))) * p
        full = np.zeros_like(coefficients)
        full[data.index] = _Factor(data.curvature(weights).toarray()).solve(gradient)
        slope = float(gradient @ full[data.index])
        moved = data.design @ full
        length = min(1.0, MAX_MOVE / max(float(np.abs(moved).max(initial=0.0)), 1e-300))
        for _ in range(MAX_HALVINGS):
            trial = coefficients + length * full
            trial_logp = data.log_probabilities(trial)
            trial_value, trial_inverse = _penalised(data, trial_logp)
            if trial_value >= value + 1e-4 * length * slope - 1e-12 * abs(value):
                break
            length /= 2
        else:
            return Optimum(coefficients, data.loglike(logp), norm, 0.0, full, iteration, norm < 1e-8)
        coefficients, logp, value, inverse = trial, trial_logp, trial_value, trial_inverse
        step_size = length * float(np.abs(moved).max(initial=0.0))
        if watch is not None and watch(iteration, value, norm, step_size):
            break
    return Optimum(coefficients, data.loglike(logp), norm, step_size, full, iteration, False)


def log_probability_variances(data: GroupedLogit, probabilities: Array, covariance: Array) -> Array:
    """(C, J) variances of the log-probabilities of each context, by the delta method.

    Parameters
    ----------
    data : GroupedLogit
    probabilities : (C, J) array
        Zero where a class is impossible.
    covariance : (p, p) array
        Of the free coefficients.

    Notes
    -----
    Their mean over the classes of a context, weighted by the probabilities, is the leverage of one of its observations:
    summed over observations, with the inverse of the information, it is the number of coefficients.
    """
    if data.nfree == 0:
        return np.zeros(probabilities.shape)
    ncolumns, nclasses = data.free.shape
    pairs, first, second = data._column_pairs
    position = np.full((ncolumns, nclasses), -1)
    position[data.index] = np.arange(data.nfree)
    blocks = np.zeros((len(first), nclasses, nclasses))
    step = max(1, BLOCK // nclasses**2)
    for start in range(0, len(first), step):
        part = slice(start, start + step)
        row, column = position[first[part]], position[second[part]]
        inside = (row >= 0)[:, :, None] & (column >= 0)[:, None, :]
        block = np.where(inside, covariance[row[:, :, None], column[:, None, :]], 0.0)
        twice = (first[part] != second[part])[:, None, None]
        blocks[part] = np.where(twice, block + block.transpose(0, 2, 1), block)
    flat = blocks.reshape(len(first), -1)
    result = np.empty(probabilities.shape)
    for start in range(0, len(probabilities), step):
        p = probabilities[start : start + step]
        v = (pairs[start : start + step] @ flat).reshape(-1, nclasses, nclasses)  # covariance of the linear predictors
        vp = np.einsum("cjk,ck->cj", v, p)
        result[start : start + step] = np.einsum("cjj->cj", v) - 2 * vp + np.einsum("cj,cj->c", vp, p)[:, None]
    return result


class _Factor:
    """Cholesky factor of the information, scaled to a unit diagonal."""

    def __init__(self, matrix: Array) -> None:
        self._scale = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
        matrix /= self._scale[:, None]
        matrix /= self._scale
        self._factor = scipy.linalg.cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)

    @property
    def log_determinant(self) -> float:
        return 2 * float(np.log(np.diag(self._factor)).sum() + np.log(self._scale).sum())

    def solve(self, right: Array) -> Array:
        return scipy.linalg.cho_solve((self._factor, True), right / self._scale, check_finite=False) / self._scale

    def inverse(self) -> Array:
        inverse, _ = scipy.linalg.lapack.dpotri(self._factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        inverse /= self._scale[:, None]
        inverse /= self._scale
        return inverse


def _penalised(data: GroupedLogit, logp: Array) -> tuple[float, Callable[[], Array]]:
    """Penalised log-likelihood, and the inverse of the information on request."""
    try:
        factor = _Factor(data.curvature(data.totals[:, None] * np.exp(logp)).toarray())
    except scipy.linalg.LinAlgError:
        return -np.inf, _no_inverse
    return data.loglike(logp) + 0.5 * factor.log_determinant, factor.inverse


def _no_inverse() -> Array:
    raise SingularInformation(
        "The information is singular to working precision where the penalised fit would start, so Firth's penalty is not "
        "defined. Drop redundant terms, merge rare types (min_count=), or use penalty='ridge'."
    )
