"""Where a multinomial logit has no finite maximum, and the likelihood that remains in the limit.

A *direction of recession* is a change of the coefficients along which the likelihood never falls: no class that was
observed after a context loses against any other. Going to infinity along it, the classes that lose get probability 0; the
likelihood of the others converges to that of a smaller model, the *completion*, whose maximum is the supremum of the original
(Geyer 2009, Likelihood inference in exponential families and directions of recession).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse as sparse

from statlm.numerics.grouped_logit import GroupedLogit
from statlm.numerics.types import Array

# Relative to a direction scaled to move some class by 1.
TOLERANCE = 1e-7
HEAVY = 1e8  # weight of the cells that must not move, against 1 for those that may
MAX_SWEEPS = 200
MAX_PROGRAMME = 20_000  # possible cells: a linear program on more takes minutes
MAX_RECTIFIED = 6000  # coefficients: the least squares are solved with a dense factor


@dataclass(frozen=True, eq=False)
class Completion:
    """The limiting model.

    Attributes
    ----------
    possible : (C, J) boolean array
        The classes that keep a positive probability in each context.
    directions : tuple of (P, J) arrays
        Directions of recession, in the order in which they are gone along: each decides among the classes that the ones
        before left level.
    """

    possible: Array
    directions: tuple[Array, ...]


def remaining(eta: Array, possible: Array) -> Array:
    """(C, J) classes still possible when going to infinity along a direction that moves the predictors by `eta`."""
    moved = np.where(possible, eta, -np.inf)
    return possible & (moved >= moved.max(axis=1, keepdims=True) - TOLERANCE)


def empty_margins(design: sparse.csr_array, counts: Array, indicators: sparse.csc_array) -> Completion:
    """Directions that a zero count of a class at a level gives by itself, again and again until there are none.

    Parameters
    ----------
    design : (C, P) sparse array
    counts : (C, J) array
    indicators : (P, I) sparse array
        Combinations of design columns that are 1 where some level is present and 0 elsewhere; reference levels too.

    Notes
    -----
    A class never observed where an indicator is 1 can be lowered there without harm. Contexts that are left with a single
    class are certain in the limit and say nothing more, which can empty further margins.
    """
    present = sparse.csr_array((design @ indicators).T)  # (I, C), zeros and ones
    possible = np.ones(counts.shape, bool)
    directions: list[Array] = []
    while True:
        live = possible.sum(axis=1) > 1
        margins = present @ np.where(live[:, None], counts, 0.0)
        could = present @ np.where(live[:, None], possible, False).astype(float)
        empty = (margins == 0) & (could > 0)  # (I, J)
        if not empty.any():
            return Completion(possible, tuple(directions))
        direction = -np.asarray(indicators @ empty.astype(float))  # (P, J)
        possible = np.where(live[:, None], remaining(np.asarray(design @ direction), possible), possible)
        directions.append(direction)


def recession(data: GroupedLogit, step: Array) -> Array | None:
    """A direction of recession near a Newton step, or None.

    Parameters
    ----------
    data : GroupedLogit
    step : (P, J) array
        A Newton step taken where the gradient is all but gone.

    Returns
    -------
    (P, J) array or None

    Notes
    -----
    Far out, a Newton step lowers the log-odds of what runs off by 1 a step and leaves the rest alone. With indicators for
    columns a direction of recession can be had in whole numbers, so the step is rounded first; what results is checked exactly.
    Only if that fails, as with covariates that are not whole numbers, is it sought by a linear program, or where the table is
    too large for one by least squares.
    """
    rounded = np.where(data.free, np.round(step), 0.0)
    if rounded.any() and (found := _checked(data, rounded)) is not None:
        return found
    if np.count_nonzero(data.possible) <= MAX_PROGRAMME:
        return _programme(data)
    moved = np.where(data.possible, data.design @ step, -np.inf)
    suspects = moved < moved.max(axis=1, keepdims=True) - 0.25
    return _rectified(data, suspects) if data.nfree <= MAX_RECTIFIED else None


def _programme(data: GroupedLogit) -> Array | None:
    """A direction of recession that lowers all cells that any lowers, by a linear program.

    Every observed class is level with the highest of its context, and the sum of how far the others fall below it, up to 1
    each, is maximised: directions of recession form a cone, so a sum of them lowers what any of them lowers.
    """
    columns, _ = data.index
    contexts = data.design.shape[0]
    largest = abs(data.design).max(axis=0).toarray().ravel()
    scale = np.where(largest > 0, largest, 1.0)[columns]  # so that units do not matter
    context, target = np.nonzero(data.possible)
    # One row a possible cell: its predictor minus the level of its context, plus its fall.
    position = np.full(data.free.shape, -1)
    position[data.index] = np.arange(data.nfree)
    rows = sparse.csr_array(data.design[context])
    cell = np.repeat(np.arange(len(context)), np.diff(rows.indptr))
    where = position[rows.indices, target[cell]]
    keep = where >= 0
    predictors = sparse.csr_array(
        (rows.data[keep] / scale[where[keep]], (cell[keep], where[keep])), shape=(len(context), data.nfree)
    )
    levels = sparse.csr_array((-np.ones(len(context)), (np.arange(len(context)), context)), shape=(len(context), contexts))
    seen = data.counts[context, target] > 0
    unseen = np.flatnonzero(~seen)
    if len(unseen) == 0:
        return None
    falls = sparse.csr_array((np.ones(len(unseen)), (unseen, np.arange(len(unseen)))), shape=(len(context), len(unseen)))
    system = sparse.hstack([predictors, levels, falls], format="csr")
    found = scipy.optimize.linprog(
        -np.concatenate([np.zeros(data.nfree + contexts), np.ones(len(unseen))]),
        A_ub=system[unseen],
        b_ub=np.zeros(len(unseen)),
        A_eq=system[np.flatnonzero(seen)],
        b_eq=np.zeros(int(seen.sum())),
        bounds=np.concatenate(
            [np.tile([-np.inf, np.inf], (data.nfree + contexts, 1)), np.tile([0.0, 1.0], (len(unseen), 1))]
        ),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10},
    )
    if found.x is None:
        return None
    direction = np.zeros(data.free.shape)
    direction[data.index] = found.x[: data.nfree] / scale
    return _checked(data, direction)


def _rectified(data: GroupedLogit, suspects: Array) -> Array | None:
    """A direction of recession that lowers suspect cells, possible ones with a count of zero, and leaves all others level.

    The iterative rectifier of Correia, Guimaraes and Zylkin (2019): least squares of a target on the suspect cells, all others
    held near zero by a heavy weight, with an effect for each context; then the target is replaced by the negative part of the
    fit, until the fit is nowhere positive. The result is checked, not trusted.
    """
    suspects = suspects & data.possible & (data.counts == 0)
    if not suspects.any():
        return None
    weights = np.where(data.possible, np.where(suspects, 1.0, HEAVY), 0.0)
    matrix = data.curvature(weights).toarray()
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    matrix /= scale[:, None]
    matrix /= scale
    matrix[np.diag_indices_from(matrix)] += 1e-14
    try:
        factor = scipy.linalg.cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    except scipy.linalg.LinAlgError:
        return None
    total = weights.sum(axis=1, keepdims=True)
    target = np.where(suspects, -1.0, 0.0)
    for _ in range(MAX_SWEEPS):
        mean = (weights * target).sum(axis=1, keepdims=True) / np.maximum(total, 1.0)
        right = np.asarray(data.design.T @ (weights * (target - mean)))[data.index]
        direction = np.zeros(data.free.shape)
        direction[data.index] = scipy.linalg.cho_solve(factor, right / scale, check_finite=False) / scale
        moved = np.asarray(data.design @ direction)
        level = np.where(data.possible & ~suspects, moved, -np.inf).max(axis=1, keepdims=True)
        relative = np.where(suspects, moved - level, 0.0)
        if not (relative < -TOLERANCE).any():
            return None
        if relative.max() <= TOLERANCE:
            return _checked(data, direction / -relative.min())
        target = np.minimum(relative, 0.0)
    return None


def _checked(data: GroupedLogit, direction: Array) -> Array | None:
    """The direction if every observed class stays level with the best of its context, else None."""
    moved = np.where(data.possible, data.design @ direction, -np.inf)
    level = moved.max(axis=1, keepdims=True)
    observed = data.counts > 0
    harmless = bool((np.where(observed, level - moved, 0.0) <= TOLERANCE).all())
    lowers = bool((data.possible & (moved < level - 1e3 * TOLERANCE)).any())
    return direction if harmless and lowers else None
