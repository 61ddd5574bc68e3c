"""The contract that every model meets and every verb uses."""

from statlm.likelihood.protocols import Likelihood, Predictive, is_likelihood, underlying

__all__ = ["Likelihood", "Predictive", "is_likelihood", "underlying"]
