"""Softmax regression: the multinomial logit of the next token on the tokens before it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import CorpusError, DamagedFile, SpecificationError
from statlm.fit.fit import Fit, FitReport
from statlm.likelihood import LagModel
from statlm.models.softmax.covariates import Covariate, Values, encoded, learned, observed
from statlm.models.softmax.design import LagDesign
from statlm.models.softmax.estimation import estimate
from statlm.models.softmax.formula import Terms, parse
from statlm.models.softmax.likelihood import SoftmaxLikelihood
from statlm.models.softmax.reduced_rank import ReducedRankLikelihood
from statlm.models.softmax.reduced_rank_estimation import fit_reduced_rank
from statlm.models.softmax.reduced_rank_rules import check_rank, contains_rank
from statlm.models.softmax.refit import Recounted, refit
from statlm.numerics.context_table import ContextTable
from statlm.numerics.identified_solution import Determined
from statlm.numerics.rank import rank_of
from statlm.numerics.ridge import Ridge
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

INTERACTIONS = (None, "pairwise", "all")
MAX_CELLS = 200_000_000  # of the table of contexts by classes: 1.6 GB


@dataclass(frozen=True)
class SoftmaxRegression:
    r"""Multinomial logit of the next token on one-hot lags.

    .. math::

        \log \frac{p(y = j \mid x)}{p(y = r \mid x)} = x' \beta_j, \qquad
        x = (1, \text{lag}_1, \dots, \text{lag}_k, \text{interactions})

    with r a reference class and each lag coded against one of its tokens: the one that the most classes follow, the most frequent
    of these. Fitted by maximum likelihood on the table
    of distinct contexts, by Newton's method in float64.

    Parameters
    ----------
    lags : int, optional
        Number of previous tokens; 0 is the unigram. Either this or a formula.
    interactions : None, "pairwise" or "all"
        None: main effects. "all": the saturated model, equal to the n-gram with ``n = lags + 1``.
    penalty : None, "ridge" or "firth"
        "ridge" penalises the squared deviations of coefficients from their mean over classes; intercepts are free. "firth"
        adds half the log determinant of the information to the log-likelihood (Jeffreys' prior): estimates are finite
        whatever separates, and their bias is of smaller order.
    strength : float or None
        Weight of the ridge penalty.
    reference : str or None
        Reference class; by default the most frequent. Fitted probabilities do not depend on it.
    formula : str, optional
        Any subset of interactions, and covariates, such as ``"next ~ lag1 + lag2 + lag1:lag2"`` or ``"next ~ lag1 * C(author)"``,
        in the syntax of R as formulaic has it. Variables are lags; columns of ``corpus.documents``, which hold for all tokens
        of a document; ``document``, its name; and ``position``, a token's place in it, from 0.
    rank : int, optional
        Rank of the coefficients, intercepts apart: the log-bilinear model, in which tokens have embeddings. It has
        q + r (p + q - r) degrees of freedom, with p the rank of the design beside the intercept and q one less than the classes.
        Of main effects only. "ridge" is then half the sum of squares of the embeddings, centred: the sum of the singular values.

    Notes
    -----
    *Separation.* Where a token never follows a level, its coefficient has no finite maximum-likelihood estimate. The fit
    follows the directions of recession to the limit (Geyer 2009): the log-likelihood is the supremum, impossible tokens get
    probability 0, and the finite coefficients of the limiting model are the parameters, with their standard errors.

    A level, or a combination of levels, that training never saw is read as the reference level when predicting.

    *Covariates.* Strings, categories and truth values have levels, the first of which is the reference (in the order of a
    categorical column, else the smallest); numbers multiply a coefficient, unless written ``C(number)``. A model with covariates
    gives a distribution after a context only at stated values of them: ``fit.predict(contexts, at={"author": "Machado"})``,
    ``fit.holding(author="Machado")``. Whether the next token depends on them is a likelihood-ratio test of two fits.

    References
    ----------
    Albert and Anderson (1984), On the existence of maximum likelihood estimates in logistic regression models. Biometrika 71.
    Correia, Guimaraes and Zylkin (2019), Verifying the existence of maximum likelihood estimates for generalized linear models.
    Geyer (2009), Likelihood inference in exponential families and directions of recession. EJS 3.
    Firth (1993), Bias reduction of maximum likelihood estimates. Biometrika 80.
    Kosmidis and Firth (2021), Jeffreys-prior penalty, finiteness and shrinkage. Biometrika 108.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra" * 10)
    >>> softmax, bigram = slm.SoftmaxRegression(lags=1).fit(corpus), slm.NGram(n=2).fit(corpus)
    >>> abs(softmax.loglike - bigram.loglike) < 1e-9 * corpus.nobs
    True

    Do two halves of a text differ in what follows a letter?

    >>> import pandas as pd
    >>> halves = pd.DataFrame({"half": ["first", "second"]})
    >>> corpus = slm.Corpus.from_texts(["abracadabra" * 20, "abbabacadra" * 20], eos=False, covariates=halves)
    >>> small = slm.SoftmaxRegression(formula="next ~ lag1").fit(corpus)
    >>> large = slm.SoftmaxRegression(formula="next ~ lag1 * half").fit(corpus)
    >>> slm.lr_test(small, large).p_value < 0.001
    True
    """

    lags: int | None = None
    interactions: str | None = None
    penalty: str | None = None
    strength: float | None = None
    reference: str | None = None
    formula: str | None = None
    rank: int | None = None

    def __post_init__(self) -> None:
        if (self.lags is None) == (self.formula is None):
            raise SpecificationError(
                f"lags={self.lags!r} and formula={self.formula!r}: give one of them, as in SoftmaxRegression(lags=2) or "
                "SoftmaxRegression(formula='next ~ lag1 + lag2')."
            )
        if self.formula is not None:
            self.terms  # noqa: B018  # raises where it cannot be read
            if self.interactions is not None:
                raise SpecificationError(
                    f"interactions={self.interactions!r} with a formula: a formula says its interactions itself, as in "
                    "'next ~ lag1 * lag2'."
                )
        elif isinstance(self.lags, bool) or not isinstance(self.lags, (int, np.integer)) or not 0 <= self.lags <= 8:
            raise SpecificationError(f"lags={self.lags!r} is not a number of lags. Choose a whole number from 0 to 8.")
        if self.interactions not in INTERACTIONS:
            raise SpecificationError(f"interactions={self.interactions!r} is unknown. Use None, 'pairwise' or 'all'.")
        if self.penalty not in (None, "ridge", "firth"):
            raise SpecificationError(f"penalty={self.penalty!r} is unknown. Use None, 'ridge' or 'firth'.")
        if self.penalty == "firth" and self.strength is not None:
            raise SpecificationError(
                f"penalty='firth' with strength={self.strength!r}: Firth's penalty has no weight to choose. Leave out strength=."
            )
        if self.penalty != "firth" and (self.penalty is None) != (self.strength is None):
            raise SpecificationError(
                f"penalty={self.penalty!r} with strength={self.strength!r}: a penalty needs a strength, and the other way round."
            )
        if self.strength is not None and not (self.strength > 0 and np.isfinite(self.strength)):
            raise SpecificationError(f"strength={self.strength!r}: the weight of a penalty is a positive number.")
        if self.rank is not None:
            check_rank(self.rank, self.interactions, self.penalty, self.formula)

    def __str__(self) -> str:
        terms = {None: "", "pairwise": ", pairwise", "all": ", all interactions"}[self.interactions]
        penalty = {None: "", "ridge": f" + ridge {self.strength or 0:g}", "firth": " + Firth"}[self.penalty]
        if self.formula is not None:
            return f"softmax {self.formula}{penalty}"
        rank = "" if self.rank is None else f", rank {self.rank}"
        return f"softmax {self.lags} lag{'' if self.lags == 1 else 's'}{terms}{rank}{penalty}"

    @property
    def degree(self) -> int:
        """Largest number of lags in an interaction."""
        return self.terms.degree

    @cached_property
    def terms(self) -> Terms:
        """The terms beside the intercept."""
        if self.formula is not None:
            return parse(self.formula)
        lags = self.lags or 0
        return Terms.up_to(lags, {None: min(1, lags), "pairwise": min(2, lags), "all": lags}[self.interactions])

    def fit(self, corpus: Corpus) -> Fit:
        """Maximise the likelihood on a corpus.

        Raises
        ------
        CorpusError
            If training holds a single type, the reference class never occurs, or a document has no value of a covariate.
        NoEstimate
            If the maximisation does not converge.
        SpecificationError
            If the table of contexts by classes would not fit into memory, or the formula names what is neither a lag nor a
            covariate.
        """
        lags, variables = self.terms.lags, self.terms.covariates
        columns, targets = corpus.context_columns(lags), corpus.targets
        seen = observed(corpus, variables) if variables else None
        if seen is not None:
            columns.append(seen.code)
        inside = targets < corpus.vocabulary.size  # <unk> of a borrowed vocabulary has no probability to estimate
        if not inside.all():
            columns, targets = [column[inside] for column in columns], targets[inside]
        table = ContextTable.count(columns, targets, max(corpus.vocabulary.nids, 1 if seen is None else len(seen.frame)))
        responses = np.unique(table.tokens)
        self._check_types(corpus, responses)
        if table.ncontexts * len(responses) > MAX_CELLS:
            raise SpecificationError(
                f"{table.ncontexts:,} contexts by {len(responses):,} classes are {table.ncontexts * len(responses):,} cells, "
                f"more than the {MAX_CELLS:,} held in memory. Use fewer lags, or merge rare types (min_count=, max_size=)."
            )
        counts = np.zeros((table.ncontexts, len(responses)))
        counts[table.row_of_cell, np.searchsorted(responses, table.tokens)] = table.counts
        reference = self._reference(corpus, responses, counts)
        contexts, values = table.contexts[:, :lags], None
        covariates: tuple[Covariate, ...] = ()
        if seen is not None:
            covariates = learned(seen.frame.iloc[np.unique(table.contexts[:, lags])], variables)
            values = _values(covariates, seen.frame, table.contexts[:, lags])
        design = LagDesign.of_terms(contexts, table.totals, self.terms, covariates, values, counts)
        matrix = design.matrix(contexts, values)
        if self.rank is not None:
            reduced, report = fit_reduced_rank(
                corpus, design, matrix, counts, responses, reference, self.rank, self.strength
            )
            return Fit(self, reduced, report)
        ridge = self._ridge(design.ncolumns, len(responses))
        firth = self.penalty == "firth"
        found = estimate(matrix, counts, design.indicators, reference, ridge=ridge, firth=firth)
        likelihood = SoftmaxLikelihood(
            corpus,
            design,
            responses,
            reference,
            found.coefficients,
            found.free,
            found.directions,
            rank_of(matrix),
            ridge,
            firth,
        )
        method = "Fisher scoring, adjusted scores" if firth else "Newton's method"
        return Fit(self, likelihood, FitReport(method, found.converged, found.iterations, found.gradient_norm))

    def refit(self, model: Any, weights: Array) -> Determined | None:
        """Parameters of a fit by the refit to its text with each observation counted as often as `weights`, (nobs,), say.

        None where counts of tokens after contexts are not enough for that: with covariates, or a rank.
        """
        lags = self.terms.lags
        if self.rank is not None or self.terms.covariates or not isinstance(model, Recounted) or model.memory != lags:
            return None
        found = model.recounted(weights)
        if found is None:
            return None
        corpus, seen = model.corpus, np.flatnonzero(found.counts.sum(axis=0))
        responses = found.responses[seen]
        self._check_types(corpus, responses)
        reference = self._reference(corpus, responses, found.counts[:, seen])
        return refit(
            model,
            found,
            self.terms,
            reference,
            ridge=self._ridge,
            firth=self.penalty == "firth",
            same_reference=int(seen[reference]) == model.reference,
        )

    def contains(self, other: object) -> bool:
        """Whether `other` is a special case, both fitted by maximum likelihood: what a likelihood-ratio test needs."""
        if self.penalty is not None:
            return False
        if self.rank is not None:
            return contains_rank(self, other)
        if isinstance(other, SoftmaxRegression):
            return other.penalty is None and self.terms.contain(other.terms)
        span = other.span() if isinstance(other, LagModel) else None
        return span is not None and self.terms.contain(Terms.up_to(max(span[0], 0), span[1]))

    def span(self) -> tuple[int, int] | None:
        """Lags and largest interaction of the smallest model of all lags that contains it; None with covariates or a rank."""
        known = self.penalty is None and self.rank is None and not self.terms.covariates
        return (self.terms.lags, self.degree) if known else None

    def _check_types(self, corpus: Corpus, responses: Array) -> None:
        if len(responses) < 2:
            raise CorpusError(
                f"Training holds a single type ({corpus.vocabulary.tokens[responses[0]]!r}): there is nothing to regress. Check "
                "the tokenizer."
            )

    def _reference(self, corpus: Corpus, responses: Array, counts: Array) -> int:
        if self.reference is None:
            return int(counts.sum(axis=0).argmax())
        wanted = corpus.vocabulary.ids_of([self.reference])[0]
        if wanted not in responses:
            raise CorpusError(
                f"The reference class {self.reference!r} never occurs in training, so there are no odds against it. Choose a "
                "type that occurs, or leave reference=None for the most frequent."
            )
        return int(np.searchsorted(responses, wanted))

    def _ridge(self, ncolumns: int, nclasses: int) -> Ridge | None:
        if self.strength is None:
            return None
        strength = np.full(ncolumns, float(self.strength))
        strength[0] = 0.0
        return Ridge(strength, nclasses)

    def restore(
        self, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]
    ) -> SoftmaxLikelihood | ReducedRankLikelihood:
        """The likelihood of a saved fit; the inverse of `SoftmaxLikelihood.state`."""
        try:
            if self.rank is not None:
                return ReducedRankLikelihood.from_state(corpus, arrays, settings, self.strength)
            design = LagDesign.from_state(arrays, settings)
            coefficients, free = arrays["coefficients"], arrays["free"].astype(bool)
            if coefficients.shape != free.shape or coefficients.shape != (design.ncolumns, len(arrays["responses"])):
                raise DamagedFile("The arrays of the softmax regression do not fit together. Save the fit again.")
            return SoftmaxLikelihood(
                corpus,
                design,
                arrays["responses"],
                int(settings["reference"]),
                coefficients,
                free,
                tuple(arrays[f"direction{i}"] for i in range(int(settings["ndirections"]))),
                int(settings["rank"]),
                Ridge(arrays["ridge"], len(arrays["responses"])) if "ridge" in arrays else None,
                bool(settings["firth"]),
            )
        except KeyError as error:
            raise DamagedFile(f"The saved softmax regression lacks {error}. Save the fit again.") from error


def _values(covariates: tuple[Covariate, ...], frame: pd.DataFrame, code: Array) -> Values:
    """Covariates of contexts, from the rows that occur: levels of others are not known."""
    rows, place = np.unique(code, return_inverse=True)
    return encoded(covariates, frame.iloc[rows]).take(place)
