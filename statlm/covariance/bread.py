"""The bread of every covariance: the curvature of what was maximised."""

from __future__ import annotations

from statlm.likelihood import Likelihood, Penalised, Unidentified
from statlm.numerics.types import Matrix


def bread(model: Likelihood) -> Matrix:
    """The information, plus the precision of the prior where a penalty was fitted or the parameters are not identified."""
    information = model.information()
    if isinstance(model, Unidentified) and not model.identified:
        return information + model.damping_curvature()
    return information + model.penalty_curvature() if isinstance(model, Penalised) and model.penalised else information
