"""Newton's method for the grouped multinomial logit: exact steps while the information is small, conjugate gradients above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from statlm.numerics.blas_threads import single_threaded
from statlm.numerics.grouped_logit import Curvature, GroupedLogit
from statlm.numerics.ridge import Ridge
from statlm.numerics.types import Array

# Up to here a Cholesky factor of the information costs less than the conjugate-gradient steps it replaces.
MAX_DIRECT = 600
MAX_HALVINGS = 40
MAX_CG = 2000
# A step that moves a log-odds by more trusts the quadratic model where it is far off; probabilities of 1e-40 have no curvature.
MAX_MOVE = 4.0
LAST_MOVE = 1e-5


@dataclass(frozen=True, slots=True)
class Optimum:
    """Where the maximisation ended.

    Attributes
    ----------
    coefficients : (P, J) array
    loglike : float
        Nats, penalty excluded.
    gradient_norm : float
        Largest absolute entry of the gradient, an observation.
    step : float
        Largest change of a linear predictor in the last step: small at an interior maximum, about 1 on the way to infinity.
    direction : (P, J) array
        The last step.
    iterations : int
    converged : bool
    """

    coefficients: Array
    loglike: float
    gradient_norm: float
    step: float
    direction: Array
    iterations: int
    converged: bool


def maximise(
    data: GroupedLogit,
    start: Array,
    *,
    ridge: Ridge | None = None,
    tolerance: float = 1e-9,
    max_iterations: int = 100,
    watch: Callable[[int, float, float, float], bool] | None = None,
) -> Optimum:
    """Maximise the log-likelihood, minus a ridge penalty if there is one.

    Parameters
    ----------
    data : GroupedLogit
    start : (P, J) array
    ridge : Ridge, optional
    tolerance : float
        Converged means a largest gradient entry below this an observation, and a last step that no longer moves any linear
        predictor by more than 1e-5: Newton's method doubles the digits, so the coefficients then have ten.
    max_iterations : int
    watch : callable, optional
        Called with (iteration, loglike, gradient norm, step); stops when it returns true.
    """
    coefficients = start.copy()
    logp = data.log_probabilities(coefficients)
    value = _objective(data, logp, coefficients, ridge)
    step_size = norm = np.inf
    full = np.zeros_like(coefficients)
    iteration = 0
    for iteration in range(1, max_iterations + 1):
        probabilities = np.exp(logp)
        gradient = data.gradient(probabilities)[data.index]
        if ridge is not None:
            gradient -= ridge.product(coefficients)[data.index]
        norm = float(np.abs(gradient).max(initial=0.0)) / data.nobs
        if norm < tolerance and step_size < LAST_MOVE:
            return Optimum(coefficients, data.loglike(logp), norm, step_size, full, iteration - 1, True)
        curvature = data.curvature(data.totals[:, None] * probabilities)
        direction = newton_direction(curvature, gradient, ridge, norm)
        full = np.zeros_like(coefficients)
        full[data.index] = direction
        slope = float(gradient @ direction)
        moved = np.where(data.possible, data.design @ full, 0.0)
        length = min(1.0, MAX_MOVE / max(float(np.abs(moved).max(initial=0.0)), 1e-300))
        for _ in range(MAX_HALVINGS):
            trial = coefficients + length * full
            trial_logp = data.log_probabilities(trial)
            trial_value = _objective(data, trial_logp, trial, ridge)
            if trial_value >= value + 1e-4 * length * slope - 1e-12 * abs(value):
                break
            length /= 2
        else:
            # No progress beyond rounding: the point is as good as the arithmetic allows.
            step_size = 0.0
            return Optimum(coefficients, data.loglike(logp), norm, step_size, full, iteration, norm < 1e-8)
        coefficients, logp, value = trial, trial_logp, trial_value
        step_size = length * float(np.abs(moved).max(initial=0.0))
        if watch is not None and watch(iteration, value, norm, step_size):
            break
    return Optimum(coefficients, data.loglike(logp), norm, step_size, full, iteration, False)


def _objective(data: GroupedLogit, logp: Array, coefficients: Array, ridge: Ridge | None) -> float:
    return data.loglike(logp) - (0.0 if ridge is None else ridge.value(coefficients))


def newton_direction(curvature: Curvature, gradient: Array, ridge: Ridge | None, norm: float) -> Array:
    """Solve ``(H + ridge) direction = gradient``, exactly or to a precision that rises as the gradient falls."""
    if len(gradient) <= MAX_DIRECT:
        matrix = curvature.toarray()
        if ridge is not None:
            matrix += ridge.toarray(curvature.data.index)
        scale = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
        matrix /= scale[:, None]
        matrix /= scale
        matrix[np.diag_indices_from(matrix)] += 1e-13  # keeps the factor finite on the way to infinity
        try:
            factor = scipy.linalg.cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
            return scipy.linalg.cho_solve(factor, gradient / scale, check_finite=False) / scale
        except scipy.linalg.LinAlgError:
            pass  # numerically singular: conjugate gradients move only where there is information
    with single_threaded():
        return conjugate_gradients(curvature, gradient, ridge, min(0.1, max(norm**0.5, 1e-12)))


def conjugate_gradients(curvature: Curvature, right: Array, ridge: Ridge | None, tolerance: float) -> Array:
    """Preconditioned conjugate gradients; the preconditioner is the diagonal block of each design column.

    Stops at a residual of ``tolerance`` relative to the right-hand side, in the norm of the preconditioner.
    """
    index = curvature.data.index
    blocks = []
    for where, block in curvature.column_blocks():
        if ridge is not None:
            block += ridge.toarray((index[0][where], index[1][where]))
        size = np.abs(np.diag(block)).max(initial=0.0)
        block[np.diag_indices_from(block)] += 1e-12 * size + 1e-300
        try:
            blocks.append((where, scipy.linalg.inv(block, check_finite=False)))
        except scipy.linalg.LinAlgError:
            blocks.append((where, np.diag(1.0 / np.diag(block))))

    def precondition(r: Array) -> Array:
        z = np.empty_like(r)
        for where, inverse in blocks:
            z[where] = inverse @ r[where]
        return z

    x = np.zeros_like(right)
    r = right.copy()
    z = precondition(r)
    p = z.copy()
    rz = float(r @ z)
    goal = tolerance**2 * rz
    for _ in range(MAX_CG):
        if rz <= goal or rz <= 0:
            break
        q = curvature @ p
        if ridge is not None:
            full = np.zeros(curvature.data.free.shape)
            full[index] = p
            q += ridge.product(full)[index]
        curve = float(p @ q)
        if curve <= 0:
            break
        a = rz / curve
        x += a * p
        r -= a * q
        z = precondition(r)
        rz, before = float(r @ z), rz
        p = z + (rz / before) * p
    return x


def smoothed_start(data: GroupedLogit, ridge: Ridge | None = None) -> Array:
    """(P, J) coefficients near the maximum: log shares, smoothed towards the margins, projected on the design.

    The usual first step of iteratively reweighted least squares; from it Newton's method needs a handful of steps, while from
    zero its first steps overshoot far.
    """
    marginal = data.counts.sum(axis=0)
    prior = np.where(data.possible, np.maximum(marginal / marginal.sum(), 1e-8), 0.0)
    prior /= prior.sum(axis=1, keepdims=True)
    shares = (data.counts + prior) / (data.totals[:, None] + 1.0)
    return projected(data, data.totals[:, None] * shares, np.log(np.where(data.possible, shares, 1.0)), ridge)


def restarted(data: GroupedLogit, coefficients: Array) -> Array:
    """(P, J) free coefficients that give nearly the same probabilities of the possible classes as these coefficients."""
    logp = data.log_probabilities(coefficients)
    return projected(data, data.totals[:, None] * np.exp(logp), np.where(data.possible, logp, 0.0), None)


def projected(data: GroupedLogit, weights: Array, target: Array, ridge: Ridge | None, tolerance: float = 1e-4) -> Array:
    """(P, J) coefficients of the weighted least-squares fit to (C, J) linear predictors, with an effect for each context."""
    mean = (weights * target).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    right = np.asarray(data.design.T @ (weights * (target - mean)))[data.index]
    start = np.zeros(data.free.shape)
    start[data.index] = newton_direction(data.curvature(weights), right, ridge, tolerance**2)
    return start
