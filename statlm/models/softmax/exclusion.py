"""How probable a token may still be after a context where separation gives it probability 0."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import brentq
from scipy.special import expit, logsumexp

from statlm.numerics.grouped_logit import GroupedLogit
from statlm.numerics.logit_newton import projected
from statlm.numerics.separation import remaining
from statlm.numerics.types import Array

REACH = 700.0  # beyond, a probability is 0 or 1 in float64


def exclusion_limits(
    rows: sparse.csr_array,
    data: GroupedLogit,
    coefficients: Array,
    indicators: sparse.csc_array,
    directions: tuple[Array, ...],
    alpha: float,
) -> Array:
    r"""One-sided upper limits for probabilities that are 0 in the limit (Geyer 2009, section 3.16).

    Along a direction of recession the excluded tokens become possible again as one comes back from infinity, and the
    probability of never having seen one, :math:`\prod_c (1 - P_c(\text{excluded}))^{n_c}`, falls. The limit is where it reaches
    `alpha`. For a single context it is :math:`1 - \alpha^{1/n_c}`, Clopper and Pearson's for a count of 0.

    Parameters
    ----------
    rows : (m, P) sparse array
        Designs of the contexts asked about.
    data : GroupedLogit
        The training table, with the classes possible in the limit and the finite coefficients.
    coefficients : (P, J) array
    indicators, directions
        See `statlm.numerics.separation`.
    alpha : float
        Error on the one side.

    Returns
    -------
    (m, J) array
        Zero where not excluded.

    Notes
    -----
    How an excluded token compares between contexts may itself not be identified: other coefficients of it are at infinity too.
    Then the limit rests on the observations of the very context alone, and is 1 where there are none. Whether that is so is
    seen by moving the coefficients along a random direction that no possible token can see.
    """
    possible = np.ones((rows.shape[0], data.counts.shape[1]), bool)
    for direction in directions:
        possible = remaining(np.asarray(rows @ direction), possible)
    first, second = (
        _limits(rows, possible, data, values, indicators, directions, alpha)
        for values in (coefficients, _unseen_move(data, coefficients))
    )
    here = _same_rows(rows, data.design) @ data.totals
    own = np.where(here > 0, 1.0 - alpha ** (1.0 / np.maximum(here, 1.0)), 1.0)[:, None]
    identified = np.abs(first - second) <= 1e-5 * np.maximum(first, 1e-12)
    return np.where(possible, 0.0, np.where(identified, first, own))


def _unseen_move(data: GroupedLogit, coefficients: Array) -> Array:
    """Other coefficients with the same probabilities of all possible classes: a random move where it makes no difference."""
    noise = np.where(data.free, 0.0, np.random.default_rng(0).normal(size=coefficients.shape))
    logp = data.log_probabilities(coefficients)
    target = np.where(data.possible, logp, 0.0) - np.where(data.possible, data.design @ noise, 0.0)
    return noise + projected(data, data.totals[:, None] * np.exp(logp), target, None, tolerance=1e-12)


def _same_rows(rows: sparse.csr_array, design: sparse.csr_array) -> sparse.csr_array:
    """(m, C) indicator of equal design rows, by two random combinations of their entries: equal ones have the same."""
    noise = np.random.default_rng(0).normal(size=(rows.shape[1], 2))
    a, b = np.asarray(rows @ noise)[:, None, :], np.asarray(design @ noise)[None, :, :]
    return sparse.csr_array((np.abs(a - b) <= 1e-12 * (np.abs(a) + np.abs(b))).all(axis=2))


def _limits(
    rows: sparse.csr_array,
    row_possible: Array,
    data: GroupedLogit,
    coefficients: Array,
    indicators: sparse.csc_array,
    directions: tuple[Array, ...],
    alpha: float,
) -> Array:
    """(m, J) limits at given values of the coefficients."""
    eta, row_eta = np.asarray(data.design @ coefficients), np.asarray(rows @ coefficients)
    normaliser, row_normaliser = _log_sum(eta, data.possible), _log_sum(row_eta, row_possible)
    present = data.design @ indicators  # (C, I), zeros and ones
    seen = np.asarray(present.T @ data.counts)  # (I, J)
    hit = (rows @ indicators).toarray() > 0.5  # (m, I)
    result = np.zeros(row_possible.shape)
    for row, j in zip(*np.nonzero(~row_possible), strict=True):
        empty = np.flatnonzero(hit[row] & (seen[:, j] == 0))
        if len(empty):
            # Lowering class j wherever one of these levels stands is a direction of recession by itself.
            falls = np.asarray(present[:, empty].sum(axis=1)).ravel()
            where = np.flatnonzero(falls > 0.5)
            limit = _shift(eta[where, j] - normaliser[where], falls[where], data.totals[where], alpha)
            result[row, j] = expit(row_eta[row, j] - row_normaliser[row] + limit * len(empty))
        else:
            result[row, j] = _along(rows[[row]], j, data.design, data.totals, eta, row_eta[row], directions, alpha)
    return result


def _log_sum(eta: Array, possible: Array) -> Array:
    return np.asarray(logsumexp(np.where(possible, eta, -np.inf), axis=1))


def _shift(log_odds: Array, falls: Array, totals: Array, alpha: float) -> float:
    """The s at which ``sum_c n_c log(1 - expit(log_odds_c + falls_c s))`` is ``log(alpha)``."""

    def excess(s: float) -> float:
        return float(-(totals * np.logaddexp(0.0, log_odds + falls * s)).sum() - np.log(alpha))

    return float(brentq(excess, -REACH, REACH))


def _along(
    row: sparse.csr_array,
    j: int,
    design: sparse.csr_array,
    totals: Array,
    eta: Array,
    row_eta: Array,
    directions: tuple[Array, ...],
    alpha: float,
) -> float:
    """The limit along the first direction that excludes the cell, where no empty margin does."""
    possible = np.ones(eta.shape, bool)
    here = np.ones((1, eta.shape[1]), bool)
    for direction in directions:
        moved, moved_here = np.asarray(design @ direction), np.asarray(row @ direction)
        after, after_here = remaining(moved, possible), remaining(moved_here, here)
        if not after_here[0, j]:
            break
        possible, here = after, after_here
    falls = moved - np.where(possible, moved, -np.inf).max(axis=1, keepdims=True)
    lost = possible & ~after

    def share(s: float, values: Array, falling: Array, among: Array, which: Array) -> Array:
        shifted = np.where(among, values + s * falling, -np.inf)
        shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        return (shifted * which).sum(axis=1) / shifted.sum(axis=1)

    def excess(s: float) -> float:
        return float((totals * np.log1p(-np.minimum(share(s, eta, falls, possible, lost), 1 - 1e-16))).sum() - np.log(alpha))

    s = float(brentq(excess, -REACH / 10, REACH / 10))
    falls_here = moved_here - np.where(here, moved_here, -np.inf).max(axis=1, keepdims=True)
    only = np.zeros(here.shape, bool)
    only[0, j] = True
    return float(share(s, row_eta[None, :], falls_here, here, only)[0])
