r"""The Dirichlet-multinomial of several units' counts: maximum likelihood from the multinomial on.

With shares :math:`\pi` and dispersion :math:`\theta = 1 / (\text{concentration})` the log-likelihood of counts n, up to a
constant, is :math:`\sum_d \{\sum_w \sum_{j < n_{dw}} \log(\pi_w + j\theta) - \sum_{j < n_d} \log(1 + j\theta)\}`, which is
smooth at :math:`\theta = 0`, where it is the multinomial's (Paul, Liang and Self 1989). It depends on how many units have
more than j of a token, for each j.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from statlm.numerics.types import Array

STEPS = 100
TOLERANCE = 1e-10
LEAST, MOST = -20.0, 8.0  # log of the dispersion
PRECISION = 1e-7


@dataclass(frozen=True)
class Dispersion:
    """How far shares vary between units.

    Attributes
    ----------
    theta : float
        Dispersion; the intraclass correlation is ``theta / (1 + theta)``.
    low, high : float
        Ends of its profile-likelihood interval.
    statistic : float
        Twice the log-likelihood above that of the multinomial, nats.
    """

    theta: float
    low: float
    high: float
    statistic: float


class DirichletMultinomial:
    """The likelihood of counts by unit.

    Parameters
    ----------
    counts : (D, W) integer array
        At least two tokens occur, and some unit has two observations.
    """

    def __init__(self, counts: Array) -> None:
        token, count = np.nonzero(counts.T > 0)[0], counts.T[counts.T > 0]
        self.j, self.token, self.more = _exceedances(token, count)
        self.first = np.flatnonzero(np.append(True, np.diff(self.token) != 0))
        self.total_j, _, self.total_more = _exceedances(np.zeros(len(counts), np.int64), counts.sum(axis=1))
        totals = counts.sum(axis=0)
        self.shares = totals[totals > 0] / totals.sum()
        self.token = np.repeat(np.arange(len(self.first)), np.diff(np.append(self.first, len(self.j))))

    def slope(self) -> float:
        """Derivative of the profile log-likelihood in theta at 0: excess of pairs of equal tokens within units."""
        return float((self.more * self.j / self.shares[self.token]).sum() - (self.total_more * self.total_j).sum())

    def profile(self, theta: float, shares: Array) -> tuple[float, Array]:
        """Largest log-likelihood at a dispersion and the shares that reach it, from a start, by Newton's method."""
        shares = shares.copy()
        for _ in range(STEPS):
            at = shares[self.token] + self.j * theta
            gradient = np.add.reduceat(self.more / at, self.first)
            curvature = np.add.reduceat(self.more / at**2, self.first)
            level = (gradient / curvature).sum() / (1.0 / curvature).sum()
            step = (gradient - level) / curvature
            relative = float((-step / shares).max())
            shares = shares + step * min(1.0, 0.9 / relative if relative > 0 else 1.0)
            if np.abs(step / shares).max() < TOLERANCE:
                break
        shares /= shares.sum()
        value = (self.more * np.log(shares[self.token] + self.j * theta)).sum()
        return float(value - (self.total_more * np.log1p(self.total_j * theta)).sum()), shares

    def fit(self, drop: float) -> Dispersion:
        """The maximum over theta of 0 or more, and where the profile lies `drop` nats below it."""
        null, shares = self.profile(0.0, self.shares)
        held = [shares]

        def value(log_theta: float) -> float:
            found, held[0] = self.profile(float(np.exp(log_theta)), held[0])
            return found

        top, best = null, -np.inf
        if self.slope() > 0:
            found = minimize_scalar(
                lambda x: -value(x), bounds=(LEAST, MOST), method="bounded", options={"xatol": PRECISION}
            )
            if -found.fun > null:
                top, best = -float(found.fun), float(found.x)
        start = best if np.isfinite(best) else LEAST
        high = np.inf if value(MOST) > top - drop else _crossing(value, start, MOST, top - drop)
        low = 0.0 if null >= top - drop else _crossing(value, LEAST, best, top - drop)
        return Dispersion(float(np.exp(best)), low, high, max(2 * (top - null), 0.0))


def _crossing(value: Callable[[float], float], left: float, right: float, level: float) -> float:
    """Theta between two logarithms at which a profile crosses a level."""
    return float(np.exp(brentq(lambda x: value(x) - level, left, right, xtol=1e-6)))


def _exceedances(group: Array, count: Array) -> tuple[Array, Array, Array]:
    """For each group and each j below its largest count: j, the group, and how many counts exceed j."""
    order = np.lexsort((count, group))
    group, count = group[order], count[order]
    last = np.append(np.diff(group) != 0, True)
    largest = count[last]
    labels = group[last]
    starts = np.cumsum(largest) - largest
    where = np.repeat(np.arange(len(labels)), largest)
    j = np.arange(int(largest.sum())) - starts[where]
    members = np.diff(np.append(-1, np.flatnonzero(last)))
    # Counts of c exceed j = 0, ..., c - 1: subtract at c, and sum up.
    ends = np.zeros(len(j) + 1, np.int64)
    position = np.repeat(starts, members) + count
    inside = count < np.repeat(largest, members)
    np.add.at(ends, position[inside], 1)
    gone = np.cumsum(ends)[:-1]
    before = gone[starts] - ends[starts]
    return j, labels[where], members[where] - (gone - before[where])
