"""Vectors of tokens, and the distribution of a token's neighbours that they imply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from statlm.errors import SpecificationError
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


@dataclass(frozen=True, eq=False)
class SkipGramModel:
    """The distribution of neighbours that vectors imply; see `SkipGram`.

    Parameters
    ----------
    corpus : Corpus
        Pairs.
    centres, neighbours : (V, r) arrays
        Vectors of tokens in either role.
    noise : (V,) array
        Distribution of the negatives; types with 0 were never seen.
    negative : float
        Negatives a pair.
    """

    corpus: Corpus
    centres: Array
    neighbours: Array
    noise: Array
    negative: float
    memory = 1

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of a neighbour of the last token of each context, nats; ``-inf`` for types never seen."""
        contexts = np.atleast_2d(np.asarray(contexts, np.int64))
        size = self.corpus.vocabulary.size
        centre = contexts[:, -1] if contexts.shape[1] else np.full(len(contexts), size)
        vectors = np.where((centre < size)[:, None], self.centres[np.minimum(centre, size - 1)], 0.0)
        with np.errstate(divide="ignore"):
            result: Array = log_softmax(vectors @ self.neighbours.T + np.log(self.noise), axis=1)
        return result

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each neighbour given its centre, nats."""
        return self._loglike_obs

    def on(self, corpus: Corpus) -> SkipGramModel:
        """The same vectors on other pairs."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return replace(self, corpus=corpus)

    def embeddings(self) -> pd.DataFrame:
        """(V, r) table of the vectors of tokens as centres, by token; their axes have no meaning of their own."""
        return pd.DataFrame(self.centres, index=pd.Index(self.corpus.vocabulary.tokens[: len(self.centres)], name="token"))

    def most_similar(self, token: str, n: int = 10) -> pd.DataFrame:
        """The tokens whose vectors have the smallest angle with that of one.

        Parameters
        ----------
        token : str
        n : int
            How many.
        """
        one = self._place(token)
        length = np.linalg.norm(self.centres, axis=1)
        cosine = self.centres @ self.centres[one] / np.maximum(length * length[one], 1e-300)
        cosine[one] = -np.inf
        order = np.argsort(-cosine, kind="stable")[:n]
        return pd.DataFrame({"token": [self.corpus.vocabulary.tokens[i] for i in order], "similarity": cosine[order]})

    def mutual_information(self, token: str, other: str) -> float:
        """Pointwise mutual information of two tokens as neighbours, nats: the product of their vectors, and log k."""
        return float(self.centres[self._place(token)] @ self.neighbours[self._place(other)] + np.log(self.negative))

    def notes(self) -> list[str]:
        """What a reader of the summary must know."""
        return [
            "Vectors maximise a composite likelihood, that of telling pairs from drawn ones: no AIC, no likelihood-ratio tests."
        ]

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `SkipGram.restore` makes it again."""
        return {"centres": self.centres, "neighbours": self.neighbours, "noise": self.noise}, {"negative": self.negative}

    def _place(self, token: str) -> int:
        found = int(self.corpus.vocabulary.ids_of([token])[0])
        if found >= len(self.centres) or self.corpus.vocabulary.tokens[found] != token or not self.noise[found] > 0:
            raise SpecificationError(f"{token!r} stands in no pair that the vectors were fitted to, so it has none.")
        return found

    @cached_property
    def _loglike_obs(self) -> Array:
        size = self.corpus.vocabulary.size
        pairs = np.stack([self.corpus.contexts(1)[:, -1].astype(np.int64), self.corpus.targets.astype(np.int64)], axis=1)
        unique, index = np.unique(pairs[:, 0], return_inverse=True)
        result = np.full(len(pairs), -np.inf)
        inside = pairs[:, 1] < size
        result[inside] = self.logprobs(unique[:, None])[index[inside], pairs[inside, 1]]
        return result
