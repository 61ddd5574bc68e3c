"""Softmax regression: the multinomial logit of the next token on the tokens before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statlm.errors import CorpusError, DamagedFile, SpecificationError
from statlm.fit.fit import Fit, FitReport
from statlm.likelihood import spans
from statlm.models.softmax.design import LagDesign
from statlm.models.softmax.estimation import estimate
from statlm.models.softmax.likelihood import SoftmaxLikelihood
from statlm.numerics.context_table import ContextTable
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

    with r a reference class and each lag coded against its most frequent token. Fitted by maximum likelihood on the table
    of distinct contexts, by Newton's method in float64.

    Parameters
    ----------
    lags : int
        Number of previous tokens; 0 is the unigram.
    interactions : None, "pairwise" or "all"
        None: main effects. "all": the saturated model, equal to the n-gram with ``n = lags + 1``.
    penalty : None or "ridge"
        "ridge" penalises the squared deviations of coefficients from their mean over classes; intercepts are free.
    strength : float or None
        Weight of the penalty.
    reference : str or None
        Reference class; by default the most frequent. Fitted probabilities do not depend on it.

    Notes
    -----
    *Separation.* Where a token never follows a level, its coefficient has no finite maximum-likelihood estimate. The fit
    follows the directions of recession to the limit (Geyer 2009): the log-likelihood is the supremum, impossible tokens get
    probability 0, and the finite coefficients of the limiting model are the parameters, with their standard errors.

    A level, or a combination of levels, that training never saw is read as the reference level when predicting.

    References
    ----------
    Albert and Anderson (1984), On the existence of maximum likelihood estimates in logistic regression models. Biometrika 71.
    Correia, Guimaraes and Zylkin (2019), Verifying the existence of maximum likelihood estimates for generalized linear models.
    Geyer (2009), Likelihood inference in exponential families and directions of recession. EJS 3.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra" * 10)
    >>> softmax, bigram = slm.SoftmaxRegression(lags=1).fit(corpus), slm.NGram(n=2).fit(corpus)
    >>> abs(softmax.loglike - bigram.loglike) < 1e-9 * corpus.nobs
    True
    """

    lags: int
    interactions: str | None = None
    penalty: str | None = None
    strength: float | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.lags, bool) or not isinstance(self.lags, (int, np.integer)) or not 0 <= self.lags <= 8:
            raise SpecificationError(f"lags={self.lags!r} is not a number of lags. Choose a whole number from 0 to 8.")
        if self.interactions not in INTERACTIONS:
            raise SpecificationError(f"interactions={self.interactions!r} is unknown. Use None, 'pairwise' or 'all'.")
        if self.penalty not in (None, "ridge"):
            raise SpecificationError(f"penalty={self.penalty!r} is unknown. Use None or 'ridge'.")
        if (self.penalty is None) != (self.strength is None):
            raise SpecificationError(
                f"penalty={self.penalty!r} with strength={self.strength!r}: a penalty needs a strength, and the other way round."
            )
        if self.strength is not None and not (self.strength > 0 and np.isfinite(self.strength)):
            raise SpecificationError(f"strength={self.strength!r}: the weight of a penalty is a positive number.")

    def __str__(self) -> str:
        terms = {None: "", "pairwise": ", pairwise", "all": ", all interactions"}[self.interactions]
        ridge = f" + ridge {self.strength:g}" if self.penalty else ""
        return f"softmax {self.lags} lag{'' if self.lags == 1 else 's'}{terms}{ridge}"

    @property
    def degree(self) -> int:
        """Largest number of lags in an interaction."""
        return {None: min(1, self.lags), "pairwise": min(2, self.lags), "all": self.lags}[self.interactions]

    def fit(self, corpus: Corpus) -> Fit:
        """Maximise the likelihood on a corpus.

        Raises
        ------
        CorpusError
            If training holds a single type, or the reference class never occurs.
        NoEstimate
            If the maximisation does not converge.
        SpecificationError
            If the table of contexts by classes would not fit into memory.
        """
        columns, targets = corpus.context_columns(self.lags), corpus.targets
        inside = targets < corpus.vocabulary.size  # <unk> of a borrowed vocabulary has no probability to estimate
        if not inside.all():
            columns, targets = [column[inside] for column in columns], targets[inside]
        table = ContextTable.count(columns, targets, corpus.vocabulary.nids)
        responses = np.unique(table.tokens)
        if len(responses) < 2:
            raise CorpusError(
                f"Training holds a single type ({corpus.vocabulary.tokens[responses[0]]!r}): there is nothing to regress. Check "
                "the tokenizer."
            )
        if table.ncontexts * len(responses) > MAX_CELLS:
            raise SpecificationError(
                f"{table.ncontexts:,} contexts by {len(responses):,} classes are {table.ncontexts * len(responses):,} cells, "
                f"more than the {MAX_CELLS:,} held in memory. Use fewer lags, or merge rare types (min_count=, max_size=)."
            )
        counts = np.zeros((table.ncontexts, len(responses)))
        counts[table.row_of_cell, np.searchsorted(responses, table.tokens)] = table.counts
        reference = self._reference(corpus, responses, counts)
        design = LagDesign.of(table.contexts, table.totals, self.degree)
        matrix = design.matrix(table.contexts)
        ridge = self._ridge(design.ncolumns, len(responses))
        found = estimate(matrix, counts, design.indicators, reference, ridge=ridge)
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
        )
        return Fit(self, likelihood, FitReport("Newton's method", found.converged, found.iterations, found.gradient_norm))

    def contains(self, other: object) -> bool:
        """Whether `other` is a special case, both fitted by maximum likelihood: what a likelihood-ratio test needs."""
        return spans(self, other)

    def span(self) -> tuple[int, int] | None:
        """Lags and largest interaction."""
        return (self.lags, self.degree) if self.penalty is None else None

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

    def restore(self, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]) -> SoftmaxLikelihood:
        """The likelihood of a saved fit; the inverse of `SoftmaxLikelihood.state`."""
        try:
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
            )
        except KeyError as error:
            raise DamagedFile(f"The saved softmax regression lacks {error}. Save the fit again.") from error
