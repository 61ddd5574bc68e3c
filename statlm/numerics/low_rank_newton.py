"""Maximising the low-rank multinomial logit: a trust region, truncated conjugate gradients, and a preconditioner by rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from statlm.numerics.blas_threads import single_threaded
from statlm.numerics.low_rank_logit import Factors, LowRankLogit
from statlm.numerics.types import Array

MAX_CG = 500
MAX_SHRINKINGS = 60  # of the trust region within an iteration
LAST_MOVE = 1e-5
# A step that moves no log-odds by more, or gains no more of the objective, ends the use of the expected information.
CLOSE, NEAR = 0.5, 1e-4
# Relative to the average diagonal entry of a block; keeps blocks of rows that the data hardly see invertible.
FLOOR = 1e-8


@dataclass(frozen=True, eq=False)
class LowRankOptimum:
    """Where the maximisation ended.

    Attributes
    ----------
    at : Factors
        Balanced: both factors have the same cross-product, which is diagonal.
    loglike : float
        Nats, penalty excluded.
    objective : float
        Nats, penalty included.
    gradient_norm : float
        Largest absolute entry of the gradient, an observation.
    step : float
        Largest change of a linear predictor in the last step.
    iterations : int
    converged : bool
    """

    at: Factors
    loglike: float
    objective: float
    gradient_norm: float
    step: float
    iterations: int
    converged: bool


def maximise(
    data: LowRankLogit,
    centre: Callable[[Factors], Factors],
    strength: float = 0.0,
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 500,
    stop: Callable[[LowRankLogit, float, float], bool] | None = None,
) -> LowRankOptimum:
    """Climb from a point to a maximum of the log-likelihood minus half the sum of squares of the factors times a strength.

    Parameters
    ----------
    data : LowRankLogit
        At the start.
    centre : callable
        Shifts a point along directions that leave the likelihood alone to where the sum of squares is smallest.
    strength : float
    tolerance : float
        Converged means a largest gradient entry below this an observation, and a last step that moves no linear predictor by
        more than 1e-5.
    max_iterations : int
    stop : callable, optional
        Called with the table at its point, the gradient norm and the last step; ends the climb when it returns true.
    """
    with single_threaded():
        return _climb(data, centre, strength, tolerance, max_iterations, stop)


def _climb(
    data: LowRankLogit,
    centre: Callable[[Factors], Factors],
    strength: float,
    tolerance: float,
    max_iterations: int,
    stop: Callable[[LowRankLogit, float, float], bool] | None,
) -> LowRankOptimum:
    here = data.moved(balanced(centre(data.at)))
    value = objective(here, strength)
    radius, step, norm = np.inf, np.inf, np.inf
    exact = False  # far out the expected information, which has no negative curvature, sees further
    iteration = 0
    for iteration in range(max_iterations + 1):
        gradient = here.gradient()
        slope = _penalised(gradient, here.at, strength).packed()
        norm = float(np.abs(slope).max(initial=0.0)) / here.nobs
        if norm < tolerance and step < LAST_MOVE:
            return LowRankOptimum(here.at, here.loglike, value, norm, step, iteration, True)
        if iteration == max_iterations or (stop is not None and stop(here, norm, step)):
            break
        precondition = preconditioner(here, strength)
        if np.isinf(radius):
            radius = 10.0 * float(np.sqrt(slope @ precondition(slope)))
        accuracy = min(0.1, max(norm**0.5, 1e-5))
        for _ in range(MAX_SHRINKINGS):
            direction, gain, length, bounded = _truncated(here, strength, exact, slope, precondition, radius, accuracy)
            along = here.at.unpacked(direction)
            trial = here.moved(
                Factors(here.at.intercepts + along.intercepts, here.at.left + along.left, here.at.right + along.right)
            )
            new = objective(trial, strength)
            rounding = 1e-12 * abs(value)
            if not np.isfinite(gain):  # the model of a step beyond the range of the arithmetic
                ratio, radius = -1.0, 0.25 * radius
                continue
            ratio = 1.0 if gain <= rounding and new >= value - rounding else (new - value) / max(gain, 1e-300)
            if ratio < 0.25:
                radius = 0.25 * length
            elif ratio > 0.75 and bounded:
                radius = 2.0 * radius
            if ratio > 1e-4 or gain <= rounding:
                break
        moved = here.predictors(Factors(along.intercepts[None], along.left[None], along.right[None]))[0]
        step = float(np.ptp(moved, axis=1).max(initial=0.0))
        exact = exact or step < CLOSE or gain < NEAR * abs(value)
        if ratio <= 1e-4:  # no progress beyond rounding: the point is as good as the arithmetic allows
            return LowRankOptimum(here.at, here.loglike, value, norm, step, iteration, norm < 1e-8 and step < 1e-3)
        here = data.moved(balanced(centre(trial.at)))
        value = objective(here, strength)
    return LowRankOptimum(here.at, here.loglike, value, norm, step, iteration, False)


def objective(data: LowRankLogit, strength: float) -> float:
    """Log-likelihood minus the penalty, nats."""
    squares = float((data.at.left**2).sum() + (data.at.right**2).sum())
    return data.loglike - 0.5 * strength * squares


def balanced(at: Factors) -> Factors:
    """The same product of the factors, shared out evenly: equal diagonal cross-products, the singular values, descending.

    Of all factors of a matrix these have the smallest sum of squares, twice its nuclear norm.
    """
    if at.rank == 0:
        return at
    q_left, r_left = np.linalg.qr(at.left)
    q_right, r_right = np.linalg.qr(at.right)
    u, values, vt = np.linalg.svd(r_left @ r_right.T)
    root = np.sqrt(values[: at.rank])
    left, right = np.zeros_like(at.left), np.zeros_like(at.right)
    size = len(root)
    left[:, :size] = (q_left @ u[:, :size]) * root
    right[:, :size] = (q_right @ vt.T[:, :size]) * root
    return Factors(at.intercepts, left, right)


def _penalised(along: Factors, at: Factors, strength: float) -> Factors:
    return Factors(along.intercepts, along.left - strength * at.left, along.right - strength * at.right)


def preconditioner(data: LowRankLogit, strength: float) -> Callable[[Array], Array]:
    """Inverse of the information's diagonal blocks, a row of the left factor or a class with its intercept at a time."""
    left, right = data.left_blocks(), data.right_blocks()
    rank = data.at.rank
    left[:, np.arange(rank), np.arange(rank)] += strength
    right[:, np.arange(1, rank + 1), np.arange(1, rank + 1)] += strength
    left, right = inverse_blocks(left), inverse_blocks(right)

    def solve(vector: Array) -> Array:
        along = data.at.unpacked(vector)
        solved = np.einsum("jkl,jl->jk", right, np.concatenate([along.intercepts[:, None], along.right], axis=1))
        return Factors(solved[:, 0], np.einsum("jkl,jl->jk", left, along.left), solved[:, 1:]).packed()

    return solve


def inverse_blocks(blocks: Array) -> Array:
    """(m, k, k) inverses of symmetric blocks, with a small ridge where they are all but singular."""
    k = blocks.shape[1]
    if k == 0:
        return blocks
    size = np.trace(blocks, axis1=1, axis2=2) / k
    floor = FLOOR * (size + max(float(size.max(initial=0.0)), 1e-300))
    blocks = blocks + floor[:, None, None] * np.eye(k)
    return np.asarray(np.linalg.inv(blocks))


def _truncated(
    data: LowRankLogit,
    strength: float,
    exact: bool,
    slope: Array,
    precondition: Callable[[Array], Array],
    radius: float,
    accuracy: float,
) -> tuple[Array, float, float, bool]:
    """Steihaug's conjugate gradients: a step, the gain that the quadratic model promises, its length, and whether it was cut.

    Lengths are in the norm of the preconditioner. A direction of negative curvature is followed to the edge of the region.
    """

    def curve(vector: Array) -> Array:
        along = data.at.unpacked(vector[None])
        found = data.product(along, exact)
        return Factors(found.intercepts, found.left + strength * along.left, found.right + strength * along.right).packed()[
            0
        ]

    x = np.zeros_like(slope)
    r = slope.copy()  # of the ascent: the step solves H x = slope
    z = precondition(r)
    p = z.copy()
    rz = float(r @ z)
    goal = accuracy**2 * rz
    xx, xp, pp = 0.0, 0.0, rz
    hx = np.zeros_like(slope)
    for _ in range(MAX_CG):
        hp = curve(p)
        bend = float(p @ hp)
        a = rz / bend if bend > 0 else np.inf
        if bend <= 0 or xx + 2 * a * xp + a * a * pp >= radius**2:
            a = (-xp + np.sqrt(xp * xp + pp * max(radius**2 - xx, 0.0))) / pp
            x, hx = x + a * p, hx + a * hp
            return x, float(slope @ x - 0.5 * (x @ hx)), radius, True
        x, hx = x + a * p, hx + a * hp
        r = r - a * hp
        xx += 2 * a * xp + a * a * pp
        z = precondition(r)
        rz, before = float(r @ z), rz
        if rz <= goal or rz <= 0:
            break
        b = rz / before
        xp = b * (xp + a * pp)
        pp = rz + b * b * pp
        p = z + b * p
    return x, float(slope @ x - 0.5 * (x @ hx)), float(np.sqrt(max(xx, 0.0))), False
