"""The Jelinek-Mercer mixture as a likelihood in its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import DamagedFile, NoEstimate, SpecificationError
from statlm.models.ngram.buckets import Buckets, by_quantiles
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
    params : (P,) array
        Weight of the m-gram frequencies against all shorter ones, for m = 1, ..., n; where `buckets` divide the contexts of a
        length, one weight a bucket.
    buckets : Buckets, optional
        One a length by default, so that P = n.
    """

    corpus: Corpus
    index: NGramIndex
    raw: tuple[Array, ...]
    params: Array
    buckets: Buckets | None = None

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
        return pd.MultiIndex.from_arrays([["weight"] * self.dof, self._buckets.names], names=["response", "term"])

    @property
    def _buckets(self) -> Buckets:
        return self.buckets or Buckets.single(self.n)

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
            If they are not as many numbers between 0 and 1.
        """
        params = np.asarray(params, float)
        size = self._buckets.size
        if params.shape != (size,) or not ((params >= 0) & (params <= 1)).all():
            raise SpecificationError(f"{params!r} are not {size} weights between 0 and 1.")
        made = replace(self, params=params)
        if "_parts" in self.__dict__:  # they do not depend on the weights
            made.__dict__["_parts"] = self._parts
        return made

    def score(self) -> Array:
        """(nobs, P) derivative of `loglike_obs` with respect to the weights.

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
        r"""(P, P) observed information.

        With :math:`s_i` the score of an observation, and m, k the weights of two lengths that concern it,
        :math:`-\partial^2 \log p_i / \partial\lambda_m \partial\lambda_k` is :math:`s_{im} s_{ik} + s_{ik} / (1 - \lambda_m)` for
        k shorter than m where the context of length m - 1 was seen.
        """
        score, (_, depth, cell) = self._score, self._parts
        result = score.T @ score
        for m in range(2, self.n + 1):
            for i in range(self.dof)[self._buckets.range(m)]:
                if self.params[i] < 1:
                    cross = score[(depth >= m) & (cell[:, m - 1] == i), : self._buckets.range(m).start].sum(axis=0)
                    cross /= 1 - self.params[i]
                    result[i, : len(cross)] += cross
                    result[: len(cross), i] += cross
        return result

    def notes(self) -> list[str]:
        """What a reader of the summary must know."""
        notes = [
            "The parameters are the weights of m-gram frequencies against all shorter ones"
            f"{', by how often the context was seen' if self.dof > self.n else ''}. The log-likelihood and the "
            "criteria are of the held-out documents, given the counts of the others."
        ]
        edge = np.flatnonzero((self.params < EDGE) | (self.params > 1 - EDGE))
        if len(edge):
            names = [self._buckets.names[i] for i in edge] if self.dof > self.n else [f"n = {i + 1}" for i in edge]
            notes.append(
                f"Weights on the boundary ({'; '.join(names)}): the likelihood has no maximum inside, and "
                "no standard error of theirs exists."
            )
        return notes

    def em_step(self, weights: Array) -> tuple[float, Array]:
        """Mean log-likelihood an observation at these weights, and the weights that EM goes to next."""
        here = self.at(weights)
        (frequency, depth, cell), mixed, inside = here._parts, here._mixed, here._inside
        after = np.ones(len(depth))  # weight of what is shorter than the lengths seen so far
        following = np.array(weights, float)
        p = np.where(inside, mixed[:, -1], 1.0)
        for m in range(self.n, 0, -1):
            weight, place = here.params[cell[:, m - 1]], self._buckets.range(m)
            seen = np.flatnonzero((depth >= m) & inside)
            chosen = self._by_bucket(m, cell[seen, m - 1], (after * weight * frequency[:, m] / p)[seen])
            offered = self._by_bucket(m, cell[seen, m - 1], (after * mixed[:, m] / p)[seen])
            following[place] = np.where(offered > 0, chosen / np.where(offered > 0, offered, 1.0), following[place])
            after = np.where(depth >= m, after * (1 - weight), after)
        return float(np.log(p[inside]).mean()), following

    def _by_bucket(self, m: int, cell: Array, values: Array) -> Array:
        """Sums of `values` by the parameters of length m that they belong to."""
        place = self._buckets.range(m)
        if place.stop - place.start == 1:
            return values.sum(keepdims=True)
        return np.bincount(cell - place.start, values, place.stop - place.start)

    def unconstrained_gradient(self) -> Array:
        """(P,) derivative of `loglike_inside`."""
        gradient: Array = self._score.sum(axis=0)
        return gradient

    def gradient_inside(self) -> Array:
        """(P,) derivative of `loglike_inside`; 0 for a weight on the boundary that the likelihood would push beyond it."""
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
            weight = self.params[self._buckets.of(level.m, level.totals)]
            whole = np.where(level.totals > 0, level.totals, 1.0)
            return level.of_context(weight) * level.counts / level.of_context(whole), 1 - weight

        return interpolate(self.index, levels, shares, self.corpus.vocabulary.size)

    @cached_property
    def _parts(self) -> tuple[Array, Array, Array]:
        """(nobs, n + 1) frequency of each observation at lengths 0, ..., n; the longest length whose context was seen; and the
        (nobs, n) weight of each length that concerns it.
        """
        stream, observations = stream_of(self.corpus)
        size = self.corpus.vocabulary.size
        rows = self.index.find_stream(stream)
        frequency = np.zeros((len(observations), self.n + 1))
        cell = np.empty((len(observations), self.n), np.int32)
        target = stream[observations]
        frequency[:, 0] = np.where(target < size, 1.0 / size, 0.0)
        whole = int(self.raw[0].sum())
        frequency[:, 1] = self.raw[0][target] / max(whole, 1)
        cell[:, 0] = self._buckets.of(1, np.array([whole]))
        depth = np.ones(len(observations), np.int8)
        for m in range(2, self.n + 1):
            total = self._totals_before(rows[m - 2], m)[observations - 1]
            row = rows[m - 1][observations]
            depth[total > 0] = m
            listed = np.flatnonzero((row >= 0) & (total > 0))
            frequency[listed, m] = self.raw[m - 1][row[listed]] / total[listed]
            cell[:, m - 1] = self._buckets.of(m, total)
        return frequency, depth, cell

    def _totals_before(self, rows: Array, m: int) -> Array:
        """How often the contexts of m-grams in these rows were seen; 0 for a row of -1."""
        totals = np.bincount(self.index.level(m).context, self.raw[m - 1], self.index.size(m - 1))
        return np.where(rows >= 0, totals[np.maximum(rows, 0)], 0.0)

    def divided(self, number: int) -> MixtureNGram:
        """The contexts of each length divided into about this many buckets, by how often they were seen; all weights 1/2.

        The bounds are quantiles over the observations of `corpus`: functions of their contexts, not of what followed.
        """
        stream, observations = stream_of(self.corpus)
        rows = self.index.find_stream(stream)
        totals = [np.zeros(0)]  # all 1-grams have the same context
        for m in range(2, self.n + 1):
            total = self._totals_before(rows[m - 2], m)[observations - 1]
            totals.append(total[total > 0])
        buckets = by_quantiles(totals, number)
        return replace(self, buckets=buckets, params=np.full(buckets.size, 0.5))

    @cached_property
    def _mixed(self) -> Array:
        """(nobs, n + 1) probability of each observation by the mixture of the lengths up to 0, ..., n."""
        frequency, depth, cell = self._parts
        mixed = np.empty_like(frequency)
        mixed[:, 0] = frequency[:, 0]
        for m in range(1, self.n + 1):
            weight = self.params[cell[:, m - 1]]
            blend = weight * frequency[:, m] + (1 - weight) * mixed[:, m - 1]
            mixed[:, m] = np.where(depth >= m, blend, mixed[:, m - 1])
        return mixed

    @cached_property
    def _inside(self) -> Array:
        return self._parts[0][:, 0] > 0

    @cached_property
    def _score(self) -> Array:
        frequency, depth, cell = self._parts
        mixed = self._mixed
        p = np.where(self._inside, mixed[:, -1], 1.0)
        after = np.where(self._inside, 1.0 / p, 0.0)
        score = np.zeros((len(depth), self.dof))
        for m in range(self.n, 0, -1):
            seen = np.flatnonzero(depth >= m)
            weight = self.params[cell[seen, m - 1]]
            score[seen, cell[seen, m - 1]] = after[seen] * (frequency[seen, m] - mixed[seen, m - 1])
            after[seen] *= 1 - weight
        return score

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `restore` makes it again."""
        counts = {f"count{m}": c for m, c in enumerate(self.raw, start=1)}
        edges = {f"edges{m}": e for m, e in enumerate(self._buckets.edges, start=1)} if self.dof > self.n else {}
        return index_arrays(self.index) | counts | edges | {"weights": self.params}, {}

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
        buckets = None
        if f"edges{n}" in arrays:
            buckets = Buckets(tuple(arrays.get(f"edges{m}", np.zeros(0, np.int64)) for m in range(1, n + 1)))
        size = n if buckets is None else buckets.size
        if weights.shape != (size,):
            raise DamagedFile(f"The saved n-gram has {len(weights)} weights and needs {size}. Save the fit again.")
        return cls(corpus, index, raw, weights, buckets)
