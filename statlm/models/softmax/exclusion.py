"""How probable a token may still be after a context where separation gives it probability 0."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import brentq
from scipy.special import expit

from statlm.numerics.separation import remaining
from statlm.numerics.types import Array

REACH = 700.0  # beyond, a probability is 0 or 1 in float64


def upper_limits(
    rows: sparse.csr_array,
    excluded: Array,
    design: sparse.csr_array,
    counts: Array,
    eta: Array,
    log_normaliser: Array,
    row_eta: Array,
    row_log_normaliser: Array,
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
    excluded : (m, J) boolean array
        The cells asked about.
    design, counts : (C, P) sparse array, (C, J) array
        The training table.
    eta, row_eta : (C, J), (m, J) arrays
        Linear predictors at the finite coefficients.
    log_normaliser, row_log_normaliser : (C,), (m,) arrays
        Logarithm of the sum of exp(eta) over the possible classes.
    indicators, directions
        See `statlm.numerics.separation`.
    alpha : float
        Error on the one side.

    Returns
    -------
    (m, J) array
        Zero where not excluded.
    """
    present = design @ indicators  # (C, I), zeros and ones
    totals = counts.sum(axis=1)
    seen = np.asarray(present.T @ counts)  # (I, J)
    hit = (rows @ indicators).toarray() > 0.5  # (m, I)
    result = np.zeros(excluded.shape)
    for row, j in zip(*np.nonzero(excluded), strict=True):
        empty = np.flatnonzero(hit[row] & (seen[:, j] == 0))
        if len(empty):
            # Lowering class j wherever one of these levels stands is a direction of recession by itself.
            falls = np.asarray(present[:, empty].sum(axis=1)).ravel()
            where = np.flatnonzero(falls > 0.5)
            log_odds = eta[where, j] - log_normaliser[where]
            limit = _shift(log_odds, falls[where], totals[where], alpha)
            result[row, j] = expit(row_eta[row, j] - row_log_normaliser[row] + limit * len(empty))
        else:
            result[row, j] = _along(rows[[row]], j, design, totals, eta, row_eta[row], directions, alpha)
    return result


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
