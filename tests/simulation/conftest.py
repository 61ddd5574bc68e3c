"""A small harness: chains drawn all at once, rates with their Monte-Carlo error, and a table of what was measured."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import statlm as slm

HEAD = """# Simulations

Coverage of nominal 95 % intervals and size of 5 % tests, as measured by `tests/simulation` with fixed seeds:
`pytest tests/simulation --slow --write-simulations docs/simulations.md` writes this page.
The Monte-Carlo error is the standard deviation of the rate at its nominal value; the tests allow 3.3 of them.
Replicates are corpora; for transition probabilities they are rows of the matrix, 3 a corpus.

| what | setting | nominal | measured | Monte-Carlo error | replicates |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Rate:
    """A share of replicates."""

    hits: int
    n: int
    nominal: float

    @property
    def value(self):
        return self.hits / self.n

    @property
    def error(self):
        """Standard deviation of the share at its nominal value."""
        return np.sqrt(self.nominal * (1 - self.nominal) / self.n)

    @property
    def near(self):
        """Whether it is within 3.3 standard deviations of the nominal value: a chance of 1 in 1,000 to be outside."""
        return abs(self.value - self.nominal) <= 3.3 * self.error

    @property
    def not_below(self):
        """Whether it is at least the nominal value, as far as the simulation can tell."""
        return self.value >= self.nominal - 3.3 * self.error

    def __repr__(self):
        return f"{self.value:.4f} ({self.hits} of {self.n}; nominal {self.nominal} +- {3.3 * self.error:.4f})"


@pytest.fixture(scope="session")
def measured(request):
    """Turns indicators into a Rate, and keeps it for the table."""
    rows = []

    def note(what, setting, indicators, nominal):
        indicators = np.asarray(indicators, bool).ravel()
        rate = Rate(int(indicators.sum()), len(indicators), nominal)
        rows.append((what, setting, rate))
        return rate

    yield note
    if file := request.config.getoption("--write-simulations"):
        lines = [
            f"| {what} | {setting} | {100 * r.nominal:g} % | {100 * r.value:.1f} % | {100 * r.error:.1f} % | {r.n:,} |"
            for what, setting, r in rows
        ]
        Path(file).write_text(HEAD + "\n".join(lines) + "\n")


def draw_chains(matrices, steps, rng):
    """(R, steps) states of R Markov chains, each with its own (V, V) transition matrix."""
    matrices = np.asarray(matrices)
    cumulated = matrices.cumsum(axis=2)
    here = np.arange(len(matrices))
    states = np.empty((len(matrices), steps), np.int64)
    states[:, 0] = rng.integers(matrices.shape[1], size=len(matrices))
    for t in range(1, steps):
        below = rng.random(len(matrices))[:, None] > cumulated[here, states[:, t - 1]]
        states[:, t] = np.minimum(below.sum(axis=1), matrices.shape[1] - 1)
    return states


@pytest.fixture(scope="session")
def chains():
    return draw_chains


@pytest.fixture(scope="session")
def letters():
    """A vocabulary of n states, so that their numbers are token ids."""

    def vocabulary(n, eos=False):
        return slm.Vocabulary(tuple("abcdefgh"[:n]), with_eos=eos)

    return vocabulary
