"""The Jelinek-Mercer mixture as a likelihood in its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import DamagedFile, NoEstimate, SpecificationError
from statlm.models.ngram.interpolated import check_lengths, index_arrays, restore_index
from statlm.models.ngram.levels import CountLevel, Shares, interpolate
from statlm.models.ngram.stream import stream_of
from statlm.numerics.backoff_table import BackoffTable
from statlm.numerics.ngram_index import NGramIndex
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

EDGE = 1e-6  # a weight this close to 0 or 1 is on the boundary


@dataclass(frozen=True, eq=False)
class MixtureNGram:
    """Relative frequencies of 1-grams to n-grams mixed with weights that are the parameters; see `JelinekMercer`.

    The counts are data: what is inferred is how much to trust each length, on a corpus that was not counted.

    Parameters
    ----------
    corpus : Corpus
        Where the likelihood stands.
    index : NGramIndex
        The n-grams of the counted documents.
    raw : tuple of n (K_m,) arrays
        Their counts.
    params : (n,) array
        Weight of the m-gram frequencies against all shorter ones, for m = 1, ..., n.
    """

    corpus: Corpus
    index: NGramIndex
    raw: tuple[Array, ...]
    params: Array

    @property
    def n(self) -> int:
        """Length of the longest n-grams."""
        return self.index.n

    @property
    def memory(self) -> int:
        """How many tokens back the model looks."""
        return self.index.n - 1

    @property
    def dof(self) -> int:
        """The number of weights."""
        return len(self.params)

    @property
    def param_names(self) -> pd.MultiIndex:
        """``weight``, and the length that it is of."""
        terms = [f"{m}-gram" for m in range(1, self.n + 1)]
        return pd.MultiIndex.from_arrays([["weight"] * self.n, terms], names=["response", "term"])

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        with np.errstate(divide="ignore"):
            result: Array = np.log(self._mixed[:, -1])
        return result

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token after contexts of token ids, nats."""
        with np.errstate(divide="ignore"):
            result: Array = np.log(self.table.distributions(np.atleast_2d(np.asarray(contexts, np.int64))))
        return result

    def on(self, corpus: Corpus) -> MixtureNGram:
        """The same probabilities on another corpus of the same vocabulary."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return replace(self, corpus=corpus)

    def at(self, params: Array) -> MixtureNGram:
        """The same counts with other weights.

        Raises
        ------
        SpecificationError
            If they are not n numbers between 0 and 1.
        """
        params = np.asarray(params, float)
        if params.shape != (self.n,) or not ((params >= 0) & (params <= 1)).all():
            raise SpecificationError(f"{params!r} are not {self.n} weights between 0 and 1.")
        made = replace(self, params=params)
        if "_parts" in self.__dict__:  # they do not depend on the weights
            made.__dict__["_parts"] = self._parts
        return made

    def score(self) -> Array:
        """(nobs, n) derivative of `loglike_obs` with respect to the weights.

        Raises
        ------
        NoEstimate
            If an observation has probability 0.
        """
        if not self._inside.all():
            raise NoEstimate(
                f"{np.count_nonzero(~self._inside):,} of {self.corpus.nobs:,} observations have probability 0 (<unk> is "
                "not in the support), whatever the weights. Make the vocabulary with unk=True."
            )
        return self._score

    def information(self) -> Array:
        r"""(n, n) observed information.

        With :math:`s_i` the score of an observation, :math:`-\partial^2 \log p_i / \partial\lambda_m \partial\lambda_k` is
        :math:`s_{im} s_{ik} + s_{ik} / (1 - \lambda_m)` for k < m where the context of length m - 1 was seen.
        """
        score, (_, depth) = self._score, self._parts
        result = score.T @ score
        for m in range(2, self.n + 1):
            if self.params[m - 1] < 1:
                cross = score[depth >= m, : m - 1].sum(axis=0) / (1 - self.params[m - 1])
                result[m - 1, : m - 1] += cross
                result[: m - 1, m - 1] += cross
        return result

    def notes(self) -> list[str]:
        """What a reader of the summary must know."""
        notes = [
            "The parameters are the weights of m-gram frequencies against all shorter ones. The log-likelihood and the "
            "criteria are of the held-out documents, given the counts of the others."
        ]
        edge = np.flatnonzero((self.params < EDGE) | (self.params > 1 - EDGE)) + 1
        if len(edge):
            notes.append(
                f"Weights on the boundary (n = {', '.join(map(str, edge))}): the likelihood has no maximum inside, and "
                "no standard error of theirs exists."
            )
        return notes

    def em_step(self, weights: Array) -> tuple[float, Array]:
        """Mean log-likelihood an observation at these weights, and the weights that EM goes to next."""
        here = self.at(weights)
        (frequency, depth), mixed, inside = here._parts, here._mixed, here._inside
        after = np.ones(len(depth))  # weight of what is shorter than the lengths seen so far
        chosen, offered = np.zeros(self.n), np.zeros(self.n)
        p = np.where(inside, mixed[:, -1], 1.0)
        for m in range(self.n, 0, -1):
            seen = (depth >= m) & inside
            chosen[m - 1] = (after * weights[m - 1] * frequency[:, m] / p)[seen].sum()
            offered[m - 1] = (after * mixed[:, m] / p)[seen].sum()
            after = np.where(depth >= m, after * (1 - weights[m - 1]), after)
        following = np.where(offered > 0, chosen / np.where(offered > 0, offered, 1.0), weights)
        return float(np.log(p[inside]).mean()), following

    def unconstrained_gradient(self) -> Array:
        """(n,) derivative of `loglike_inside`."""
        gradient: Array = self._score.sum(axis=0)
        return gradient

    def gradient_inside(self) -> Array:
        """(n,) derivative of `loglike_inside`; 0 for a weight on the boundary that the likelihood would push beyond it."""
        gradient = self.unconstrained_gradient()
        out = ((self.params < EDGE) & (gradient < 0)) | ((self.params > 1 - EDGE) & (gradient > 0))
        return np.where(out, 0.0, gradient)

    def loglike_inside(self) -> float:
        """Log-likelihood of the observations that can have a probability, nats."""
        return float(np.log(self._mixed[self._inside, -1]).sum())

    @cached_property
    def table(self) -> BackoffTable:
        """The mixture as n-gram probabilities and back-off weights."""
        sizes = [1, *(self.index.size(m) for m in range(1, self.n))]
        levels = [
            CountLevel(m, self.raw[m - 1], None if m == 1 else self.index.level(m).context, sizes[m - 1])
            for m in range(1, self.n + 1)
        ]

        def shares(level: CountLevel) -> Shares:
            weight = self.params[level.m - 1]
            whole = np.where(level.totals > 0, level.totals, 1.0)
            return weight * level.counts / level.of_context(whole), np.full(level.ncontexts, 1 - weight)

        return interpolate(self.index, levels, shares, self.corpus.vocabulary.size)

    @cached_property
    def _parts(self) -> tuple[Array, Array]:
        """(nobs, n + 1) frequency of each observation at lengths 0, ..., n; the longest length whose context was seen."""
        stream, observations = stream_of(self.corpus)
        size = self.corpus.vocabulary.size
        rows = self.index.find_stream(stream)
        frequency = np.zeros((len(observations), self.n + 1))
        target = stream[observations]
        frequency[:, 0] = np.where(target < size, 1.0 / size, 0.0)
        frequency[:, 1] = self.raw[0][target] / max(int(self.raw[0].sum()), 1)
        depth = np.ones(len(observations), np.int8)
        for m in range(2, self.n + 1):
            level = self.index.level(m)
            totals = np.bincount(level.context, self.raw[m - 1], self.index.size(m - 1))
            context, row = rows[m - 2][observations - 1], rows[m - 1][observations]
            total = np.where(context >= 0, totals[np.maximum(context, 0)], 0.0)
            depth[total > 0] = m
            listed = np.flatnonzero((row >= 0) & (total > 0))
            frequency[listed, m] = self.raw[m - 1][row[listed]] / total[listed]
        return frequency, depth

    @cached_property
    def _mixed(self) -> Array:
        """(nobs, n + 1) probability of each observation by the mixture of the lengths up to 0, ..., n."""
        frequency, depth = self._parts
        mixed = np.empty_like(frequency)
        mixed[:, 0] = frequency[:, 0]
        for m, weight in enumerate(self.params, start=1):
            blend = weight * frequency[:, m] + (1 - weight) * mixed[:, m - 1]
            mixed[:, m] = np.where(depth >= m, blend, mixed[:, m - 1])
        return mixed

    @cached_property
    def _inside(self) -> Array:
        return self._parts[0][:, 0] > 0

    @cached_property
    def _score(self) -> Array:
        frequency, depth = self._parts
        mixed = self._mixed
        p = np.where(self._inside, mixed[:, -1], 1.0)
        after = np.where(self._inside, 1.0 / p, 0.0)
        score = np.zeros((len(depth), self.n))
        for m in range(self.n, 0, -1):
            seen = depth >= m
            score[:, m - 1] = np.where(seen, after * (frequency[:, m] - mixed[:, m - 1]), 0.0)
            after = np.where(seen, after * (1 - self.params[m - 1]), after)
        return score

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `restore` makes it again."""
        counts = {f"count{m}": c for m, c in enumerate(self.raw, start=1)}
        return index_arrays(self.index) | counts | {"weights": self.params}, {}

    @classmethod
    def restore(cls, n: int, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]) -> MixtureNGram:
        """The inverse of `state`, on a corpus.

        Raises
        ------
        DamagedFile
            If arrays are missing or do not fit together.
        """
        index = restore_index(n, corpus.vocabulary, arrays)
        try:
            raw = tuple(arrays[f"count{m}"] for m in range(1, n + 1))
            weights = arrays["weights"]
        except KeyError as error:
            raise DamagedFile(f"The saved n-gram lacks {error}. Save the fit again.") from error
        check_lengths(index, raw, [np.empty(index.size(1))])
        if weights.shape != (n,):
            raise DamagedFile(f"The saved n-gram has {len(weights)} weights for n={n}. Save the fit again.")
        return cls(corpus, index, raw, weights)
