"""The spread of the estimate over refits to resampled documents."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from statlm.covariance.groups import DOCUMENT, document_groups
from statlm.covariance.refits import Replicates, Specified, failures, replicates, spread, spreads
from statlm.errors import SpecificationError, TooFewClusters
from statlm.likelihood import Likelihood
from statlm.numerics.types import Array, Matrix
from statlm.text.corpus import Corpus

FEWEST = 20


@dataclass(frozen=True)
class DocumentBootstrap:
    r"""Covariance over refits to documents drawn with replacement (Efron 1979; by cluster, Davison and Hinkley 1997, ch. 3.8).

    .. math:: \frac{G}{G - 1} \cdot \frac{1}{R - 1} \sum_{r=1}^{R} (\theta^*_r - \bar\theta^*)(\theta^*_r - \bar\theta^*)'

    The factor G / (G - 1) makes it agree with `Clustered`: documents drawn with replacement vary by (G - 1) / G too little.

    Parameters
    ----------
    replicates : int
        Number R of refits, 20 or more. A standard error has itself a relative error of about :math:`1 / \sqrt{2R}`.
    seed : int
        Each replicate is drawn with a stream of its own, so that results are the same wherever and in whatever order they run.
    by : str
        What is drawn: "document", or a column of ``corpus.documents`` (all documents of a group together).
    progress : bool
        Whether to show a bar.
    specification : object, optional
        How the model was estimated; a fit knows.

    Notes
    -----
    Refits run by joblib, in turn by default and in parallel under ``joblib.parallel_config(backend="loky", n_jobs=4)``, or any
    backend that joblib knows (dask, ray). They are made once and kept with the model, so that standard errors, intervals and
    tests of one fit share them.

    Parameters are matched by what they mean, also where another token becomes the reference. A cell of an n-gram that a draw
    lacks has probability 0 in it. Where a draw lacks the whole context, or separates a coefficient, there is no finite value:
    the error is then over the draws that have one, infinite where more than a tenth has none, with a warning. Refits that fail
    altogether are counted, in a warning and in `describe`.

    Functionals (probabilities, contrasts) get their errors from this covariance by the delta method, as under any other;
    what a draw leaves open counts there as unchanged where it moves the functional by less than 1 % of what its largest
    coefficient does.

    References
    ----------
    Efron (1979), Bootstrap methods: another look at the jackknife. Annals of Statistics 7. Davison and Hinkley (1997), Bootstrap
    methods and their application. Field and Welsh (2007), Bootstrapping clustered data. JRSS B 69.

    Examples
    --------
    >>> import statlm as slm
    >>> texts = ["aab", "ab", "abb", "bb", "a", "aa", "aba", "b", "ba", "aaab", "bba", "ab"] * 3
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_texts(texts, eos=False))
    >>> fit.std_errors(cov=DocumentBootstrap(replicates=199)).round(3).tolist(), fit.std_errors(cov="cluster").round(3).tolist()
    ([0.042], [0.043])
    """

    replicates: int = 199
    seed: int = 0
    by: str = DOCUMENT
    progress: bool = field(default=False, compare=False)
    specification: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_replicates(self.replicates)

    def bound_to(self, specification: Any) -> Self:
        """The same bootstrap, of models estimated in this way."""
        return self if self.specification is not None else replace(self, specification=specification)

    def of(self, model: Likelihood, gradients: Matrix) -> Array:
        """(q, q) covariance over replicates."""
        made = self._made(model)
        return spread(made, model.params, gradients, self._factor(model, made))

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) diagonal."""
        made = self._made(model)
        return spreads(made, model.params, gradients, self._factor(model, made))

    def reference_dof(self, model: Likelihood) -> float:
        """G - 1."""
        return float(document_groups(model.corpus, self.by)[1] - 1)

    def describe(self, model: Likelihood) -> str:
        """In words."""
        groups = document_groups(model.corpus, self.by)[1]
        what = "documents" if self.by == DOCUMENT else f"groups by {self.by}"
        return f"bootstrap of {what} ({groups:,}; {self.replicates:,} refits{failures(key_of(self, model), model)})"

    def _made(self, model: Likelihood) -> Replicates:
        check_documents(model.corpus, self.by, "bootstrap")
        draws = [DocumentDraw(self.seed, b, self.by) for b in range(self.replicates)]
        return replicates(key_of(self, model), model, self.specification, draws, progress=self.progress)

    def _factor(self, model: Likelihood, made: Replicates) -> float:
        groups = document_groups(model.corpus, self.by)[1]
        return groups / (groups - 1) * len(made.params) / (len(made.params) - 1)


@dataclass(frozen=True)
class DocumentDraw:
    """Draw number `number` of the documents, or of groups of them, with replacement."""

    seed: int
    number: int
    by: str

    def __call__(self, corpus: Corpus) -> Corpus:
        """As many groups as there are, each with all of its documents."""
        of_document, groups = document_groups(corpus, self.by)
        drawn = np.random.default_rng([self.seed, self.number]).integers(groups, size=groups)
        if groups == corpus.ndocuments:
            return corpus.subset(drawn)
        order = np.argsort(of_document, kind="stable")
        members = np.split(order, np.cumsum(np.bincount(of_document))[:-1])
        return corpus.subset(np.concatenate([members[group] for group in drawn]))

    def weights(self, corpus: Corpus, memory: int | None) -> Array:
        """(nobs,) how often each observation is drawn."""
        of_document, groups = document_groups(corpus, self.by)
        drawn = np.random.default_rng([self.seed, self.number]).integers(groups, size=groups)
        return np.bincount(drawn, minlength=groups)[of_document][corpus.document_index]


def key_of(covariance: Any, model: Any) -> Any:
    """What identifies the replicates of a model: the settings, without how they were bound."""
    specification = covariance.specification
    if specification is None and isinstance(model, Specified):
        specification = model.specification
    return replace(covariance, specification=repr(specification))


def check_replicates(count: int) -> None:
    """Raise SpecificationError for too few replicates."""
    if count < FEWEST:
        raise SpecificationError(
            f"replicates={count} is too few for a standard error, whose relative error is about 1 / sqrt(2 x replicates). Choose "
            f"{FEWEST} or more; 199 gives 5 %."
        )


def check_documents(corpus: Corpus, by: str, what: str) -> None:
    """Raise TooFewClusters where there is a single document, or group of them."""
    groups = document_groups(corpus, by)[1]
    if groups < 2:
        raise TooFewClusters(
            f"There is {groups} {by} to draw, and the {what} needs at least 2 (10 or more to be reliable). Use "
            "slm.BlockBootstrap() for one long text, or cut it: corpus.blocks(length=...), split='paragraph'."
        )
