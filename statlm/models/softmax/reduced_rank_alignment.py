"""What a fit of low rank makes of the parameters of another, to first order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sparse

from statlm.errors import NoEstimate
from statlm.numerics.identified_solution import Determined
from statlm.numerics.low_rank_logit import Factors
from statlm.numerics.types import Array

if TYPE_CHECKING:
    from statlm.models.softmax.reduced_rank import ReducedRankLikelihood


def aligned_params(mine: ReducedRankLikelihood, other: ReducedRankLikelihood) -> Determined:
    """Parameters of another fit, moved by the part of the difference to this one that they can follow in a straight line.

    The difference of the two coefficient matrices, in the other's references, is projected on the tangent space of matrices of
    its
    rank at the other's. Where the fits are near this is what they differ by; where they are not, pivot classes that are such
    for one
    need not be for the other, and parameters read off exactly would be anywhere.

    Parameters
    ----------
    mine, other : ReducedRankLikelihood

    Raises
    ------
    NoEstimate
        If the fits have other ranks, or this one never saw a reference or pivot of the other.
    """
    if mine.dimensions != other.dimensions:
        raise NoEstimate(
            f"One fit has rank {mine.dimensions} and the other {other.dimensions}, so the parameters of one have no value in "
            "the other."
        )
    classes = _positions(mine.responses, other.responses)
    if (classes[[other.reference, *other.pivots]] < 0).any():
        raise NoEstimate("The reference class or a pivot class of one fit was not seen by the other.")
    right = mine.factors.right[classes] - mine.factors.right[classes[other.reference]]
    intercepts = mine.factors.intercepts.copy()
    difference, known_rows, own = [], [], []
    for j in range(other.design.lags):
        levels, identified = _levels(mine, j)
        at = _positions(mine.design.levels[j], other.design.levels[j])
        known = (at >= 0) & identified[at]
        if not known[0]:
            raise NoEstimate(f"The reference level at lag {j + 1} of one fit was not seen by the other.")
        intercepts += mine.factors.right @ levels[at[0]]
        left, free = _levels(other, j)
        moved = (levels[at] - levels[at[0]]) @ right.T - left @ other.factors.right.T
        moved[~known] = 0.0
        difference.append(moved - moved.mean(axis=0))
        known_rows.append((known & free)[1:])
        own.append(left - left.mean(axis=0))
    seen = classes >= 0
    left, right = _tangent(difference, own, other, seen)
    change = Factors((intercepts[classes] - intercepts[classes[other.reference]]) - other.factors.intercepts, left, right)
    chart = other.chart
    rows = np.concatenate([np.zeros(1, bool), *known_rows])
    rank = other.dimensions
    known_entries = Factors(seen, np.repeat(rows[:, None], rank, axis=1), np.repeat(seen[:, None], rank, axis=1))
    determined = chart.coordinates(known_entries)
    lacking = np.flatnonzero(~determined)
    directions = sparse.csc_array(
        (np.ones(len(lacking)), (lacking, np.arange(len(lacking)))), shape=(chart.size, len(lacking))
    )
    return Determined(other.params + np.where(determined, chart.coordinates(change), 0.0), directions)


def _tangent(difference: list[Array], own: list[Array], other: ReducedRankLikelihood, seen: Array) -> tuple[Array, Array]:
    """Changes of the left and right factor, in the other's chart, that move its coefficients most nearly by a difference."""
    rank, ncolumns = other.dimensions, other.design.ncolumns
    if rank == 0:
        return np.zeros((ncolumns, 0)), np.zeros((len(seen), 0))
    moved = np.concatenate(difference)
    moved[:, ~seen] = 0.0
    moved -= moved.mean(axis=1, keepdims=True)
    u, _ = np.linalg.qr(np.concatenate(own))
    v, _ = np.linalg.qr(other.factors.right - other.factors.right.mean(axis=0))
    across = moved @ v
    moved = u @ (u.T @ moved) + (across - u @ (u.T @ across)) @ v.T
    moved -= moved[:, [other.reference]]
    blocks, start = [np.zeros((1, len(seen)))], 0
    for part in own:  # back to the reference level of each lag
        block = moved[start : start + len(part)]
        blocks.append(block[1:] - block[0])
        start += len(part)
    change = np.concatenate(blocks)  # (P, J)
    left = change[:, other.pivots]
    right = np.linalg.lstsq(other.factors.left, change - left @ other.factors.right.T, rcond=None)[0].T
    return left, right


def _levels(model: ReducedRankLikelihood, j: int) -> tuple[Array, Array]:
    """Left rows of all levels of a lag, the reference first, and which are identified."""
    columns = np.arange(model.design.offsets[j], model.design.offsets[j + 1])
    left = np.concatenate([np.zeros((1, model.dimensions)), model.factors.left[columns]])
    return left, np.concatenate([[True], model.kept[columns]])


def _positions(known: Array, wanted: Array) -> Array:
    """Place of each id among those known, -1 where it is not."""
    order = np.argsort(known)
    at = order[np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)]
    return np.where(known[at] == wanted, at, -1)
