"""The front desk: a fitted model with the verbs as methods."""

from statlm.fit.evaluation import Evaluation
from statlm.fit.fit import Fit, FitReport

__all__ = ["Evaluation", "Fit", "FitReport"]
