"""Serial dependence along the text, fading with distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from statlm.errors import SpecificationError
from statlm.numerics.repeated_rows import RepeatedRows, dense
from statlm.numerics.types import Array, Matrix
from statlm.text.corpus import Corpus

MAX_DISTINCT = 20_000  # distinct rows whose pairs are counted rather than their moving sums taken
PAIRS = 1 << 23  # of them at a time: 64 MB


@dataclass(frozen=True)
class HAC:
    """Autocovariances up to some lag, with Bartlett's weights ``1 - l / (lags + 1)`` (Newey and West 1987).

    Parameters
    ----------
    lags : int or None
        None: for scores the integer part of ``4 (nobs / 100)^(2/9)``, Newey and West's rule; for a series (perplexity, a paired
        difference) the data-driven choice of Newey and West (1994).

    Notes
    -----
    Lags never cross from one document to the next. Bartlett's weighted sum is the sum of squares of moving sums over windows
    of lags + 1 observations, divided by lags + 1, so the estimate is never negative.
    """

    lags: int | None = None

    def __post_init__(self) -> None:
        if self.lags is not None and self.lags < 0:
            raise SpecificationError(f"lags={self.lags}: the number of lags cannot be negative. Use 0 for none.")

    def factor(self, x: Matrix, corpus: Corpus) -> MovingSums:
        """Moving sums over windows that stay within documents."""
        lags = rule_of_thumb(corpus.nobs) if self.lags is None else self.lags
        return MovingSums(x, _document_bounds(corpus), lags)

    def variance_of_sum(self, x: Array, corpus: Corpus) -> float:
        """Variance of the sum of one (nobs,) series of mean zero."""
        bounds = _document_bounds(corpus)
        lags = newey_west_lags(x, bounds) if self.lags is None else self.lags
        return float(((MovingSums(np.asarray(x, float)[:, None], bounds, lags) @ np.ones((1, 1))) ** 2).sum())

    def reference_dof(self, corpus: Corpus) -> float:
        """The normal distribution."""
        return np.inf

    def describe(self, corpus: Corpus) -> str:
        """In words."""
        lags = "automatic bandwidth" if self.lags is None else f"{self.lags} lags"
        return f"serially dependent observations (HAC, Bartlett kernel, {lags})"


class MovingSums:
    """The matrix of moving sums of the rows of x over windows of ``lags + 1``, divided by ``sqrt(lags + 1)``.

    Good for products with (p, q) matrices only; a product has (nobs + documents x lags) rows.
    """

    def __init__(self, x: Matrix, bounds: Array, lags: int) -> None:
        self.x = x
        self.bounds = bounds
        self.lags = lags
        self.shape = (x.shape[0] + lags * (len(bounds) - 1), x.shape[1])

    def __matmul__(self, other: Matrix) -> Array:
        values = dense(self.x @ other)  # (nobs, q)
        # Documents end to end with `lags` zeros after each, so that no window reaches from one into the next.
        documents = np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))
        running = np.zeros((self.lags + 1 + self.shape[0], values.shape[1]))
        running[self.lags + 1 + np.arange(len(values)) + self.lags * documents] = values
        np.cumsum(running, axis=0, out=running)
        sums = running[self.lags + 1 :] - running[: -self.lags - 1]
        sums /= np.sqrt(self.lags + 1)
        return sums

    def crossproduct(self) -> Array | None:
        """(p, p) ``F'F`` of this matrix F, from how often each pair of distinct rows of x stands at each distance.

        Costs observations times lags once, where products for all parameters cost observations times parameters. None where x has
        too many distinct rows.
        """
        if not isinstance(self.x, RepeatedRows) or self.x.rows.shape[0] > MAX_DISTINCT:
            return None
        rows, index = sparse.csr_array(self.x.rows), self.x.index
        size = rows.shape[0]
        result = np.zeros((rows.shape[1], rows.shape[1]))
        # Documents end to end with `lags` marks after each, so that no pair reaches from one into the next.
        document = np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))
        place = np.arange(len(index)) + self.lags * document
        spaced = np.full(self.shape[0], size)
        spaced[place] = index
        order = np.argsort(index, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=size))])
        step = max(PAIRS // (size + 1), 1)
        for first in range(0, size, step):
            last = min(first + step, size)
            here = place[order[starts[first] : starts[last]]]
            own = (spaced[here] - first) * (size + 1)
            pairs = np.zeros((last - first) * (size + 1))  # weighted counts: row i, and row j at most `lags` further on
            at_once = max(PAIRS // max(len(here), 1), 1)
            for low in range(0, self.lags + 1, at_once):
                lags = np.arange(low, min(low + at_once, self.lags + 1))
                keys = own + spaced[here + lags[:, None]]
                weight = np.where(lags == 0, 0.5, 1 - lags / (self.lags + 1))  # half, since the transpose is added
                pairs += np.bincount(keys.ravel(), np.repeat(weight, len(here)), minlength=len(pairs))
            smoothed = rows.T @ pairs.reshape(last - first, size + 1)[:, :size].T  # (p, last - first)
            result += rows[first:last].T @ smoothed.T
        return result + result.T


def rule_of_thumb(nobs: int) -> int:
    """Newey and West's rule, the integer part of ``4 (nobs / 100)^(2/9)``."""
    return int(4 * (nobs / 100) ** (2 / 9))


def newey_west_lags(x: Array, bounds: Array) -> int:
    r"""Data-driven bandwidth for Bartlett's kernel (Newey and West 1994, equation 3.13 and table II).

    With autocovariances :math:`\gamma_l` up to the pilot :math:`m = \lfloor 4 (n / 100)^{2/9} \rfloor`, the bandwidth is
    :math:`\lfloor 1.1447 (\hat s_1 / \hat s_0)^{2/3} n^{1/3} \rfloor` with
    :math:`\hat s_q = \gamma_0 [q = 0] + 2 \sum_{l=1}^{m} l^q \gamma_l`.

    Parameters
    ----------
    x : (n,) array of mean zero
    bounds : (D + 1,) integer array
        Where documents begin and end.
    """
    n = len(x)
    pilot = min(rule_of_thumb(n), int(np.diff(bounds).max()) - 1)
    gamma = autocovariances(x, bounds, pilot)
    lag = np.arange(1, pilot + 1)
    s0 = gamma[0] + 2 * gamma[1:].sum()
    s1 = 2 * (lag * gamma[1:]).sum()
    if gamma[0] == 0 or s0 <= 0:
        return pilot
    bandwidth = int(1.1447 * ((s1 / s0) ** 2) ** (1 / 3) * n ** (1 / 3))
    return max(0, min(bandwidth, int(np.diff(bounds).max()) - 1))


def autocovariances(x: Array, bounds: Array, lags: int) -> Array:
    """(lags + 1,) sums of products of x at each lag, within documents, over n."""
    n = len(x)
    document = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    result = np.empty(lags + 1)
    for lag in range(lags + 1):
        products = x[lag:] * x[: n - lag]
        if lag and len(bounds) > 2:
            products = products[document[lag:] == document[: n - lag]]
        result[lag] = products.sum() / n
    return result


def _document_bounds(corpus: Corpus) -> Array:
    lengths = np.diff(corpus.offsets) - corpus.given
    return np.concatenate([[0], np.cumsum(lengths)])
