"""The likelihood of a softmax regression, with score and information that depend only on the table of contexts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from statlm.errors import NoEstimate, SpecificationError
from statlm.models.softmax.alignment import fitted_coefficients, logs_of_classes
from statlm.models.softmax.covariates import Values, encoded, observed, one_row
from statlm.models.softmax.design import LagDesign
from statlm.models.softmax.exclusion import exclusion_limits
from statlm.models.softmax.held import HeldCovariates
from statlm.models.softmax.infinite import InfiniteCoefficients
from statlm.models.softmax.refit import Recount
from statlm.numerics.firth import log_probability_variances
from statlm.numerics.grouped_logit import GroupedLogit, log_softmax
from statlm.numerics.hauck_donner import wald_derivatives
from statlm.numerics.identified_solution import Determined
from statlm.numerics.linalg import factorise, identity
from statlm.numerics.repeated_rows import RepeatedRows
from statlm.numerics.ridge import Ridge
from statlm.numerics.separation import remaining
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for, unique_rows
from statlm.text.corpus import Corpus

MAX_DENSE_INFORMATION = 15_000  # coefficients: 1.8 GB
MAX_FLAGGED = 2000  # parameters that a summary looks through for the Hauck-Donner effect unasked
UNCHANGED = {"index", "_data", "_cells", "_cell_of_observation", "nunseen"}  # when coefficients change


@dataclass(frozen=True, eq=False)
class SoftmaxLikelihood:
    """Likelihood of a softmax regression; see `SoftmaxRegression`.

    Parameters
    ----------
    corpus : Corpus
    design : LagDesign
    responses : (J,) integer array
        Ids of the tokens that training saw; the others have probability 0.
    reference : int
        Position of the reference class in `responses`.
    coefficients : (P, J) array
        Zero in the reference's column and where not free.
    free : (P, J) boolean array
        The parameters: coefficients that are finite and identified.
    directions : tuple of (P, J) arrays
        Directions of recession, along which other coefficients are infinite.
    rank : int
        Rank of the design on the training contexts.
    ridge : Ridge or None
    firth : bool
        Whether the estimate maximises Firth's penalised likelihood.
    held : Values or None
        One row of covariates that stands for those of the corpus; see `holding`.
    """

    corpus: Corpus
    design: LagDesign
    responses: Array
    reference: int
    coefficients: Array
    free: Array
    directions: tuple[Array, ...]
    rank: int
    ridge: Ridge | None = None
    firth: bool = False
    held: Values | None = None

    # --- Predictive ---------------------------------------------------------------------------------------------------

    @property
    def memory(self) -> int:
        """Number of lags."""
        return self.design.lags

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        table = self._table
        result = np.full(self.corpus.nobs, -np.inf)
        known = np.flatnonzero(table.target >= 0)
        result[known] = table.logp[table.context[known], table.target[known]]
        return result

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token, nats; ``-inf`` for tokens that training never saw.

        Raises
        ------
        SpecificationError
            If the model has covariates, on which they depend too.
        """
        logp, _ = self._log_probabilities(self._rows(contexts))
        result = np.full((len(contexts), self.corpus.vocabulary.size), -np.inf)
        result[:, self.responses] = logp
        return result

    def logprobs_obs(self, observations: Array) -> Array:
        """(m, V) log-probabilities of what could stand at these observations, given their contexts and covariates."""
        table = self._table
        result = np.full((len(observations), self.corpus.vocabulary.size), -np.inf)
        result[:, self.responses] = table.logp[table.context[observations]]
        return result

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the covariates that the probabilities depend on beside the context."""
        return tuple(dict.fromkeys(c.name for c in self.design.covariates))

    def holding(self, values: Mapping[str, Any]) -> HeldCovariates:
        """The distribution with its covariates held at these values, whatever the corpus says.

        Raises
        ------
        SpecificationError
            If a covariate has no value, or a value no covariate.
        CorpusError
            If training never saw a level.
        """
        return HeldCovariates(self, one_row(self.design.covariates, values), self.corpus)

    def unseen(self, contexts: Array) -> Array:
        """(m,) whether a context holds a token that training never saw at its lag, and which is read as the reference level."""
        return self.design.unseen(self._recent(contexts))

    @cached_property
    def nunseen(self) -> int:
        """Number of observations with such a context."""
        columns = self.corpus.context_columns(self.memory)
        return int(np.count_nonzero(self.design.unseen(np.stack(columns, axis=1)))) if columns else 0

    def upper_limits(self, contexts: Array, alpha: float, held: Values | None = None) -> Array:
        """(m, V) one-sided upper limits for the tokens that have probability 0 after each context, 0 for the others.

        The model must stand on its training corpus. Of a token that training never saw the limit is that of a share,
        ``1 - alpha ** (1 / nobs)``.
        """
        rows = self._rows(contexts, held)
        limits = exclusion_limits(rows, self._data, self.coefficients, self.design.indicators, self.directions, alpha)
        result = np.full((rows.shape[0], self.corpus.vocabulary.size), 1.0 - alpha ** (1.0 / self.corpus.nobs))
        result[:, self.responses] = limits
        return result

    def _rows(self, contexts: Array, held: Values | None = None) -> sparse.csr_array:
        """(m, P) design of contexts given oldest token first."""
        recent = self._recent(contexts)
        if not self.covariates:
            return self.design.matrix(recent)
        held = self.held if held is None else held
        if held is None:
            names = ", ".join(f"{name}=..." for name in self.covariates)
            raise SpecificationError(
                f"The probabilities of this model depend on {', '.join(map(repr, self.covariates))} beside the context. Say at "
                f"which values: fit.predict(contexts, at=dict({names})), or fit.holding({names}) for a distribution."
            )
        return self.design.matrix(recent, held.take(np.zeros(len(recent), np.int64)))

    def _recent(self, contexts: Array) -> Array:
        """(m, lags) tokens of contexts given oldest token first, the most recent in column 0."""
        contexts = np.atleast_2d(np.asarray(contexts, np.int64))
        lack = self.memory - contexts.shape[1]
        if lack > 0:
            pad = np.full((len(contexts), lack), self.corpus.vocabulary.pad)
            contexts = np.concatenate([pad, contexts], axis=1)
        return contexts[:, contexts.shape[1] - self.memory :][:, ::-1]

    def on(self, corpus: Corpus) -> SoftmaxLikelihood:
        """The same coefficients on another corpus of the same vocabulary."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return replace(self, corpus=corpus)

    # --- Likelihood ---------------------------------------------------------------------------------------------------

    @cached_property
    def index(self) -> tuple[Array, Array]:
        """Design column and class of each of the p parameters, class by class."""
        classes, columns = np.nonzero(self.free.T)
        return columns, classes

    @property
    def params(self) -> Array:
        """(p,) finite coefficients: log-odds against the reference class."""
        return self.coefficients[self.index]

    @property
    def param_names(self) -> pd.MultiIndex:
        """Token and term of each parameter."""
        return pd.MultiIndex.from_arrays(list(self._names(*self.index).values()), names=["response", "term"])

    def _names(self, columns: Array, classes: Array) -> dict[str, Array]:
        tokens = np.array(self.corpus.vocabulary.tokens, dtype=object)[self.responses]
        terms = np.array(self.design.names(self.corpus.vocabulary), dtype=object)
        return {"response": tokens[classes], "term": terms[columns]}

    param_kind = "log-odds"

    @property
    def dof(self) -> int:
        """Rank of the design times (classes seen - 1): infinite coefficients count, as a test against a smaller model needs."""
        return self.rank * (len(self.responses) - 1)

    def score(self) -> RepeatedRows:
        """(nobs, p) score, stored as the distinct rows of (context, token) pairs and an index.

        Raises
        ------
        NoEstimate
            If an observation has probability 0.
        """
        obs = self.loglike_obs()
        impossible = int(np.count_nonzero(np.isneginf(obs)))
        if impossible:
            raise NoEstimate(
                f"{impossible:,} of {len(obs):,} observations have probability 0 under the model, so the log-likelihood is -inf "
                'and has no derivative. Use penalty="ridge", or the corpus it was fitted to.'
            )
        table = self._table
        nclasses = len(self.responses)
        cells, index = self._cells
        context, target = np.divmod(cells, nclasses)
        residual = -np.exp(table.logp[context])  # (K, J)
        residual[np.arange(len(cells)), target] += 1.0
        # Row k is the outer product of a residual and a design row, on the free coefficients.
        rows = sparse.csr_array(table.design[context])
        position = np.full(self.free.shape, -1)
        position[self.index] = np.arange(len(self.index[0]))
        lengths = np.diff(rows.indptr)
        cell = np.repeat(np.arange(len(cells)), lengths)
        where = position[rows.indices]  # (nnz, J)
        value = rows.data[:, None] * residual[cell]
        keep = (where >= 0) & (value != 0)
        return RepeatedRows(
            sparse.csr_array(
                (value[keep], (np.broadcast_to(cell[:, None], where.shape)[keep], where[keep])),
                shape=(len(cells), len(self.index[0])),
            ),
            index,
        )

    def information(self) -> Array:
        """(p, p) information of the log-likelihood, the penalty apart.

        Raises
        ------
        SpecificationError
            If there are too many coefficients to hold it.
        """
        p = len(self.index[0])
        if p > MAX_DENSE_INFORMATION:
            raise SpecificationError(
                f"The information of {p:,} coefficients would take {8e-9 * p * p:,.1f} GB. Use fewer lags, merge rare types "
                "(min_count=), or main effects only."
            )
        data = self._data
        return data.curvature(data.totals[:, None] * np.exp(self._table.logp)).toarray()

    @property
    def penalised(self) -> bool:
        """Whether a penalty was fitted."""
        return self.ridge is not None or self.firth

    def penalty_curvature(self) -> Array:
        """(p, p) second derivative of the ridge penalty; zero where there is none.

        Zero for Firth's penalty too: it does not grow with the observations, and by the literature (Kosmidis and Firth 2021, as
        in their package brglm2) standard errors come from the information at the penalised estimate.
        """
        p = len(self.index[0])
        return np.zeros((p, p)) if self.ridge is None else self.ridge.toarray(self.index)

    def wald_derivatives(self, covariance: Array, rows: Array) -> Array:
        """(q,) derivatives of the Wald statistics of the parameters numbered `rows`; see `hauck_donner`."""
        return wald_derivatives(self._data, np.exp(self._table.logp), self.coefficients, covariance, rows)

    def leverage_obs(self) -> Array:
        """(nobs,) leverage of each observation; see `leverage`."""
        p = np.exp(self._table.logp)
        inverse = np.asarray(factorise(self.information() + self.penalty_curvature()).solve(identity(len(self.params))))
        mean = (p * log_probability_variances(self._data, p, inverse)).sum(axis=1)
        return np.asarray(mean[self._table.context])

    def infinite_coefficients(self, level: float) -> pd.DataFrame:
        """The coefficients that separation sends to infinity, with one-sided limits where the data give them.

        A row each: ``response``, ``term``, ``estimate`` (-inf or inf), ``conf_low``, ``conf_high``. See `tidy`.
        """
        found = self._infinite
        columns, classes = found.places
        return pd.DataFrame(
            {
                **self._names(columns, classes),
                "estimate": found.sign[columns, classes] * np.inf,
                "conf_low": -np.inf,
                "conf_high": found.upper_limits(1.0 - level),
            }
        )

    def profile_limits(self, parameter: tuple[str, str], fall: float) -> tuple[float, float] | None:
        """Where the profile of an infinite coefficient is `fall` nats below its supremum; None where it is not infinite.

        Raises
        ------
        NoEstimate
            If the data do not bound it.
        """
        found = self._infinite
        names = self._names(*found.places)
        here = np.flatnonzero((names["response"] == parameter[0]) & (names["term"] == parameter[1]))
        if len(here) == 0:
            return None
        return -np.inf, found.profile_limit(int(found.places[0][here[0]]), int(found.places[1][here[0]]), fall)

    @cached_property
    def _infinite(self) -> InfiniteCoefficients:
        return InfiniteCoefficients(self._data, self.coefficients, self.directions, self.reference)

    def at(self, params: Array) -> SoftmaxLikelihood:
        """The likelihood at other values of the finite coefficients."""
        params = np.asarray(params, float)
        if params.shape != self.index[0].shape:
            raise SpecificationError(f"params has shape {params.shape}; this model has {len(self.index[0]):,} parameters.")
        coefficients = self.coefficients.copy()
        coefficients[self.index] = params
        again = replace(self, coefficients=coefficients)
        for name in UNCHANGED & self.__dict__.keys():
            again.__dict__[name] = self.__dict__[name]
        if "_table" in self.__dict__:
            table = self._table
            eta = np.asarray(table.design @ coefficients)
            again.__dict__["_table"] = replace(table, logp=log_softmax(eta, table.possible))
        return again

    def summed(self, params: Array) -> tuple[float, Array]:
        """Log-likelihood of the corpus at other values of the finite coefficients, nats, and its (p,) gradient, from counts."""
        data = self._data
        logp = self.at(params)._table.logp
        fixed = -np.inf if (self._table.target < 0).any() else 0.0
        return data.loglike(logp) + fixed, data.gradient(np.exp(logp))[self.index]

    def params_as(self, other: SoftmaxLikelihood) -> Determined:
        """What this fit makes of the coefficients of another, whatever the references of either."""
        mine, theirs = self._table, other.on(self.corpus)._table
        _, first = np.unique(mine.context, return_index=True)
        logp = logs_of_classes(mine.logp, self.responses, other.responses)[mine.context[first]]
        there = theirs.context[first]
        return fitted_coefficients(theirs.design[there], logp, theirs.possible[there], other.free, other.params)

    def recounted(self, weights: Array) -> Recount | None:
        """The counts of the corpus if each observation stood in it as often as `weights`, (nobs,), say.

        None where counts of tokens after contexts are not all that a fit needs: with covariates, or with tokens that the
        likelihood leaves out.
        """
        table = self._table
        if self.covariates or (table.target < 0).any():
            return None
        nclasses = len(self.responses)
        counts = np.bincount(self._cell_of_observation, weights, minlength=len(table.counts) * nclasses)
        return Recount(table.contexts, counts.reshape(-1, nclasses), self.responses, self.design, table.logp)

    def params_of(self, logp: Array, contexts: Array) -> Determined:
        """What (m, J) log-probabilities of the classes in m training contexts, by number, make of the parameters."""
        table = self._table
        return fitted_coefficients(table.design[contexts], logp, table.possible[contexts], self.free, self.params)

    @cached_property
    def _cell_of_observation(self) -> Array:
        """(nobs,) number of the context and class of each observation among all pairs of the two."""
        table = self._table
        return table.context * len(self.responses) + table.target

    @cached_property
    def _cells(self) -> tuple[Array, Array]:
        """The pairs that occur, ascending, and which of them each observation is; where training saw all tokens."""
        occurs = self._table.counts.ravel() > 0
        return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[self._cell_of_observation]

    # --- the table ----------------------------------------------------------------------------------------------------

    @cached_property
    def _table(self) -> _Table:
        corpus, design = self.corpus, self.design
        columns = corpus.context_columns(self.memory)
        ncodes, values = 1, None
        if design.covariates:
            if self.held is None:
                seen = observed(corpus, [c.variable for c in design.covariates])
                values, code = encoded(design.covariates, seen.frame), seen.code
            else:
                values, code = self.held, np.zeros(corpus.nobs, np.int64)
            ncodes = len(values.levels)
            columns.append(code)
        if columns:
            found = unique_rows(columns, bits_for(max(corpus.vocabulary.nids, ncodes)), index=True)
            contexts, context = np.stack(found.columns, axis=1), found.index
        else:
            contexts, context = np.zeros((1, 0), np.int64), np.zeros(corpus.nobs, np.int64)
        assert context is not None
        class_of = np.full(corpus.vocabulary.nids, -1)
        class_of[self.responses] = np.arange(len(self.responses))
        target = class_of[corpus.targets]
        known = target >= 0
        nclasses = len(self.responses)
        cells = np.bincount(context[known] * nclasses + target[known], minlength=len(contexts) * nclasses)
        if values is not None:
            values = values.take(contexts[:, -1])
        matrix = design.matrix(contexts[:, : self.memory], values)
        logp, possible = self._log_probabilities(matrix)
        counts = cells.reshape(len(contexts), nclasses).astype(float)
        return _Table(contexts, matrix, counts, context, target, logp, possible)

    @cached_property
    def _data(self) -> GroupedLogit:
        table = self._table
        return GroupedLogit(table.design, table.counts, table.possible, self.free)

    def _log_probabilities(self, design: sparse.csr_array) -> tuple[Array, Array]:
        """(m, J) log-probabilities of design rows, and which classes are possible in the limit."""
        possible = np.ones((design.shape[0], len(self.responses)), bool)
        for direction in self.directions:
            possible = remaining(np.asarray(design @ direction), possible)
        return log_softmax(np.asarray(design @ self.coefficients), possible), possible

    def notes(self) -> list[str]:
        """Sentences for the summary."""
        tokens = self.corpus.vocabulary.tokens
        levels = self.design.references(self.corpus.vocabulary)
        notes = [
            f"Log-odds against the reference response {tokens[self.responses[self.reference]]!r}"
            + (f"; reference levels {', '.join(levels)}." if levels else ".")
        ]
        for j, level in enumerate(self.design.levels):
            if len(level) == 1:
                notes.append(f"Lag {j + 1} is {tokens[level[0]]!r} throughout: it does not vary, and has no coefficients.")
        p, full = len(self.index[0]), self.dof
        if self.directions:
            notes.append(
                f"Separation: {full - p:,} of {full:,} coefficients run off to infinity, because their tokens never follow those "
                "contexts. They are followed to the limit: the log-likelihood is its supremum, the parameters shown are the "
                "finite ones of the limiting model with its standard errors. Degrees of freedom count all. "
                "tidy(infinite=True) lists the others."
            )
            if self._infinite.ncontrasts:
                notes.append(
                    f"{self._infinite.ncontrasts:,} of the {p:,} parameters belong to coefficients that go to infinity together, "
                    "since a reference excludes a token or is excluded: their differences are finite, and they are relative to "
                    "each other, not to the reference level."
                )
        flagged = self._flagged()
        if len(flagged):
            response, term = flagged[0]
            notes.append(
                f"Hauck-Donner effect: {len(flagged):,} of {p:,} Wald statistics (the first: {response!r}, {term}) fall as their "
                "estimates move away from 0, and their p-values are too large. Use lr_test or profile_interval there."
            )
        if self.nunseen:
            notes.append(
                f"{self.nunseen:,} of {self.corpus.nobs:,} observations follow a token that training never saw at its lag; it is "
                "read as the reference level there."
            )
        if self.ridge is not None:
            notes.append(
                "Ridge: estimates are shrunk towards equal log-odds; standard errors use the information plus the penalty and do "
                "not include the bias."
            )
        if self.firth:
            notes.append(
                "Firth's penalty (Jeffreys' prior): estimates are finite whatever separates and have little bias; standard "
                "errors are from the information at the estimate. Log-likelihood without the penalty."
            )
        return notes

    def _flagged(self) -> list[tuple[str, str]]:
        p = len(self.params)
        if not 0 < p <= MAX_FLAGGED:
            return []
        try:
            inverse = np.asarray(factorise(self.information() + self.penalty_curvature()).solve(identity(p)))
        except NoEstimate:
            return []
        return list(self.param_names[self.wald_derivatives(inverse, np.arange(p)) < 0])

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `SoftmaxRegression.restore` makes it again."""
        arrays, settings = self.design.state()
        arrays |= {"responses": self.responses, "coefficients": self.coefficients, "free": self.free}
        arrays |= {f"direction{i}": direction for i, direction in enumerate(self.directions)}
        if self.ridge is not None:
            arrays["ridge"] = self.ridge.strength
        settings |= {
            "reference": self.reference,
            "rank": self.rank,
            "ndirections": len(self.directions),
            "firth": self.firth,
        }
        return arrays, settings


@dataclass(frozen=True, eq=False)
class _Table:
    """The distinct contexts of a corpus, most recent token first: design (C, P), counts, log-probabilities and possible
    classes (C, J); context and class (-1 where training never saw it) of each observation (nobs,).
    """

    contexts: Array
    design: sparse.csr_array
    counts: Array
    context: Array
    target: Array
    logp: Array
    possible: Array
