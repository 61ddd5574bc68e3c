"""Kneser-Ney: one discount a length, and continuation counts below the longest n-grams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from statlm.models.ngram.levels import CountLevel, Shares, interpolate, levels_of
from statlm.models.ngram.smoothing.discounts import check_discount, discount_by, one_discount
from statlm.models.ngram.smoothing.estimated import Estimated, FromCounts, by_length
from statlm.numerics.ngram_counts import NGramCounts


@dataclass(frozen=True)
class KneserNey(FromCounts):
    r"""Interpolated Kneser-Ney smoothing.

    .. math:: p_m(w \mid c) = \frac{\max(a_{cw} - D_m, 0)}{\sum_v a_{cv}} + \gamma_c \, p_{m-1}(w \mid c')

    where :math:`a` is the count for the longest n-grams and for those that begin a document, and for the others the number
    of different tokens that precede them; :math:`D_m = t_1 / (t_1 + 2 t_2)` with :math:`t_i` the number of m-grams with
    :math:`a = i`, and :math:`\gamma_c` is what the discount took. The last resort is the uniform distribution.

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
    Kneser and Ney (1995), Improved backing-off for m-gram language modeling. ICASSP.
    Chen and Goodman (1999), An empirical study of smoothing techniques for language modeling. Computer Speech and Language
    13.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_texts(["San Francisco", "San Francisco", "a glass"], "word", eos=False)
    >>> fit = slm.NGram(n=2, smoothing=slm.KneserNey(discount=0.75)).fit(corpus)
    >>> fit.predict([["glass"]]).set_index("token").probability.round(3).to_dict()  # "Francisco" follows one word only
    {'Francisco': 0.25, 'San': 0.25, 'a': 0.25, 'glass': 0.25}
    """

    discount: float | None = None
    fallback: bool = True
    name: str = field(default="kneser-ney", init=False, repr=False)

    def __post_init__(self) -> None:
        check_discount(self.discount)

    def estimate(self, counts: NGramCounts, size: int) -> Estimated:
        """Probabilities over `size` types from counts."""
        records: list[dict[str, Any]] = []

        def shares(level: CountLevel) -> Shares:
            discount, record = one_discount(level, self.discount, self.fallback)
            records.append(record)
            return discount_by(level, np.array([0.0, discount]))

        table = interpolate(counts.index, levels_of(counts, continuation=True), shares, size)
        return Estimated(table, by_length(records), "Kneser-Ney")
