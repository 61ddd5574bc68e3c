"""Jelinek-Mercer: relative frequencies of all lengths mixed, the weights by maximum likelihood on held-out documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from statlm.errors import SpecificationError
from statlm.fit.fit import FitReport
from statlm.likelihood import Predictive
from statlm.models.ngram.interpolated import InterpolatedNGram
from statlm.models.ngram.mixture import MixtureNGram
from statlm.models.ngram.stream import count_corpus
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

LARGEST = 1 - 1e-9  # a weight of 1 would give probability 0 to what the longest n-grams never saw
ACCEPTED = 100  # times the tolerance: a gradient that rounding keeps from being smaller is a maximum all the same
EM_GAIN = 1e-6  # nats an observation


@dataclass(frozen=True)
class JelinekMercer:
    r"""Jelinek-Mercer smoothing.

    .. math:: p_m(w \mid c) = \lambda_m \frac{n_{cw}}{n_c} + (1 - \lambda_m) \, p_{m-1}(w \mid c')

    and :math:`p_m = p_{m-1}` after a context that was never seen; :math:`p_0` is uniform. The weights :math:`\lambda_1, ...,
    \lambda_n` maximise the likelihood of documents that were held out of the counts (on the counted text itself all weight
    would go to the longest n-grams). Given the counts they are the parameters of a mixture, so their maximum has standard
    errors: the fit stands on the held-out documents, and its log-likelihood, dof and criteria are of them.

    Parameters
    ----------
    weights : n numbers, optional
        :math:`\lambda_1, ..., \lambda_n`, for 1-grams to n-grams. All documents are then counted, and nothing is estimated.
    held_out : float
        Share of the documents to hold out: the last ones, or the tail where there is a single document.
    seed : int, optional
        Draw them at random.
    buckets : int
        Divide the contexts of each length into about so many buckets by how often they were seen, :math:`n_c`, each with a
        weight of its own and about as many held-out observations: a context seen a thousand times is trusted more than one
        seen once. 1 is one weight a length.
    tolerance : float
        The fit has converged where the gradient an observation is smaller, weights on the boundary apart.
    max_iterations : int
        Of EM, and of the quasi-Newton steps after it.

    Raises
    ------
    SpecificationError
        If the weights are not n numbers between 0 and 1, or are given for buckets, whose bounds held-out documents decide.
    CorpusError
        While fitting, if the corpus cannot be split.

    References
    ----------
    Jelinek and Mercer (1980), Interpolated estimation of Markov source parameters from sparse data. Pattern Recognition in
    Practice.
    Chen and Goodman (1996), An empirical study of smoothing techniques for language modeling. ACL.
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm. JRSS B 39.

    Examples
    --------
    >>> import numpy as np, statlm as slm
    >>> draws = np.random.default_rng(0).geometric(0.2, size=(200, 10)).cumsum(axis=1) % 20
    >>> fit = slm.NGram(n=2, smoothing="jelinek-mercer").fit(slm.Corpus.from_tokens(list(draws), eos=False))
    >>> bool(0 < fit.params[1] < 1), fit.std_errors()[1:].round(2).tolist()
    (True, [0.04])
    """

    weights: tuple[float, ...] | None = None
    held_out: float = 0.1
    seed: int | None = None
    tolerance: float = 1e-8
    max_iterations: int = 1000
    buckets: int = 1
    name: str = field(default="jelinek-mercer", init=False, repr=False)

    def __post_init__(self) -> None:
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(float(w) for w in self.weights))
            if not all(0 <= w <= 1 for w in self.weights):
                raise SpecificationError(f"weights={self.weights!r}: each is a share, between 0 and 1.")
        if not 0 < self.held_out < 1:
            raise SpecificationError(f"held_out={self.held_out!r} is a share of the documents: choose one between 0 and 1.")
        if isinstance(self.buckets, bool) or self.buckets != int(self.buckets) or self.buckets < 1:
            raise SpecificationError(f"buckets={self.buckets!r} is no number of buckets. Choose 1 or more.")
        if self.buckets > 1 and self.weights is not None:
            raise SpecificationError(
                f"weights= gives one weight a length, and buckets={self.buckets} would need one a bucket, whose bounds are "
                "found on held-out documents. Leave out one of the two."
            )
        if not self.tolerance > 0 or self.max_iterations < 1:
            raise SpecificationError("tolerance must be positive, and max_iterations 1 or more.")

    def fit(self, corpus: Corpus, n: int) -> tuple[Predictive, FitReport]:
        """The model at its estimate, and how it was found."""
        if self.weights is not None:
            if len(self.weights) != n:
                raise SpecificationError(
                    f"There are {len(self.weights)} weights for n={n}: give one for each length from 1 to {n}."
                )
            model = MixtureNGram(corpus, *_counted(corpus, n), np.array(self.weights))
            records = tuple({"n": m, "weight": w, "source": "given"} for m, w in enumerate(self.weights, start=1))
            return InterpolatedNGram(corpus, model.table, records), FitReport("Jelinek-Mercer; weights given")
        counted, held = corpus.split(self.held_out, seed=self.seed)
        start = MixtureNGram(held, *_counted(counted, n), np.full(n, 0.5))
        if self.buckets > 1:
            start = start.divided(self.buckets)
        model, iterations = estimate_weights(start, self.tolerance, self.max_iterations)
        gradient = float(np.linalg.norm(model.gradient_inside())) / held.nobs
        method = (
            f"EM on {held.ndocuments:,} held-out {'document' if held.ndocuments == 1 else 'documents'}, counts of the others"
        )
        return model, FitReport(method, gradient < ACCEPTED * self.tolerance, iterations, gradient)

    def restore(self, corpus: Corpus, n: int, arrays: dict[str, Array], settings: dict[str, Any]) -> Predictive:
        """The model that was saved with its `state`, on a corpus."""
        if self.weights is not None:
            return InterpolatedNGram.restore(n, corpus, arrays, settings)
        return MixtureNGram.restore(n, corpus, arrays, settings)


def _counted(corpus: Corpus, n: int) -> tuple[Any, tuple[Array, ...]]:
    counts = count_corpus(corpus, n)
    return counts.index, counts.raw


def estimate_weights(start: MixtureNGram, tolerance: float, max_iterations: int) -> tuple[MixtureNGram, int]:
    """The mixture at the weights that maximise its likelihood, and the iterations taken.

    EM comes near, L-BFGS-B finds which weights are on the boundary, where EM would creep, and Newton steps end it.
    Observations outside of the support, which no weights give a probability, are left out.
    """
    here, iteration, before = start, 0, -np.inf
    while iteration < max_iterations:
        iteration += 1
        loglike, weights = here.em_step(here.params)
        if loglike - before < EM_GAIN:
            break
        before, here = loglike, here.at(np.clip(weights, 0.0, LARGEST))
    nobs = start.corpus.nobs

    def objective(weights: Array) -> tuple[float, Array]:
        model = start.at(weights)
        return -model.loglike_inside() / nobs, -model.unconstrained_gradient() / nobs

    found = minimize(
        objective,
        here.params,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, LARGEST)] * start.dof,
        options={"gtol": tolerance, "ftol": 0.0, "maxiter": max_iterations},
    )
    return _polished(start.at(found.x), tolerance), iteration + int(found.nit)


def _polished(here: MixtureNGram, tolerance: float) -> MixtureNGram:
    """Newton steps in the weights that are inside, as long as they gain."""
    for _ in range(20):
        gradient = here.gradient_inside()
        free = np.flatnonzero((here.params > 0) & (here.params < LARGEST))
        if len(free) == 0 or np.linalg.norm(gradient) < tolerance * here.corpus.nobs:
            break
        step = np.zeros(here.dof)
        step[free] = np.linalg.lstsq(here.information()[np.ix_(free, free)], gradient[free], rcond=None)[0]
        there = here.params + step
        if not ((there >= 0) & (there <= LARGEST)).all() or here.at(there).loglike_inside() <= here.loglike_inside():
            break
        here = here.at(there)
    return here
