"""The bread of every covariance: the curvature of what was maximised."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from statlm.likelihood import Likelihood
from statlm.numerics.types import Matrix


@runtime_checkable
class Penalised(Protocol):
    """A likelihood that was maximised with a penalty."""

    def penalty_curvature(self) -> Matrix | None:
        """(p, p) second derivative of the penalty; None where there is none."""
        ...


def bread(model: Likelihood) -> Matrix:
    """The information, plus the curvature of the penalty where one was fitted (the prior's precision)."""
    information = model.information()
    penalty = model.penalty_curvature() if isinstance(model, Penalised) else None
    return information if penalty is None else information + penalty
