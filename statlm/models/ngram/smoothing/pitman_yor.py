"""Hierarchical Pitman-Yor: the Bayesian model of which Kneser-Ney is an approximation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

from statlm.errors import SpecificationError
from statlm.models.ngram.levels import CountLevel, Shares, interpolate, levels_of
from statlm.models.ngram.smoothing.estimated import Estimated, FromCounts, by_length
from statlm.numerics.ngram_counts import NGramCounts

DISCOUNT_BOUNDS = (1e-4, 1 - 1e-4)
LOG_STRENGTH_BOUNDS = (-10.0, 15.0)


@dataclass(frozen=True)
class PitmanYor(FromCounts):
    r"""Hierarchical Pitman-Yor smoothing with one table for each type (Teh's connection to Kneser-Ney).

    Each context's distribution is a Pitman-Yor process around that of the shorter context, with a discount :math:`d_m` and a
    strength
    :math:`\theta_m` for each length. Given that every type that a context has seen was drawn once from the shorter one (one
    table for each type in the restaurant of that context),

    .. math:: p_m(w \mid c) = \frac{\max(a_{cw} - d_m, 0) + (\theta_m + d_m N_{1+}(c\, \bullet)) \, p_{m-1}(w \mid c')}
              {\theta_m + \sum_v a_{cv}}

    with :math:`a` the counts of Kneser and Ney; :math:`\theta_m = 0` is Kneser-Ney itself. :math:`d_m` and :math:`\theta_m`
    maximise the probability of that seating,

    .. math:: \prod_c \frac{\prod_{k=1}^{N_{1+}(c \bullet) - 1} (\theta + k d)}{\prod_{j=1}^{a_c - 1} (\theta + j)}
              \prod_{cw} \prod_{j=1}^{a_{cw} - 1} (j - d)

    Parameters
    ----------
    discount : float, optional
        Between 0 and 1, for every length. By default it is estimated.
    strength : float, optional
        At least 0, for every length. By default it is estimated.

    Raises
    ------
    SpecificationError
        If `discount` is not between 0 and 1, or `strength` is negative.

    Notes
    -----
    The full model averages over how many tables serve each type; nothing is sampled here. A Gibbs sampler moves one customer
    after the other, since each move changes the restaurant of the shorter context too, which is no work for arrays. What it
    would add is that types seen often have been drawn more than once from the shorter context. The three discounts of
    `ModifiedKneserNey` stand for that at no cost; held out they do better for longer n-grams, the more so the fewer types there
    are (characters). The maximum is one of the seating that is assumed and not of the likelihood of the text, so it has no
    standard errors.

    References
    ----------
    Teh (2006), A hierarchical Bayesian language model based on Pitman-Yor processes. ACL.
    Pitman and Yor (1997), The two-parameter Poisson-Dirichlet distribution. Annals of Probability 25.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("to be or not to be that is the question")
    >>> same = slm.NGram(3, smoothing=slm.PitmanYor(discount=0.7, strength=0)).fit(corpus)
    >>> bool(abs(same.loglike - slm.NGram(3, smoothing=slm.KneserNey(discount=0.7)).fit(corpus).loglike) < 1e-9)
    True
    """

    discount: float | None = None
    strength: float | None = None
    name: str = field(default="pitman-yor", init=False, repr=False)

    def __post_init__(self) -> None:
        if self.discount is not None and not 0 < self.discount < 1:
            raise SpecificationError(f"discount={self.discount!r}: choose a number between 0 and 1, or None to estimate it.")
        if self.strength is not None and not (self.strength >= 0 and np.isfinite(self.strength)):
            raise SpecificationError(f"strength={self.strength!r}: choose a number from 0 on, or None to estimate it.")

    def estimate(self, counts: NGramCounts, size: int) -> Estimated:
        """Probabilities over `size` types from counts."""
        records: list[dict[str, Any]] = []

        def shares(level: CountLevel) -> Shares:
            d, theta = self._parameters(level)
            estimated = [name for name, given in (("discount", self.discount), ("strength", self.strength)) if given is None]
            source = "maximum likelihood of the seating" if estimated else "given"
            records.append({"n": level.m, "discount": d, "strength": theta, "source": source})
            whole = theta + level.totals
            whole[whole == 0] = 1.0
            share = np.maximum(level.counts - d, 0.0) / level.of_context(whole)
            return share, (theta + d * level.kinds) / whole

        table = interpolate(counts.index, levels_of(counts, continuation=True), shares, size)
        return Estimated(table, by_length(records), "hierarchical Pitman-Yor, one table a type")

    def _parameters(self, level: CountLevel) -> tuple[float, float]:
        """Discount and strength of one length."""
        if self.discount is not None and self.strength is not None:
            return self.discount, self.strength
        totals, ntotals = np.unique(level.totals[level.totals > 0], return_counts=True)
        kinds, nkinds = np.unique(level.kinds[level.kinds > 0], return_counts=True)
        counts, ncounts = np.unique(level.counts[level.counts > 0], return_counts=True)

        def minus_log_seating(x: np.ndarray[Any, Any]) -> float:
            d = self.discount if self.discount is not None else float(x[0])
            theta = self.strength if self.strength is not None else float(np.exp(x[1]))
            opened = (kinds - 1) * np.log(d) + gammaln(theta / d + kinds) - gammaln(theta / d + 1)
            seated = gammaln(theta + totals) - gammaln(theta + 1)
            joined = gammaln(counts - d) - gammaln(1 - d)
            return float(-(nkinds @ opened - ntotals @ seated + ncounts @ joined) / ntotals.sum())

        found = minimize(
            minus_log_seating, np.array([0.7, 0.0]), bounds=[DISCOUNT_BOUNDS, LOG_STRENGTH_BOUNDS], method="L-BFGS-B"
        )
        d = self.discount if self.discount is not None else float(found.x[0])
        theta = self.strength if self.strength is not None else float(np.exp(found.x[1]))
        return d, theta
