"""Simulation studies: corpora drawn from a known model, refitted, and what intervals and tests then do."""

from statlm.simulation.questions import Perplexity, Probabilities, Rejection
from statlm.simulation.study import coverage
from statlm.simulation.table import tabulate

__all__ = ["Perplexity", "Probabilities", "Rejection", "coverage", "tabulate"]
