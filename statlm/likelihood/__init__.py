"""The contract that every model meets and every verb uses."""

from statlm.likelihood.protocols import (
    LagModel,
    Likelihood,
    Penalised,
    Predictive,
    Reader,
    Sequential,
    is_likelihood,
    is_penalised,
    spans,
    underlying,
)

__all__ = [
    "LagModel",
    "Likelihood",
    "Penalised",
    "Predictive",
    "Reader",
    "Sequential",
    "is_likelihood",
    "is_penalised",
    "spans",
    "underlying",
]
