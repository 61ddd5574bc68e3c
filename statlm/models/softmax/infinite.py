"""Coefficients that separation sends to infinity, and how large they may still be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import brentq
from scipy.special import logsumexp

from statlm.errors import NoEstimate
from statlm.numerics.grouped_logit import GroupedLogit
from statlm.numerics.logit_newton import maximise
from statlm.numerics.types import Array

STILL = 1e-9
REACH = 700.0
FAR = 40.0  # log-odds from Geyer's limit within which that of the profile is looked for


@dataclass(frozen=True, eq=False)
class InfiniteCoefficients:
    r"""Which coefficients are infinite, and one-sided limits for them.

    A coefficient :math:`\beta_{aj}` of a class that never follows a level is at minus infinity. At a finite value v it makes the
    class possible again in the contexts of that level, and the probability that it is seen in none of them is

    .. math:: \prod_c \big(1 - P_c(j; v)\big)^{n_c},

    the product over the contexts in which all else that the class's log-odds is made of is finite; elsewhere other coefficients
    at minus infinity keep it out. The upper limit of Geyer (2009, section 3.16) is the v at which the probability is the error
    asked for, the finite coefficients held at their estimates; that of the profile is where the log-likelihood, maximised over
    them, has fallen by half a quantile of the chi-square distribution.

    Parameters
    ----------
    data : GroupedLogit
        The training table, with the classes possible in the limit and the finite coefficients.
    coefficients : (P, J) array
    directions : tuple of (P, J) arrays
    reference : int
    """

    data: GroupedLogit
    coefficients: Array
    directions: tuple[Array, ...]
    reference: int

    @cached_property
    def sign(self) -> Array:
        """(P, J) where each coefficient goes, against the reference class: -1, 1, or 0 where no direction moves it."""
        sign = np.zeros(self.coefficients.shape)
        for direction in reversed(self.directions):
            relative = direction - direction[:, [self.reference]]
            sign = np.where(np.abs(relative) > STILL, np.sign(relative), sign)
        return sign

    @cached_property
    def places(self) -> tuple[Array, Array]:
        """Column and class of each infinite coefficient, class by class; those that only differ finitely are not among them."""
        infinite = (self.sign != 0) & ~self.data.free
        classes, columns = np.nonzero(infinite.T)
        return columns, classes

    @cached_property
    def ncontrasts(self) -> int:
        """How many of the finite parameters stand for differences of coefficients that go to infinity together."""
        return int(np.count_nonzero((self.sign != 0) & self.data.free))

    @cached_property
    def _columns(self) -> sparse.csc_array:
        return sparse.csc_array(self.data.design)

    @cached_property
    def _normaliser(self) -> Array:
        eta = np.where(self.data.possible, self.data.design @ self.coefficients, -np.inf)
        return np.asarray(logsumexp(eta, axis=1))

    @cached_property
    def _unsettled(self) -> Array:
        """(C, J) in how many columns of a context the class's coefficient is infinite or not identified."""
        settled = self.data.free & (self.sign == 0)
        return np.asarray(abs(self.data.design).sign() @ (~settled).astype(float))

    def contexts(self, column: int, j: int) -> Array:
        """Contexts that bound the coefficient of a class at a level: none where nothing does."""
        start, stop = self._columns.indptr[column], self._columns.indptr[column + 1]
        here, x = self._columns.indices[start:stop], self._columns.data[start:stop]
        if self.sign[column, j] >= 0 or (x != 1.0).any() or self.data.counts[here, j].any():
            return np.zeros(0, np.int64)
        return here[(self._unsettled[here, j] == 1) & self.data.possible[here, self.reference]]

    def upper_limits(self, alpha: float) -> Array:
        """(q,) Geyer's limits of the coefficients at `places`; infinite where the data give none."""
        limits = np.full(len(self.places[0]), np.inf)
        for i, (column, j) in enumerate(zip(*self.places, strict=True)):
            here = self.contexts(column, j)
            if len(here):
                limits[i] = self._geyer(here, j, np.log(alpha))
        return limits

    def _geyer(self, here: Array, j: int, log_probability: float) -> float:
        odds = np.asarray(self.data.design[here] @ self.coefficients[:, j]) - self._normaliser[here]
        totals = self.data.totals[here]
        return float(brentq(lambda v: -(totals * np.logaddexp(0.0, odds + v)).sum() - log_probability, -REACH, REACH))

    def profile_limit(self, column: int, j: int, fall: float) -> float:
        """The value of a coefficient at which the profile log-likelihood is `fall` nats below its supremum.

        Raises
        ------
        NoEstimate
            If the data do not bound it.
        """
        here = self.contexts(column, j)
        if len(here) == 0:
            raise NoEstimate(
                "The data do not bound this coefficient on either side: wherever it could be seen, others are infinite too. "
                "There is no interval; predict(contexts, interval=0.95) bounds probabilities, and penalty='firth' gives finite "
                "estimates."
            )
        data = self.data
        possible = data.possible.copy()
        possible[here, j] = True
        wider = GroupedLogit(data.design, data.counts, possible, data.free)
        top = data.loglike(data.log_probabilities(self.coefficients))
        start = self.coefficients.copy()

        def excess(value: float) -> float:
            start[column, j] = value
            optimum = maximise(wider, start)
            start[:] = optimum.coefficients
            return top - optimum.loglike - fall

        middle = self._geyer(here, j, -fall)
        return float(brentq(excess, middle - FAR, middle + FAR, xtol=1e-8))
