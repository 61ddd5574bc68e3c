"""The contract that every model meets and every verb uses."""

from statlm.likelihood.protocols import (
    Conventional,
    GaussNewtonInformation,
    LagModel,
    Likelihood,
    Penalised,
    Predictive,
    Reader,
    Sequential,
    Unidentified,
    check_identified,
    is_likelihood,
    is_penalised,
    spans,
    underlying,
    why_no_maximum,
)

__all__ = [
    "Conventional",
    "GaussNewtonInformation",
    "LagModel",
    "Likelihood",
    "Penalised",
    "Predictive",
    "Reader",
    "Sequential",
    "Unidentified",
    "check_identified",
    "is_likelihood",
    "is_penalised",
    "spans",
    "underlying",
    "why_no_maximum",
]
