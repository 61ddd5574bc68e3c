r"""Probabilities of n-grams with back-off weights: the one form that every smoothing of counts can be written in.

.. math:: p(w \mid c) = \begin{cases} p_{cw} & \text{if } cw \text{ is listed} \\ b_c \; p(w \mid c') & \text{otherwise}
\end{cases}

where :math:`c'` is the context without its oldest token and :math:`b_c = 1` for a context that is not listed. An
interpolated estimate has :math:`p_{cw} = \alpha_{cw} + b_c\, p(w \mid c')`. This is what an ARPA file holds.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from statlm.numerics.ngram_index import NGramIndex
from statlm.numerics.types import Array

CHUNK = 1 << 19  # positions scored at a time
THREADS = 2


@dataclass(frozen=True, eq=False)
class BackoffTable:
    """A next-token distribution for every context, seen or not.

    Attributes
    ----------
    index : NGramIndex
    probability : tuple of n (K_m,) arrays
        Of each m-gram's last token given the others, for m = 1, ..., n.
    backoff : tuple of n - 1 (K_m,) arrays
        Weight of each m-gram as a context, for m = 1, ..., n - 1.
    size : int
        Ids below this are predicted.
    """

    index: NGramIndex
    probability: tuple[Array, ...]
    backoff: tuple[Array, ...]
    size: int

    @property
    def n(self) -> int:
        """Length of the longest n-grams."""
        return self.index.n

    def score(self, stream: Array) -> Array:
        """(N,) probability of the token at each position, given those before it in its document.

        Parameters
        ----------
        stream : (N,) integer array
            Documents end to end, each with the start mark before it. What stands at the marks means nothing.
        """
        result = np.empty(len(stream))
        reach = self.n - 1

        def work(begin: int) -> None:
            end = min(begin + CHUNK, len(stream))
            before = max(begin - reach, 0)
            result[begin:end] = self._score(stream[before:end])[begin - before :]

        if self.n > 1:
            for level in self.index.levels:
                _ = level.keys  # made once, before the threads ask for it
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(0, len(stream), CHUNK)))
        return result

    def _score(self, stream: Array) -> Array:
        rows = self.index.find_stream(stream)
        p: Array = self.probability[0][stream]
        for m in range(2, self.n + 1):
            context, row = rows[m - 2][:-1], rows[m - 1][1:]
            tail = p[1:]
            known = np.flatnonzero(context >= 0)
            tail[known] *= self.backoff[m - 2][context[known]]
            listed = np.flatnonzero(row >= 0)
            tail[listed] = self.probability[m - 1][row[listed]]
        return p

    def distributions(self, contexts: Array) -> Array:
        """(q, size) next-token probabilities; rows sum to 1.

        Parameters
        ----------
        contexts : (q, k) integer array
            Oldest token first; the last n - 1 matter, and missing ones count as padding.
        """
        p = np.tile(self.probability[0][: self.size], (len(contexts), 1))
        for m, context in enumerate(self.index.find_contexts(contexts), start=2):
            known = np.flatnonzero(context >= 0)
            p[known] *= self.backoff[m - 2][context[known]][:, None]
            at, row = self.index.level(m).following(context[known])
            token = self.index.last_tokens(m)[row]
            inside = token < self.size
            p[known[at[inside]], token[inside]] = self.probability[m - 1][row[inside]]
        return p
