"""Settings of a decoder that follow its budget: the longer it is fitted, the more it is regularised, and the more it can say."""

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
    width, head_width, context, dropout
        As of `statlm.networks.architecture.Architecture`; the number of heads is width / head_width.
    """

    below: float
    width: int
    head_width: int
    context: int
    dropout: float


# Chosen on a million characters of Shakespeare, on two cores: seconds, minutes, and more.
SETTINGS = (
    Settings(below=3.6e6, width=128, head_width=32, context=128, dropout=0.0),
    Settings(below=12e6, width=128, head_width=32, context=256, dropout=0.1),
    Settings(below=float("inf"), width=192, head_width=32, context=256, dropout=0.15),
)


def budget_tokens(training: Training) -> float:
    """Training tokens that a budget is expected to read."""
    if training.time is not None:
        return training.time * TOKENS_A_SECOND
    return float((training.nsteps or 0) * training.batch * training.accumulate)


def settings_by_budget(training: Training, given: dict[str, Any]) -> dict[str, Any]:
    """Values for those of width, heads, context and dropout that are not given.

    Parameters
    ----------
    training : Training
    given : dict
        The four by name; None where the budget decides.
    """
    reads_all = training.optimizer == "lbfgs"  # at each step, and to a maximum, which dropout has none of
    tokens = 0.0 if reads_all else budget_tokens(training)
    chosen = next(s for s in SETTINGS if tokens < s.below)
    width, heads = given["width"], given["heads"]
    if width is None:
        width = chosen.width
        heads = width // chosen.head_width if heads is None else heads
    found = {"width": width, "heads": 4 if heads is None else heads, "context": chosen.context, "dropout": chosen.dropout}
    return {name: found[name] for name, value in given.items() if value is None}
