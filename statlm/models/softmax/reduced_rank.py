"""The likelihood of a softmax regression whose coefficients have low rank: the log-bilinear model, with embeddings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import NoEstimate, SpecificationError
from statlm.likelihood.embedded import Side
from statlm.models.softmax.design import LagDesign
from statlm.models.softmax.likelihood import SoftmaxLikelihood
from statlm.models.softmax.reduced_rank_alignment import aligned_params
from statlm.numerics.identified_solution import Determined
from statlm.numerics.low_rank_chart import Chart, NuclearPenalty, cornered, pivots_of
from statlm.numerics.low_rank_curvature import ChartCurvature, array_or_products
from statlm.numerics.low_rank_logit import Factors, LowRankLogit
from statlm.numerics.low_rank_score import MAX_ENTRIES, ScoreRows
from statlm.numerics.repeated_rows import RepeatedRows
from statlm.numerics.types import Array, Matrix
from statlm.text.corpus import Corpus


@dataclass(frozen=True, eq=False)
class ReducedRankLikelihood:
    """Likelihood of a softmax regression of low rank; see `SoftmaxRegression`.

    Parameters
    ----------
    corpus : Corpus
    design : LagDesign
        Of main effects.
    responses : (J,) integer array
        Ids of the tokens that training saw; the others have probability 0.
    reference : int
        Position of the reference class in `responses`.
    factors : Factors
        Intercepts (J,), left (P, r) and right (J, r), the rows of `pivots` in it the identity; zero for the reference class.
    pivots : (r,) integer array
        Classes whose coefficients are the columns of the left factor.
    kept : (P,) boolean array
        Columns of the design that are identified; the intercept's is not among them.
    rank : int
        Rank of the design on the training contexts.
    strength : float or None
        Of the ridge penalty.
    fitted : dict
        What the summary says of the search: starts, those that agree, and the rank that was asked for.
    """

    corpus: Corpus
    design: LagDesign
    responses: Array
    reference: int
    factors: Factors
    pivots: Array
    kept: Array
    rank: int
    strength: float | None
    fitted: dict[str, int]

    @classmethod
    def standing(
        cls,
        corpus: Corpus,
        design: LagDesign,
        responses: Array,
        reference: int,
        factors: Factors,
        kept: Array,
        rank: int,
        strength: float | None,
        fitted: dict[str, int],
    ) -> ReducedRankLikelihood:
        """The likelihood at factors that are zero for the reference class, with pivots chosen where it stands."""
        frequency = corpus.type_counts[responses].astype(float)
        frequency[reference] = 0.0
        pivots = pivots_of(factors.right, np.maximum(frequency, 1e-9))
        return cls(corpus, design, responses, reference, cornered(factors, pivots), pivots, kept, rank, strength, fitted)

    # --- Predictive ---------------------------------------------------------------------------------------------------

    @property
    def memory(self) -> int:
        """Number of lags."""
        return self.design.lags

    @property
    def nlags(self) -> int:
        """Number of lags, each with context embeddings of its own."""
        return self.design.lags

    @cached_property
    def _softmax(self) -> SoftmaxLikelihood:
        """The same distribution as a softmax regression with its coefficients written out."""
        coefficients = self.factors.left @ self.factors.right.T
        coefficients[0] = self.factors.intercepts
        free = np.zeros(coefficients.shape, bool)
        return SoftmaxLikelihood(
            self.corpus, self.design, self.responses, self.reference, coefficients, free, (), self.rank, None
        )

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        return self._softmax.loglike_obs()

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token, nats; ``-inf`` for tokens that training never saw."""
        return self._softmax.logprobs(contexts)

    def unseen(self, contexts: Array) -> Array:
        """(m,) whether a context holds a token that training never saw at its lag, and which is read as the reference level."""
        return self._softmax.unseen(contexts)

    def on(self, corpus: Corpus) -> ReducedRankLikelihood:
        """The same coefficients on another corpus of the same vocabulary."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return replace(self, corpus=corpus)

    # --- Likelihood ---------------------------------------------------------------------------------------------------

    @property
    def dimensions(self) -> int:
        """Rank r of the coefficients."""
        return self.factors.rank

    @cached_property
    def chart(self) -> Chart:
        """Which entries are parameters."""
        nclasses, ncolumns = len(self.responses), self.design.ncolumns
        classes = np.delete(np.arange(nclasses), self.reference)
        others = np.setdiff1d(classes, self.pivots)
        return Chart(classes, np.flatnonzero(self.kept), others, (nclasses, ncolumns, self.dimensions))

    @property
    def params(self) -> Array:
        """(p,) intercepts, log-odds of the pivot classes, and loadings of the others on the pivots."""
        return self.chart.coordinates(self.factors)

    @property
    def param_names(self) -> pd.MultiIndex:
        """Token and term: ``(Intercept)``; ``lag1[e]`` for pivot classes; ``like[t]``, loading on pivot class t, for others."""
        tokens = np.array(self.corpus.vocabulary.tokens, dtype=object)[self.responses]
        terms = np.array(self.design.names(self.corpus.vocabulary), dtype=object)
        chart, pivots = self.chart, tokens[self.pivots]
        loadings = np.array([f"like[{token}]" for token in pivots], dtype=object)
        response = [tokens[chart.classes], np.tile(pivots, len(chart.rows)), np.repeat(tokens[chart.others], len(pivots))]
        term = [
            np.full(len(chart.classes), "(Intercept)", dtype=object),
            np.repeat(terms[chart.rows], len(pivots)),
            np.tile(loadings, len(chart.others)),
        ]
        return pd.MultiIndex.from_arrays([np.concatenate(response), np.concatenate(term)], names=["response", "term"])

    @property
    def dof(self) -> int:
        """The q = J - 1 intercepts, and r (p + q - r) for coefficients of rank r and a design of rank p beside the intercept."""
        p, q, r = self.rank - 1, len(self.responses) - 1, self.dimensions
        return q + r * (p + q - r)

    @cached_property
    def _data(self) -> LowRankLogit:
        table = self._softmax._table
        return LowRankLogit(table.design, table.counts, self.factors)

    def score(self) -> RepeatedRows:
        """(nobs, p) score, stored as the distinct rows of (context, token) pairs and an index.

        Raises
        ------
        NoEstimate
            If an observation has probability 0.
        """
        table = self._softmax._table
        impossible = int(np.count_nonzero(table.target < 0))
        if impossible:
            raise NoEstimate(
                f"{impossible:,} of {self.corpus.nobs:,} observations are tokens that training never saw: they have "
                "probability 0, so "
                "the log-likelihood is -inf and has no derivative. Use the corpus the model was fitted to."
            )
        nclasses = len(self.responses)
        cells, index = np.unique(table.context * nclasses + table.target, return_inverse=True)
        rows = ScoreRows(self.chart, self._data, *np.divmod(cells, nclasses))
        if len(cells) * self.chart.size <= MAX_ENTRIES:
            return RepeatedRows(rows[np.arange(len(cells))], index)
        return RepeatedRows(rows, index)

    def _curvature(self, penalty: NuclearPenalty | None, likelihood: bool) -> Matrix:
        return array_or_products(
            ChartCurvature(self.chart, self._data, self.reference, self.pivots, self._groups, penalty, likelihood)
        )

    @cached_property
    def _groups(self) -> tuple[Array, ...]:
        offsets = self.design.offsets
        return tuple(np.arange(offsets[j], offsets[j + 1]) for j in range(self.design.lags))

    def information(self) -> Matrix:
        """(p, p) minus the second derivative of the log-likelihood, the penalty apart; by its products where it is large."""
        return self._curvature(None, True)

    @property
    def penalised(self) -> bool:
        """Whether a ridge penalty was fitted."""
        return self.strength is not None

    def penalty_curvature(self) -> Matrix:
        """(p, p) second derivative of the penalty, the nuclear norm of the coefficients."""
        if self.strength is None:
            return np.zeros((self.chart.size, self.chart.size))
        return self._curvature(NuclearPenalty(self.strength, self.factors, self._groups), False)

    def at(self, params: Array) -> ReducedRankLikelihood:
        """The likelihood at other values of the parameters."""
        params = np.asarray(params, float)
        if params.shape != (self.chart.size,):
            raise SpecificationError(f"params has shape {params.shape}; this model has {self.chart.size:,} parameters.")
        return replace(self, factors=self.chart.replaced(self.factors, params))

    def params_as(self, other: ReducedRankLikelihood) -> Determined:
        """What this fit makes of the parameters of another, whatever the references and pivots of either."""
        return aligned_params(self, other)

    def moved(self, step: Array) -> Array:
        """(C, J) change of the linear predictors of the training contexts, to first order, when `params` change by `step`."""
        return np.asarray(self._data.predictors(self.chart.embedded(step[None]))[0])

    # --- embeddings ---------------------------------------------------------------------------------------------------

    def side(self, side: str, lag: int) -> Side:
        """Vectors of tokens as contexts at a lag (the tokens seen there), or as responses; centred.

        Raises
        ------
        NoEstimate
            If some token's vector is not identified.
        """
        vocabulary = self.corpus.vocabulary
        right = self.factors.right - self.factors.right.mean(axis=0)
        if side == "response":
            tokens = tuple(vocabulary.tokens[i] for i in self.responses)
            return Side(tokens, right, np.concatenate([self._levels(j)[1] for j in range(self.nlags)]))
        ids, vectors = self._levels(lag - 1)
        return Side(tuple(vocabulary.tokens[i] for i in ids), vectors, right)

    def pulled_back(self, side: str, lag: int, vectors: Array, others: Array) -> Array:
        """(q, p) gradients with respect to `params` of functions of a `side`; see `Embedded`."""
        right, contexts = (vectors, others) if side == "response" else (others, vectors)
        lags = range(self.nlags) if side == "response" else [lag - 1]
        left = np.zeros((len(vectors), self.design.ncolumns, self.dimensions))
        start = 0
        for j in lags:
            places = self._tokens(j)
            some = contexts[:, start : start + len(places)]
            some = some - some.mean(axis=1, keepdims=True)
            start += len(places)
            columns = self.design.offsets[j] + places - 1
            here = places > 0  # the reference level has no row
            left[:, columns[here]] = some[:, here]
        right = right - right.mean(axis=1, keepdims=True)
        return self.chart.coordinates(Factors(np.zeros((len(vectors), len(self.responses))), left, right))

    def _tokens(self, j: int) -> Array:
        """Positions, among the levels of a lag, of those that are tokens, and not the beginning of a document."""
        return np.flatnonzero(self.design.levels[j] < self.corpus.vocabulary.size)

    def _levels(self, j: int) -> tuple[Array, Array]:
        """Ids and centred left rows of the tokens seen at a lag."""
        places = self._tokens(j)
        if not self.penalised:
            columns = self.design.offsets[j] + places[places > 0] - 1
            unknown = columns[~self.kept[columns]]
            if len(unknown):
                name = self.design.names(self.corpus.vocabulary)[unknown[0]]
                raise NoEstimate(
                    f"{len(unknown):,} tokens at lag {j + 1} have no embedding of their own (the first: {name}): in the training "
                    "contexts their indicators are combinations of others. Use fewer lags, merge rare types (min_count=), or "
                    "penalty='ridge'."
                )
        rows = np.concatenate([np.zeros((1, self.dimensions)), self.factors.left[self._groups[j]]])[places]
        return self.design.levels[j][places], rows - rows.mean(axis=0)

    # --- words and files ----------------------------------------------------------------------------------------------

    def notes(self) -> list[str]:
        """Sentences for the summary."""
        tokens = self.corpus.vocabulary.tokens
        p, q, r = self.rank - 1, len(self.responses) - 1, self.dimensions
        pivots = ", ".join(repr(tokens[self.responses[i]]) for i in self.pivots)
        notes = [
            f"Coefficients of rank {r}: {q:,} intercepts and {r} x ({p:,} + {q:,} - {r}) = {r * (p + q - r):,} degrees of "
            "freedom, "
            f"where the unrestricted regression has {p * q:,}."
        ]
        if r:
            notes.append(
                f"Parameters: log-odds against {tokens[self.responses[self.reference]]!r} for the pivot responses {pivots}; "
                "the other "
                "responses load on these (like[...]). Entries of embeddings depend on a choice of axes and have no standard "
                "error; "
                "angles, distances, probabilities and singular values do not: most_similar, cosine_similarity, predict, "
                "singular_values."
            )
        if self.fitted["asked"] > r:
            notes.append(
                f"The penalty set {self.fitted['asked'] - r} of the {self.fitted['asked']} dimensions asked for to zero."
            )
        if self.fitted["starts"] > 1:
            notes.append(
                f"The likelihood can have several maxima: the best of {self.fitted['starts']} starts is shown"
                + (f", reached by {self.fitted['agreeing']} of them." if self.fitted["agreeing"] > 1 else ".")
            )
        if self._softmax.nunseen:
            notes.append(
                f"{self._softmax.nunseen:,} of {self.corpus.nobs:,} observations follow a token that training never saw at "
                "its lag; it "
                "is read as the reference level there."
            )
        if self.penalised:
            notes.append(
                "Ridge on the embeddings, which is a penalty on the sum of the singular values: estimates are shrunk; standard "
                "errors use the information plus the penalty and do not include the bias."
            )
        return notes

    def prominence(self) -> Array:
        """(p,) intercepts first, then log-odds of the pivots, each by the frequency of its response."""
        frequency = self.corpus.type_counts[self.responses].astype(float)
        chart = self.chart
        return chart.coordinates(
            Factors(
                frequency + 2 * frequency.sum(),
                np.broadcast_to(frequency[self.pivots] + frequency.sum(), (chart.shape[1], chart.shape[2])),
                np.broadcast_to(frequency[:, None], (chart.shape[0], chart.shape[2])),
            )
        )

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `SoftmaxRegression.restore` makes it again."""
        arrays, settings = self.design.state()
        arrays |= {
            "responses": self.responses,
            "intercepts": self.factors.intercepts,
            "left": self.factors.left,
            "right": self.factors.right,
            "pivots": self.pivots,
            "kept": self.kept,
        }
        settings |= {"reference": self.reference, "rank": self.rank, "fitted": self.fitted}
        return arrays, settings

    @classmethod
    def from_state(
        cls, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any], strength: float | None
    ) -> ReducedRankLikelihood:
        """Make a likelihood again from its `state`."""
        return cls(
            corpus,
            LagDesign.from_state(arrays, settings),
            arrays["responses"],
            int(settings["reference"]),
            Factors(arrays["intercepts"], arrays["left"], arrays["right"]),
            arrays["pivots"],
            arrays["kept"].astype(bool),
            int(settings["rank"]),
            strength,
            dict(settings["fitted"]),
        )
