"""The contract that every model meets and every verb uses."""

from statlm.likelihood.protocols import Likelihood, Predictive

__all__ = ["Likelihood", "Predictive"]
