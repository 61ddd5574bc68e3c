"""Objectives that are products of conditional probabilities and no likelihood: pseudo- and composite likelihoods."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from statlm.errors import NoEstimate
from statlm.likelihood.protocols import underlying


@runtime_checkable
class Composite(Protocol):
    """A model fitted to a sum of log conditional probabilities that is not the log-probability of the text."""

    @property
    def composite(self) -> str:
        """What was maximised in place of a likelihood, as a noun phrase."""
        ...


def check_full_likelihood(model: Any, what: str) -> None:
    """Refuse what holds for likelihoods only.

    Parameters
    ----------
    model : object
    what : str
        What was asked for, as the beginning of a sentence.

    Raises
    ------
    NoEstimate
        If the model was fitted to a composite likelihood.
    """
    model = underlying(model)
    if isinstance(model, Composite):
        raise NoEstimate(
            f"{what} rests on the equality of the information and the variance of the score, which holds for a likelihood "
            f"and not for "
            f'{model.composite}. Use the sandwich of Godambe: cov="cluster", "HC0" or "HAC".'
        )
