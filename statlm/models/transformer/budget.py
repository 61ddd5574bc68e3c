"""Settings of a decoder that follow its budget: the more often it reads its text, the more it is held back from learning it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from statlm.networks.training import Training

BY_BUDGET: Any = None  # default of the fields below until the budget is known
TOKENS_A_SECOND = 15_000.0  # what a small decoder reads in training on two cores: makes a budget of time one of tokens


@dataclass(frozen=True)
class Settings:
    """What suits budgets of fewer than so many tokens.

    Attributes
    ----------
    below : float
        Training tokens read.
    context : int
    dropout : float
    decay : float
        Weight decay of the matrices under Muon.
    """

    below: float
    context: int
    dropout: float
    decay: float


# Chosen on a million characters of Shakespeare.
SETTINGS = (
    Settings(below=3.6e6, context=128, dropout=0.0, decay=0.0),
    Settings(below=float("inf"), context=256, dropout=0.1, decay=0.05),
)


def budget_tokens(training: Training) -> float:
    """Training tokens that a budget is expected to read."""
    if training.time is not None:
        return training.time * TOKENS_A_SECOND
    return float((training.nsteps or 0) * training.batch * training.accumulate)


def settings_by_budget(training: Training) -> dict[str, Any]:
    """Context, dropout and weight decay by name."""
    reads_all = training.optimizer == "lbfgs"  # at each step, and to a maximum, which dropout has none of
    tokens = 0.0 if reads_all else budget_tokens(training)
    chosen = next(s for s in SETTINGS if tokens < s.below)
    return {
        "context": chosen.context,
        "dropout": chosen.dropout,
        "weight_decay": chosen.decay if training.optimizer == "muon" else 0.0,
    }
