"""What goes with a rank, and which models are special cases of one of low rank."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from statlm.errors import NoEstimate, SpecificationError


@runtime_checkable
class OfRank(Protocol):
    """A specification of coefficients of low rank."""

    @property
    def rank(self) -> int | None:
        """None: unrestricted."""
        ...


def check_rank(rank: object, interactions: str | None, penalty: str | None, formula: str | None) -> None:
    """Refuse settings of a softmax regression that make no sense with a rank.

    Raises
    ------
    SpecificationError
        If the rank is no whole number, or stands with interactions, a formula, or a penalty that is not a ridge.
    """
    if isinstance(rank, bool) or not isinstance(rank, (int, np.integer)) or rank < 0:
        raise SpecificationError(
            f"rank={rank!r} is not a rank. Choose a whole number from 0 (the unigram), or None for unrestricted coefficients."
        )
    if interactions is not None or formula is not None:
        given = f"interactions={interactions!r}" if formula is None else f"formula={formula!r}"
        raise SpecificationError(
            f"rank={rank} with {given}: an embedding belongs to a token at a lag, and a column of an interaction or a "
            "covariate is "
            "neither. Use rank with lags alone."
        )
    if penalty == "firth":
        raise SpecificationError(
            f"rank={rank} with penalty='firth': Firth's correction of the bias rests on coefficients that vary freely, which "
            "those of "
            "low rank do not. Use penalty='ridge', strength=1.0."
        )
    if rank == 0 and penalty is not None:
        raise SpecificationError(
            "rank=0 leaves no coefficients but the intercepts, which no penalty touches. Leave out penalty=."
        )


def contains_rank(large: object, small: object) -> bool:
    """Whether a likelihood-ratio test of a model of low rank against `small` has an answer: only against itself.

    Raises
    ------
    NoEstimate
        If `small` is of low rank too: it may well be a special case, but the statistic is not chi-square.
    """
    if large == small:
        return True
    if isinstance(small, OfRank) and small.rank is not None:
        raise NoEstimate(
            f"Twice the log-likelihood ratio of {small} and {large} is not chi-square: where the coefficients have the lower "
            "rank, "
            "those of the higher rank are singular (the added dimension has length zero, and then no direction), and Wilks' "
            "theorem does "
            "not hold. Test the lower rank against the unrestricted regression, whose parameters are regular, "
            "lr_test(small, SoftmaxRegression(lags=...).fit(corpus)); or compare AIC, or held-out text: compare(..., on=test)."
        )
    return False
