"""Absolute discounting: one discount a length, subtracted from the counts themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from statlm.models.ngram.levels import CountLevel, Shares, interpolate, levels_of
from statlm.models.ngram.smoothing.discounts import check_discount, discount_by, one_discount
from statlm.models.ngram.smoothing.estimated import Estimated, FromCounts, by_length
from statlm.numerics.ngram_counts import NGramCounts


@dataclass(frozen=True)
class AbsoluteDiscounting(FromCounts):
    r"""Interpolated absolute discounting.

    .. math::

        p_m(w \mid c) = \frac{\max(n_{cw} - D_m, 0)}{n_c} + \frac{D_m \, N_{1+}(c\, \bullet)}{n_c} \, p_{m-1}(w \mid c')

    with :math:`N_{1+}(c\, \bullet)` the number of different tokens seen after c, and :math:`D_m = t_1 / (t_1 + 2 t_2)`,
    where
    :math:`t_i` m-grams occur i times: an approximation of the leave-one-out maximum likelihood estimate.

    Parameters
    ----------
    discount : float, optional
        Between 0 and 1, for every length. By default it is estimated from the counts of counts.
    fallback : bool
        Take 0.5 for a length where no m-gram occurs once, or none twice.

    Raises
    ------
    SpecificationError
        If `discount` is not between 0 and 1.
    NoEstimate
        While fitting, if the formula gives no discount and `fallback` is False.

    References
    ----------
    Ney, Essen and Kneser (1994), On structuring probabilistic dependences in stochastic language modelling. Computer Speech
    and Language 8.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1, smoothing=slm.AbsoluteDiscounting(discount=0.5)).fit(slm.Corpus.from_text("aaab"))
    >>> fit.predict([""]).set_index("token").probability.to_dict()
    {'a': 0.75, 'b': 0.25}
    """

    discount: float | None = None
    fallback: bool = True
    name: str = field(default="absolute-discounting", init=False, repr=False)

    def __post_init__(self) -> None:
        check_discount(self.discount)

    def estimate(self, counts: NGramCounts, size: int) -> Estimated:
        """Probabilities over `size` types from counts."""
        records: list[dict[str, Any]] = []

        def shares(level: CountLevel) -> Shares:
            discount, record = one_discount(level, self.discount, self.fallback)
            records.append(record)
            return discount_by(level, np.array([0.0, discount]))

        table = interpolate(counts.index, levels_of(counts, continuation=False), shares, size)
        return Estimated(table, by_length(records), "absolute discounting")
