"""The contract as executable laws, for models of this package and of your own."""

from statlm.testing.contract import check_likelihood, check_predictive

__all__ = ["check_likelihood", "check_predictive"]
