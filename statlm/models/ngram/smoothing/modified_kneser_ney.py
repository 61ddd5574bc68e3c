"""Modified Kneser-Ney: three discounts a length, and continuation counts below the longest n-grams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from statlm.errors import SpecificationError
from statlm.models.ngram.levels import CountLevel, Shares, interpolate, levels_of
from statlm.models.ngram.smoothing.discounts import discount_by, three_discounts
from statlm.models.ngram.smoothing.estimated import Estimated, FromCounts, by_length
from statlm.numerics.ngram_counts import NGramCounts
from statlm.numerics.types import Array


@dataclass(frozen=True)
class ModifiedKneserNey(FromCounts):
    r"""Interpolated modified Kneser-Ney smoothing.

    .. math:: p_m(w \mid c) = \frac{\max(a_{cw} - D(a_{cw}), 0)}{\sum_v a_{cv}} + \gamma_c \, p_{m-1}(w \mid c'),
              \qquad \gamma_c = \frac{\sum_v D(a_{cv})}{\sum_v a_{cv}}

    where :math:`a` is the count for the longest n-grams and for those that begin a document, and for the others the number
    of different tokens that precede them; :math:`D` takes one value each for counts of 1, 2, and 3 or more. With
    :math:`t_i` the number of m-grams with :math:`a = i` and :math:`Y = t_1 / (t_1 + 2 t_2)`, it is
    :math:`D_i = i - (i + 1)\, Y\, t_{i+1} / t_i`. The last resort is the uniform distribution over the types.

    Parameters
    ----------
    discounts : three numbers, optional
        :math:`D_1, D_2, D_3`, for every length. By default they are estimated from the counts of counts.
    fallback : bool
        Take 0.5, 1 and 1.5 for a length whose counts of counts give no discounts, as those of characters do not. Which
        lengths these are stands in the fit's `discounts`.
    as_lmplz : bool
        Take counts of counts as KenLM's lmplz takes them. It enters one n-gram of each length below n with its raw count:
        the last one, sorted by its tokens from the last to the first, types numbered in the order of their first occurrence.
        That moves a :math:`t_i` by one, which can be seen only where n-grams are few, as with characters. False is the
        formula as published.

    Raises
    ------
    SpecificationError
        If a discount is not between 0 and its count.
    NoEstimate
        While fitting, if the formula gives no discounts and `fallback` is False.

    References
    ----------
    Chen and Goodman (1999), An empirical study of smoothing techniques for language modeling. Computer Speech and Language
    13. Heafield, Pouzyrevsky, Clark and Koehn (2013), Scalable modified Kneser-Ney language model estimation. ACL.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=3, smoothing="modified-kneser-ney").fit(slm.Corpus.from_text("to be or not to be " * 20))
    >>> fit.likelihood.discounts["source"].tolist()
    ['fallback', 'fallback', 'fallback']
    """

    discounts: tuple[float, ...] | None = None
    fallback: bool = True
    as_lmplz: bool = True
    name: str = field(default="modified-kneser-ney", init=False, repr=False)

    def __post_init__(self) -> None:
        if self.discounts is None:
            return
        object.__setattr__(self, "discounts", tuple(float(d) for d in self.discounts))
        if len(self.discounts) != 3 or not all(0 <= d <= i for i, d in enumerate(self.discounts, start=1)):
            raise SpecificationError(
                f"discounts={self.discounts!r}: modified Kneser-Ney has three, for counts of 1, 2, and 3 or more, and "
                "none may be negative or take more than the count itself. Choose something like (0.5, 1.0, 1.5), or "
                "None to estimate them."
            )

    def estimate(self, counts: NGramCounts, size: int) -> Estimated:
        """Probabilities from counts; `size` is the number of types."""
        records: list[dict[str, Any]] = []
        moved = _last_by_raw_count(counts) if self.as_lmplz else {}

        def shares(level: CountLevel) -> Shares:
            counts_of_counts = level.counts_of_counts + moved.get(level.m, 0)
            discounts, record = three_discounts(level, self.discounts, self.fallback, counts_of_counts)
            records.append(record)
            return discount_by(level, discounts)

        table = interpolate(counts.index, levels_of(counts, continuation=True), shares, size)
        return Estimated(table, by_length(records), "modified Kneser-Ney")


def _last_by_raw_count(counts: NGramCounts) -> dict[int, Array]:
    """For m below n, what the counts of counts 0 to 4 change by where the last m-gram enters with its raw count."""
    index = counts.index
    moved = {}
    for m, row in enumerate(counts.last_rows(counts.arrival), start=1):
        if m < index.n:
            change = np.zeros(6, np.int64)
            change[min(int(counts.raw[m - 1][row]), 5)] += 1
            change[min(int(counts.continuation[m - 1][row]), 5)] -= 1
            moved[m] = change[:5]
    return moved
