"""A nearest-neighbour language model: what followed the contexts of a text that are most like this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from statlm.errors import SpecificationError
from statlm.fit.fit import Fit, FitReport
from statlm.likelihood.next_token import next_tokens
from statlm.models.recent_tokens import RecentTokens
from statlm.numerics.nearest import build_index, indexed_shares, nearest_shares
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

SEARCHES = ("exact", "faiss")
AT_ONCE = 1 << 16  # contexts whose features are asked for at a time


class Features(Protocol):
    """What turns contexts into points."""

    @property
    def memory(self) -> int:
        """How many tokens back they look."""
        ...

    def __call__(self, contexts: Array) -> Array:
        """(m, d) features of (m, memory) contexts of token ids, oldest first."""
        ...


@dataclass(frozen=True)
class NearestNeighbour:
    r"""The next token as what followed similar contexts in a text, which is kept.

    With features f of contexts and the nearest contexts N(c) of the text,

    .. math:: p(w \mid c) \propto \sum_{j \in N(c)} 1[y_j = w] \exp\{-\lVert f(c) - f(x_j) \rVert^2 / h\} .

    Tokens that followed none of them have probability 0: mix it with a smoothed model, ``Mixture({"lm": a, "retrieved": b})``,
    on text that neither was fitted to. With the states of a network as features that mixture is retrieval-augmented generation
    with a likelihood.

    Parameters
    ----------
    features : callable with a ``memory``
        From (m, memory) contexts of token ids, oldest first, to (m, d) points.
    neighbours : int
        How many; with "exact" search, all contexts as near as the last of them count too.
    bandwidth : float
        h, in squared units of distance.
    search : "exact" or "faiss"
        All distances, or an index of the library faiss, which may miss a neighbour and is much faster on many contexts
        (``pip install 'statlm[retrieval]'``).

    Notes
    -----
    It has no parameters and so is a distribution only. On the text that it keeps, each context finds itself: its loss there says
    nothing.

    References
    ----------
    Khandelwal, Levy, Jurafsky, Zettlemoyer and Lewis (2020), Generalization through memorization: nearest neighbor language
    models.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra, a cadabra. " * 20).split(test=0.5)
    >>> fit = NearestNeighbour(slm.RecentTokens(lags=3), neighbours=4).fit(train)
    >>> fit.predict(["abr"]).token[0]
    'a'
    """

    features: Any = field(default_factory=RecentTokens)
    neighbours: int = 32
    bandwidth: float = 0.5
    search: str = "exact"

    def __post_init__(self) -> None:
        if self.search not in SEARCHES:
            raise SpecificationError(f"There is no search {self.search!r}. Use 'exact' or 'faiss'.")
        if isinstance(self.neighbours, bool) or self.neighbours < 1 or not self.bandwidth > 0:
            raise SpecificationError(
                f"neighbours={self.neighbours!r}, bandwidth={self.bandwidth!r}: use one neighbour or more, and a "
                "bandwidth above 0."
            )

    def __str__(self) -> str:
        return f"{self.neighbours} nearest neighbours"

    def fit(self, corpus: Corpus) -> Fit:
        """Keep the features of all contexts of a corpus and the tokens that followed them.

        Raises
        ------
        SpecificationError
            If features are no (m, d) finite numbers, or faiss is asked for and not installed.
        """
        memory = int(self.features.memory)
        followed = corpus.targets.astype(np.int64)
        inside = followed < corpus.vocabulary.size  # <unk> outside the support is conditioned on and not predicted
        keys = points_of(self.features, corpus.contexts(memory)[inside])
        index = build_index(keys) if self.search == "faiss" else None
        model = NeighbourModel(
            corpus, self.features, memory, keys, followed[inside], self.neighbours, float(self.bandwidth), index
        )
        return Fit(self, model, FitReport(f"kept {len(keys):,} contexts ({self.search} search)"))


@dataclass(frozen=True, eq=False)
class NeighbourModel:
    """A distribution of the next token by the nearest of kept contexts.

    Parameters
    ----------
    corpus : Corpus
        Where it stands.
    features : callable
    memory : int
        How many tokens back the features look.
    keys : (N, d) float32 array
        Features of the kept contexts.
    followed : (N,) integer array
        The tokens that followed them.
    neighbours : int
    bandwidth : float
    index : object or None
        An index of faiss over the keys.
    """

    corpus: Corpus
    features: Callable[[Array], Array]
    memory: int
    keys: Array
    followed: Array
    neighbours: int
    bandwidth: float
    index: Any = None

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token after contexts of token ids, nats."""
        contexts = np.atleast_2d(np.asarray(contexts, np.int64))
        m, width = contexts.shape
        vocabulary = self.corpus.vocabulary
        if width < self.memory:
            contexts = np.hstack([np.full((m, self.memory - width), vocabulary.pad), contexts])
        queries = points_of(self.features, contexts[:, contexts.shape[1] - self.memory :])
        settings = (vocabulary.size, self.neighbours, self.bandwidth)
        if self.index is None:
            shares = nearest_shares(queries, self.keys, self.followed, *settings)
        else:
            shares = indexed_shares(self.index, queries, self.followed, *settings)
        with np.errstate(divide="ignore"):
            result: Array = np.log(shares)
        return result

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        return self._loglike_obs

    def on(self, corpus: Corpus) -> NeighbourModel:
        """The same distribution on other text of the same vocabulary."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return replace(self, corpus=corpus)

    def notes(self) -> list[str]:
        """What a reader of the summary must know."""
        return ["On the text that it keeps, each context is its own nearest neighbour: look at the loss on other text only."]

    @cached_property
    def _loglike_obs(self) -> Array:
        targets = self.corpus.targets.astype(np.int64)
        result = np.full(len(targets), -np.inf)
        for part in next_tokens(self):
            known = targets[part.where] < part.logprobs.shape[1]
            where = part.where[known]
            result[where] = part.logprobs[part.row[known], targets[where]]
        return result


def points_of(features: Callable[[Array], Array], contexts: Array) -> Array:
    """(m, d) float32 features of contexts, in pieces, checked."""
    parts = []
    for first in range(0, len(contexts), AT_ONCE):
        some = contexts[first : first + AT_ONCE]
        found = np.asarray(features(some), np.float32)
        if found.ndim != 2 or len(found) != len(some) or not np.isfinite(found).all():
            raise SpecificationError(
                f"The features of {len(some):,} contexts have shape {found.shape}, or are not finite. They must be one row of "
                "finite numbers for each context."
            )
        parts.append(found)
    return np.concatenate(parts)
