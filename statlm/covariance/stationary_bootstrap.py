"""Resampling blocks of random length: few assumptions on a single series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.covariance.functionals import HELD
from statlm.errors import SpecificationError
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


@dataclass(frozen=True)
class StationaryBootstrap:
    """Documents resampled where there are several; else blocks of random length (Politis and Romano 1994).

    Parameters
    ----------
    replicates : int
        Number of resamples.
    block_length : float or None
        Mean length of a block of one text; None takes Politis and White's (2004) choice, corrected by Patton et al. (2009).
    seed : int
        Seed of the resampling.
    """

    replicates: int = 999
    block_length: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.replicates < 99:
            raise SpecificationError(f"replicates={self.replicates} is too few for a standard error. Choose 99 or more.")
        if self.block_length is not None and not self.block_length >= 1:
            raise SpecificationError(f"block_length={self.block_length}: a block holds at least one observation.")

    def variance_of_sum(self, x: Array, corpus: Corpus) -> float:
        """Variance over resamples of nobs times the mean of a (nobs,) series of mean zero."""
        rng = np.random.default_rng(self.seed)
        n = len(x)
        if corpus.ndocuments > 1:
            groups = corpus.ndocuments
            sums = np.bincount(corpus.document_index, weights=x, minlength=groups)
            sizes = np.bincount(corpus.document_index, minlength=groups)
            totals = np.empty(self.replicates)
            at_once = max(1, HELD // groups)
            for start in range(0, self.replicates, at_once):
                draws = rng.integers(groups, size=(min(at_once, self.replicates - start), groups))
                totals[start : start + len(draws)] = n * sums[draws].sum(1) / sizes[draws].sum(1)
            # Documents drawn with replacement vary by (G - 1) / G too little, as the clustered variance without its factor does.
            return float(totals.var(ddof=1)) * groups / (groups - 1)
        length = self.mean_block(x)
        running = np.concatenate([[0.0], np.cumsum(np.concatenate([x, x]))])  # a block may wrap around the end
        means = np.empty(self.replicates)
        for b in range(self.replicates):
            total = 0
            drawn: list[Array] = []
            while total < n:
                drawn.append(rng.geometric(1 / length, size=max(int((n - total) / length) + 10, 10)))
                total += int(drawn[-1].sum())
            ends = np.minimum(np.cumsum(np.concatenate(drawn)), n)
            ends = ends[: np.searchsorted(ends, n) + 1]
            size = np.minimum(np.diff(ends, prepend=0), n)
            begin = rng.integers(n, size=len(size))
            means[b] = (running[begin + size] - running[begin]).sum()
        return float(means.var(ddof=1))

    def mean_block(self, x: Array) -> float:
        """The mean block length that is used for a series."""
        if self.block_length is not None:
            return self.block_length
        from arch.bootstrap import optimal_block_length

        if np.ptp(x) == 0:
            return 1.0
        return max(float(optimal_block_length(x)["stationary"].iloc[0]), 1.0)

    def reference_dof(self, corpus: Corpus) -> float:
        """G - 1 for G documents resampled, else the normal distribution."""
        return float(corpus.ndocuments - 1) if corpus.ndocuments > 1 else np.inf

    def describe(self, corpus: Corpus) -> str:
        """In words."""
        if corpus.ndocuments > 1:
            return f"documents resampled ({corpus.ndocuments:,} documents, {self.replicates:,} replicates)"
        return f"stationary block bootstrap ({self.replicates:,} replicates)"
