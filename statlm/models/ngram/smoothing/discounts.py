"""Discounts from counts of counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlm.errors import NoEstimate, SpecificationError
from statlm.models.ngram.levels import CountLevel, Shares
from statlm.numerics.threads import in_threads, parts_of
from statlm.numerics.types import Array

FALLBACK_ONE = 0.5
FALLBACK_THREE = (0.5, 1.0, 1.5)


def one_discount(level: CountLevel, given: float | None, fallback: bool) -> tuple[float, dict[str, Any]]:
    """The discount n1 / (n1 + 2 n2) of one length, and a record of how it was found."""
    n1, n2 = (int(x) for x in level.counts_of_counts[1:3])
    record: dict[str, Any] = {"n": level.m, "n1": n1, "n2": n2}
    if given is not None:
        return given, record | {"discount": given, "source": "given"}
    if n1 and n2:
        estimate = n1 / (n1 + 2 * n2)
        return estimate, record | {"discount": estimate, "source": "counts of counts"}
    if not fallback:
        raise NoEstimate(
            f"The discount of the {level.m}-grams cannot be estimated: {n1:,} of them occur once and {n2:,} twice, and "
            "the formula n1 / (n1 + 2 n2) needs both. Use fallback=True, give discount=, or use more text."
        )
    return FALLBACK_ONE, record | {"discount": FALLBACK_ONE, "source": "fallback"}


def three_discounts(
    level: CountLevel, given: tuple[float, ...] | None, fallback: bool, counts_of_counts: Array
) -> tuple[Array, dict[str, Any]]:
    """The discounts for counts of 0, 1, 2, and 3 or more of one length, and a record of how they were found."""
    n1, n2, n3, n4 = (int(x) for x in counts_of_counts[1:5])
    record: dict[str, Any] = {"n": level.m, "n1": n1, "n2": n2, "n3": n3, "n4": n4}
    if given is not None:
        found, source = np.array([0.0, *given]), "given"
    else:
        found, source = _formula(n1, n2, n3, n4), "counts of counts"
        if np.isnan(found).any():
            if not fallback:
                raise NoEstimate(
                    f"The discounts of the {level.m}-grams cannot be estimated: {n1:,}, {n2:,}, {n3:,} and {n4:,} of "
                    "them occur 1, 2, 3 and 4 times, and the formula gives no discount between 0 and the count itself. "
                    "Such counts of counts are those of a small vocabulary (characters), or of a text in which rare "
                    "n-grams were removed. Use fallback=True (0.5, 1 and 1.5), give discounts=, or use more text."
                )
            found, source = np.array([0.0, *FALLBACK_THREE]), "fallback"
    names = {f"discount_{i}": float(found[i]) for i in (1, 2, 3)}
    return found, record | names | {"source": source}


def _formula(n1: int, n2: int, n3: int, n4: int) -> Array:
    """Chen and Goodman's discounts, with 0 for a count of 0; NaN where they are none."""
    if not (n1 and n2 and n3):
        return np.full(4, np.nan)
    y = n1 / (n1 + 2 * n2)
    found = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    inside = (found >= 0) & (found <= np.arange(4))
    return np.where(inside, found, np.nan)


def discount_by(level: CountLevel, discounts: Array) -> Shares:
    """Shares of m-grams from which ``discounts[min(count, last)]`` is subtracted."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(level.totals > 0, 1.0 / level.totals, 0.0)
    taken = np.empty(len(level.counts))
    share = np.empty(len(level.counts))

    def work(part: slice) -> None:
        counts = level.counts[part]
        discounts.take(counts, mode="clip", out=taken[part])  # larger counts are the last
        np.subtract(counts, taken[part], out=share[part])
        np.maximum(share[part], 0.0, out=share[part])
        share[part] *= scale if level.context is None else scale.take(level.context[part], mode="clip")

    in_threads(work, parts_of(len(share)))
    return share, level.by_context(taken) * scale


def check_discount(discount: float | None) -> None:
    """Raise SpecificationError unless a discount lies between 0 and 1, or is None."""
    if discount is not None and not 0 <= discount <= 1:
        raise SpecificationError(
            f"discount={discount!r}: it is taken off every count, and may not be negative or more than a count of 1. "
            "Choose a number between 0 and 1, or None to estimate it."
        )
