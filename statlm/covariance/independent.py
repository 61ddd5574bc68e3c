"""Observations independent given their contexts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.numerics.repeated_rows import weighted_rows
from statlm.numerics.types import Matrix
from statlm.text.corpus import Corpus


@dataclass(frozen=True)
class Independent:
    """Each observation is independent of the others given its context.

    The variance of a sum is the sum of squares (Huber 1967; White 1980).
    """

    def factor(self, x: Matrix, corpus: Corpus) -> Matrix:
        """The rows themselves; repeated rows once, weighted by the root of their number."""
        return weighted_rows(x)

    def reference_dof(self, corpus: Corpus) -> float:
        """The normal distribution."""
        return np.inf

    def describe(self, corpus: Corpus) -> str:
        """In words."""
        return f"independent observations ({corpus.nobs:,})"
