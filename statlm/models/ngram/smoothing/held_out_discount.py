"""A discount by maximum likelihood on held-out documents, with its interval."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from statlm.errors import SpecificationError
from statlm.fit.fit import FitReport
from statlm.likelihood import Predictive
from statlm.models.ngram.interpolated import InterpolatedNGram
from statlm.models.ngram.smoothing.absolute_discounting import AbsoluteDiscounting
from statlm.models.ngram.smoothing.kneser_ney import KneserNey
from statlm.models.ngram.stream import count_corpus
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

BASES: dict[str, KneserNey | AbsoluteDiscounting] = {
    "kneser-ney": KneserNey(),
    "absolute-discounting": AbsoluteDiscounting(),
}
LEAST, LARGEST = 1e-4, 1 - 1e-4
FLAT = 1e-6  # curvature an observation below which the likelihood says nothing of the discount
STEP = 1e-3  # of the differences that give score and curvature: rounding and third derivatives are both far below the error


@dataclass(frozen=True)
class HeldOutDiscount:
    r"""Kneser-Ney or absolute discounting with the discount that held-out documents make most likely.

    One D for all lengths maximises :math:`\ell(D) = \sum_i \log p_D(w_i \mid c_i)` over documents that are not counted. Its
    standard error is the sandwich :math:`\sqrt{\sum_g s_g^2} / |\ell''(D)|`, with :math:`s_g` the derivative summed over
    document g (over each observation where a single document is held out). Then all documents are counted, and smoothed with
    that D.

    Parameters
    ----------
    base : "kneser-ney" or "absolute-discounting"
    held_out : float
        Share of the documents to hold out: the last ones, or the tail where there is a single document.
    seed : int, optional
        Draw them at random.
    level : float
        Of the confidence interval that is recorded.

    Raises
    ------
    SpecificationError
        If the base is another, or a share is not between 0 and 1.
    CorpusError
        While fitting, if the corpus cannot be split.

    References
    ----------
    Ney, Essen and Kneser (1994), On structuring probabilistic dependences in stochastic language modelling. Computer Speech
    and Language 8.
    White (1982), Maximum likelihood estimation of misspecified models. Econometrica 50.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.datasets.load("sotu", years=(1790, 1791), split="paragraph")
    >>> found = slm.NGram(n=5, smoothing=slm.HeldOutDiscount()).fit(corpus).likelihood.discounts
    >>> found[["discount", "std_error", "conf_low", "conf_high"]].round(2).iloc[0].to_dict()
    {'discount': 0.76, 'std_error': 0.02, 'conf_low': 0.72, 'conf_high': 0.81}
    """

    base: str = "kneser-ney"
    held_out: float = 0.1
    seed: int | None = None
    level: float = 0.95
    name: str = field(default="held-out-discount", init=False, repr=False)

    def __post_init__(self) -> None:
        if self.base not in BASES:
            known = " or ".join(map(repr, BASES))
            raise SpecificationError(f"base={self.base!r} has no single discount. Choose {known}.")
        for name, value in (("held_out", self.held_out), ("level", self.level)):
            if not 0 < value < 1:
                raise SpecificationError(f"{name}={value!r} is a share: choose one between 0 and 1.")

    def fit(self, corpus: Corpus, n: int) -> tuple[Predictive, FitReport]:
        """The model at its estimate, and how it was found."""
        counted, held = corpus.split(self.held_out, seed=self.seed)
        counts, size = count_corpus(counted, n), corpus.vocabulary.size

        def loglike_obs(discount: float) -> Array:
            table = replace(BASES[self.base], discount=discount).estimate(counts, size).table
            obs = InterpolatedNGram(held, table).loglike_obs()
            return np.where(np.isneginf(obs), 0.0, obs)  # outside of the support, whatever the discount

        found = minimize_scalar(lambda d: -float(loglike_obs(d).mean()), bounds=(LEAST, LARGEST), method="bounded")
        best = float(np.clip(found.x, LEAST + STEP, LARGEST - STEP))
        below, here, above = (loglike_obs(best + step) for step in (-STEP, 0.0, STEP))
        score: Array = (above - below) / (2 * STEP)
        if held.ndocuments > 1:
            score = np.bincount(held.document_index, score)
        curvature = -float((above - 2 * here + below).sum()) / STEP**2
        inside = LEAST + STEP < found.x < LARGEST - STEP and curvature > FLAT * held.nobs
        groups = len(score)
        meat = float((score**2).sum()) * groups / max(groups - 1, 1)
        error = float(np.sqrt(meat)) / curvature if inside else float("nan")
        width = float(norm.isf((1 - self.level) / 2)) * error
        estimate = replace(BASES[self.base], discount=float(found.x)).estimate(count_corpus(corpus, n), size)
        found_at = {
            "discount": float(found.x),
            "std_error": error,
            "conf_low": float(found.x) - width,
            "conf_high": float(found.x) + width,
            "source": "held-out likelihood",
        }
        records = tuple({"n": record["n"]} | found_at for record in estimate.records)
        unit = f"{held.ndocuments:,} held-out documents" if held.ndocuments > 1 else f"the last {held.nobs:,} observations"
        edge = " at the edge of its range or nowhere, so it has no standard error."
        end = "; afterwards these were counted too." if inside else edge
        remark = f"The discount maximises the likelihood of {unit}{end}"
        model = InterpolatedNGram(corpus, estimate.table, records, (remark,))
        return model, FitReport(f"{estimate.method}; discount by held-out likelihood", bool(found.success), int(found.nfev))

    def restore(self, corpus: Corpus, n: int, arrays: dict[str, Array], settings: dict[str, Any]) -> Predictive:
        """The model that was saved with its `state`, on a corpus."""
        return InterpolatedNGram.restore(n, corpus, arrays, settings)
