"""Maximum likelihood for a table of contexts, separation included: complete, identify, maximise, and look again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from statlm.errors import NoEstimate, SpecificationError
from statlm.numerics.firth import maximise_firth
from statlm.numerics.grouped_logit import GroupedLogit
from statlm.numerics.identification import identified
from statlm.numerics.logit_newton import Optimum, maximise, projected, restarted, smoothed_start
from statlm.numerics.rank import rank_of
from statlm.numerics.ridge import Ridge
from statlm.numerics.separation import empty_margins, recession, remaining
from statlm.numerics.types import Array

MAX_COMPLETIONS = 50
INTERCEPT_PRIORITY = 100.0
MAX_FIRTH = 5000  # coefficients: each step inverts their information, 0.2 GB
# Gradient norms an observation at which a step that is still large raises the suspicion that the maximum is at infinity.
SUSPICIONS = (1e-6, 1e-8, 0.0)
FLAT = 1e-9  # a gradient below this is no reason to go on
LOWEST = -30.0  # log-probability of what a similar table excluded, and this one does not at once
PATIENCE = 30  # steps after which steps that are still large are suspect whatever the gradient


@dataclass(frozen=True, eq=False)
class Estimate:
    """What the maximisation found.

    Attributes
    ----------
    coefficients : (P, J) array
        Zero where not free.
    free : (P, J) boolean array
        The coefficients that are finite and identified.
    directions : tuple of (P, J) arrays
        Directions of recession along which the supremum of the likelihood is approached.
    iterations : int
        Newton steps, over all completions.
    gradient_norm : float
        An observation.
    converged : bool
    """

    coefficients: Array
    free: Array
    directions: tuple[Array, ...]
    iterations: int
    gradient_norm: float
    converged: bool


def estimate(
    design: sparse.csr_array,
    counts: Array,
    indicators: sparse.csc_array,
    reference: int,
    *,
    ridge: Ridge | None = None,
    firth: bool = False,
    start: Array | None = None,
    max_iterations: int = 200,
    progress: Callable[[int, float, float], None] | None = None,
) -> Estimate:
    """Fit a multinomial logit to a table of contexts.

    Parameters
    ----------
    design : (C, P) sparse array
    counts : (C, J) array
    indicators : (P, I) sparse array
        See `empty_margins`.
    reference : int
        Class whose coefficients are zero.
    ridge : Ridge, optional
        With a penalty nothing separates.
    firth : bool
        Firth's penalty, half the log determinant of the information.
    start : (C, J) array, optional
        Log-probabilities near those of the maximum, as of a fit to a similar table. Without them it starts at smoothed shares.
    max_iterations : int
    progress : callable, optional
        Called with (iteration, log-likelihood, gradient norm an observation).

    Raises
    ------
    NoEstimate
        If the maximisation does not converge.
    SpecificationError
        If Firth's penalty is asked for with more than `MAX_FIRTH` coefficients.
    """
    shape = (design.shape[1], counts.shape[1])
    free = np.ones(shape, bool)
    free[:, reference] = False
    if ridge is not None:
        data = GroupedLogit(design, counts, np.ones(counts.shape, bool), free)
        optimum = _maximise(data, _started(data, start, ridge), ridge, max_iterations, progress, 0)
        return _finished(optimum, data, (), optimum.iterations)

    if firth:
        return _firth(design, counts, free, reference, max_iterations, progress)

    completion = empty_margins(design, counts, indicators)
    possible, directions = completion.possible, list(completion.directions)
    priority = np.ones(shape[0])
    priority[0] = INTERCEPT_PRIORITY
    iterations = 0
    coefficients: Array | None = None
    for _ in range(MAX_COMPLETIONS):
        live = np.flatnonzero(possible.sum(axis=1) > 1)  # the others are certain and say nothing
        data = GroupedLogit(design[live], counts[live], possible[live], free)
        data = replace(data, free=identified(data, reference, priority))
        if len(live) == 0:  # separated completely: every observation is certain in the limit, and no coefficient finite
            return Estimate(np.zeros(shape), data.free, tuple(directions), iterations, 0.0, True)
        if coefficients is None:
            coefficients = _started(data, None if start is None else start[live])
        else:
            coefficients = restarted(data, coefficients)
        direction = None
        for suspicion in SUSPICIONS:
            optimum = _maximise(data, coefficients, None, max_iterations - iterations, progress, iterations, suspicion)
            iterations += optimum.iterations
            if optimum.converged and optimum.step < 0.5:
                return _finished(optimum, data, tuple(directions), iterations)
            coefficients = optimum.coefficients
            direction = recession(data, optimum.direction)
            if direction is not None:
                break
        if direction is None:
            return _finished(optimum, data, tuple(directions), iterations)
        possible[live] = remaining(np.asarray(data.design @ direction), data.possible)
        directions.append(direction)
    raise NoEstimate(
        f"The likelihood was still rising towards infinity after {MAX_COMPLETIONS} directions of recession were followed. "
        "Merge rare types (min_count=), use fewer lags, or penalty='ridge'."
    )


def _started(data: GroupedLogit, logp: Array | None, ridge: Ridge | None = None) -> Array:
    """(P, J) coefficients to start at."""
    if logp is None:
        return smoothed_start(data, ridge)
    logp = np.where(data.possible, np.maximum(logp, LOWEST), 0.0)
    weights = np.where(data.possible, data.totals[:, None] * np.exp(logp), 0.0)
    return projected(data, weights, logp, None)


def _firth(
    design: sparse.csr_array,
    counts: Array,
    free: Array,
    reference: int,
    max_iterations: int,
    progress: Callable[[int, float, float], None] | None,
) -> Estimate:
    data = GroupedLogit(design, counts, np.ones(counts.shape, bool), free)
    nfree = rank_of(design) * (counts.shape[1] - 1)
    if nfree > MAX_FIRTH:
        raise SpecificationError(
            f"Firth's penalty inverts the information at each step, and that of {nfree:,} coefficients takes "
            f"{8e-9 * nfree * nfree:,.2g} GB and minutes each time; at most {MAX_FIRTH:,} coefficients are taken. Use fewer lags "
            "or terms, merge rare types (min_count=), or penalty='ridge'."
        )
    priority = np.ones(design.shape[1])
    priority[0] = INTERCEPT_PRIORITY
    data = replace(data, free=identified(data, reference, priority))

    def watch(iteration: int, value: float, norm: float, step: float) -> bool:
        if progress is not None:
            progress(iteration, value, norm)
        return False

    optimum = maximise_firth(data, smoothed_start(data), max_iterations=max_iterations, watch=watch)
    return _finished(optimum, data, (), optimum.iterations)


def _maximise(
    data: GroupedLogit,
    start: Array,
    ridge: Ridge | None,
    max_iterations: int,
    progress: Callable[[int, float, float], None] | None,
    before: int,
    suspicion: float = 0.0,
) -> Optimum:
    def watch(iteration: int, value: float, norm: float, step: float) -> bool:
        if progress is not None:
            progress(before + iteration, value, norm)
        return step > 0.9 and (norm < suspicion or (suspicion > 0 and iteration >= PATIENCE))

    return maximise(data, start, ridge=ridge, max_iterations=max_iterations, watch=watch)


def _finished(optimum: Optimum, data: GroupedLogit, directions: tuple[Array, ...], iterations: int) -> Estimate:
    if not optimum.converged:
        flat = optimum.gradient_norm < FLAT
        still = (
            f"the gradient is {optimum.gradient_norm:.2g} an observation, and yet the last step moved a linear predictor by "
            f"{optimum.step:.2g}, so coefficients run off where no single cell forces them to"
            if flat
            else f"the largest gradient entry is still {optimum.gradient_norm:.2g} an observation (1e-9 is asked)"
        )
        raise NoEstimate(
            f"The fit did not converge in {iterations} Newton steps: {still}. Use fewer lags or terms, merge rare types "
            "(min_count=), or add penalty='ridge' or 'firth'."
        )
    return Estimate(optimum.coefficients, data.free, directions, iterations, optimum.gradient_norm, optimum.converged)
