"""Katz: back-off with the discounts of Good and Turing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from statlm.errors import NoEstimate, SpecificationError
from statlm.models.ngram.levels import CountLevel, Shares, back_off, levels_of
from statlm.models.ngram.smoothing.estimated import Estimated, FromCounts
from statlm.numerics.ngram_counts import NGramCounts
from statlm.numerics.types import Array


@dataclass(frozen=True)
class Katz(FromCounts):
    r"""Katz's back-off.

    A seen token keeps :math:`d_r\, r / n_c` of its share :math:`r / n_c`; what is left goes to the unseen tokens only, in
    proportion to
    :math:`p_{m-1}`. For :math:`r \le k` the ratio is that of Good and Turing, scaled so that counts above k are trusted,

    .. math:: d_r = \frac{(r + 1) t_{r+1} / (r\, t_r) - (k + 1) t_{k+1} / t_1}{1 - (k + 1) t_{k+1} / t_1}

    where :math:`t_r` m-grams occur r times. A context in which every count is above k leaves nothing: there one is added to
    :math:`n_c`, so that what it never saw keeps a probability. A context whose seen tokens make up all but 0.1 % of the
    lower distribution is interpolated.

    Parameters
    ----------
    max_count : int
        k, the largest count that is discounted.
    fallback : bool
        Where the ratios are not between 0 and 1, take 0.5 off each count up to k instead.

    Raises
    ------
    SpecificationError
        If `max_count` is not a positive integer.
    NoEstimate
        While fitting, if the formula gives no ratios and `fallback` is False.

    References
    ----------
    Katz (1987), Estimation of probabilities from sparse data for the language model component of a speech recognizer. IEEE
    Transactions on Acoustics, Speech, and Signal Processing 35.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2, smoothing=slm.Katz(max_count=2)).fit(slm.Corpus.from_text("abracadabra"))
    >>> fit.likelihood.discounts["source"].tolist()
    ['fallback', 'fallback']
    """

    max_count: int = 5
    fallback: bool = True
    name: str = field(default="katz", init=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.max_count, bool) or not isinstance(self.max_count, (int, np.integer)) or self.max_count < 1:
            raise SpecificationError(
                f"max_count={self.max_count!r} is not the largest count to discount. Choose a whole number from 1 on; 5 "
                "is usual."
            )

    def estimate(self, counts: NGramCounts, size: int) -> Estimated:
        """Probabilities over `size` types from counts."""
        records: list[dict[str, Any]] = []
        k = self.max_count

        def shares(level: CountLevel) -> Shares:
            kept, record = self._kept(level)
            records.append(record)
            capped = np.minimum(level.counts, k + 1)
            taken = np.append(np.arange(k + 1) - kept, 0.0)[capped]
            removed = level.by_context(taken)
            whole = np.where(removed > 0, level.totals, level.totals + 1.0)
            return (level.counts - taken) / level.of_context(whole), np.where(removed > 0, removed, 1.0) / whole

        table = back_off(counts.index, levels_of(counts, continuation=False), shares, size)
        return Estimated(table, tuple(records), "Katz back-off")

    def _kept(self, level: CountLevel) -> tuple[Array, dict[str, Any]]:
        """(k + 1,) what is kept of a count of 0, ..., k."""
        k = self.max_count
        of = np.bincount(np.minimum(level.counts, k + 2), minlength=k + 3)[: k + 2].astype(float)
        record: dict[str, Any] = {"n": level.m} | {f"n{r}": int(of[r]) for r in range(1, k + 2)}
        r = np.arange(1, k + 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            common = (k + 1) * of[k + 1] / of[1]
            ratio = ((r + 1) * of[2:] / (r * of[1 : k + 1]) - common) / (1 - common)
        if np.isfinite(ratio).all() and common < 1 and (ratio > 0).all() and (ratio <= 1).all():
            source = "Good-Turing"
        elif self.fallback:
            ratio, source = (r - 0.5) / r, "fallback"
        else:
            listed = ", ".join(f"{int(x):,}" for x in of[1:])
            raise NoEstimate(
                f"The Good-Turing ratios of the {level.m}-grams are not between 0 and 1: {listed} of them occur 1 to "
                f"{k + 1} times, which do not fall as the counts of counts of text do. Use fallback=True, a smaller "
                "max_count, or more text."
            )
        return np.append(0.0, r * ratio), record | {f"ratio_{i}": float(x) for i, x in enumerate(ratio, start=1)} | {
            "source": source
        }
