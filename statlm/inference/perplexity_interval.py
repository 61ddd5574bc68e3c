"""How surely a held-out text determines a perplexity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from statlm.covariance import HAC, Clustered, Dependence, Independent, SeriesDependence, StationaryBootstrap, variance_of_sum
from statlm.covariance.clustered import ENOUGH
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.conf_int import half_width
from statlm.likelihood import Predictive
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

DEPENDENCES: dict[str, Dependence | SeriesDependence] = {
    "iid": Independent(),
    "cluster": Clustered(),
    "HAC": HAC(),
    "bootstrap": StationaryBootstrap(),
}


class Interval(NamedTuple):
    """Two ends of an interval."""

    low: float
    high: float


@dataclass(frozen=True)
class MeanEstimate:
    """A mean over observations with its standard error.

    Attributes
    ----------
    mean : float
        Nats a token.
    std_error : float
        Its standard error.
    reference_dof : float
        Degrees of freedom of the t distribution of their ratio; ``inf`` for the normal.
    dependence : str
        The assumption on dependence, in words, and why it was chosen.
    nobs : int
        Observations.
    """

    mean: float
    std_error: float
    reference_dof: float
    dependence: str
    nobs: int

    def interval(self, level: float = 0.95) -> Interval:
        """Confidence interval of the mean, nats a token."""
        half = half_width(level, self.reference_dof) * self.std_error
        return Interval(self.mean - half, self.mean + half)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of a mean of zero."""
        from scipy.special import log_ndtr, stdtr

        if self.std_error == 0:
            if self.mean == 0:
                return 1.0
            raise NoEstimate(
                f"All {self.nobs:,} values equal {self.mean:.4g}: without variation there is no standard error to test against."
            )
        ratio = -abs(self.mean) / self.std_error
        return float(2 * (np.exp(log_ndtr(ratio)) if np.isinf(self.reference_dof) else stdtr(self.reference_dof, ratio)))


def choose_dependence(
    dependence: str | Dependence | SeriesDependence | None, corpus: Corpus
) -> tuple[Dependence | SeriesDependence, str]:
    """The dependence meant, and the reason where it was chosen here.

    None takes clusters where there are 10 or more documents and HAC with the automatic bandwidth otherwise.
    """
    if dependence is None:
        if corpus.ndocuments >= ENOUGH:
            return DEPENDENCES["cluster"], f"chosen because there are {ENOUGH} or more documents"
        if corpus.ndocuments == 1:
            return DEPENDENCES["HAC"], "chosen because the text is a single document"
        return DEPENDENCES[
            "HAC"
        ], f"chosen because there are fewer than {ENOUGH} documents; how documents differ is not in it"
    if isinstance(dependence, str):
        if dependence not in DEPENDENCES:
            raise SpecificationError(
                f"There is no dependence {dependence!r}. Use one of {', '.join(map(repr, DEPENDENCES))}, or an object such as "
                "HAC(lags=50)."
            )
        return DEPENDENCES[dependence], "as asked"
    return dependence, "as asked"


def mean_estimate(
    values: Array, corpus: Corpus, dependence: str | Dependence | SeriesDependence | None = None
) -> MeanEstimate:
    r"""Mean of a value per observation with its standard error.

    With documents of unequal size the mean is a ratio of document sums, and its variance that of a ratio: residuals
    :math:`x_i - \bar x` are summed over documents (Cochran 1977, section 6.3; Miller 2024).

    Parameters
    ----------
    values : (nobs,) array
        Finite, for example log-likelihoods or their differences.
    corpus : Corpus
    dependence : str or object, optional
        "iid", "cluster", "HAC", "bootstrap", or an object with settings; None chooses by the number of documents.
    """
    if not np.isfinite(values).all():
        raise NoEstimate(
            f"{np.count_nonzero(~np.isfinite(values)):,} of {len(values):,} values are infinite, so their mean has no standard "
            "error."
        )
    if len(values) < 2:
        raise NoEstimate("A single observation has no standard error. Use more text.")
    chosen, reason = choose_dependence(dependence, corpus)
    mean = float(values.mean())
    variance = variance_of_sum(values - mean, corpus, chosen)
    return MeanEstimate(
        mean,
        float(np.sqrt(variance)) / len(values),
        chosen.reference_dof(corpus),
        f"{chosen.describe(corpus)}, {reason}",
        len(values),
    )


def perplexity_estimate(model: Predictive, dependence: str | Dependence | SeriesDependence | None = None) -> MeanEstimate:
    """Mean log-loss of a model on its corpus, nats a token, with its standard error; its exponential is the perplexity.

    Parameters
    ----------
    model : Predictive
    dependence : str or object, optional
        As of `perplexity_interval`.

    Returns
    -------
    MeanEstimate
        The mean, its standard error, and the assumption on dependence in words.

    Raises
    ------
    NoEstimate
        If the perplexity is infinite.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra" * 20).split(test=0.5)
    >>> estimate = perplexity_estimate(slm.NGram(n=1).fit(train).on(test), "iid")
    >>> estimate.dependence, round(estimate.std_error, 3)
    ('independent observations (110), as asked', 0.059)
    """
    losses = -model.loglike_obs()
    impossible = int(np.count_nonzero(np.isinf(losses)))
    if impossible:
        raise NoEstimate(
            f"The perplexity is infinite: {impossible:,} of {len(losses):,} observations have probability 0 under the model "
            "(continuations that training never saw). An interval around infinity says nothing: fit with pseudo_count > 0 "
            "or a smoothing."
        )
    return mean_estimate(losses, model.corpus, dependence)


def perplexity_interval(
    model: Predictive, level: float = 0.95, dependence: str | Dependence | SeriesDependence | None = None
) -> Interval:
    r"""Confidence interval of the perplexity, as an estimate of the perplexity on all text of this kind.

    It is made on the log scale, :math:`\exp(\bar\ell \pm z\,\mathrm{se}(\bar\ell))` with :math:`\bar\ell` the mean log-loss,
    and so is asymmetric. It covers the error of the evaluation sample, with the model held fixed.

    Parameters
    ----------
    model : Predictive
    level : float
        Confidence level.
    dependence : str or object, optional
        "iid", "cluster", "HAC", "bootstrap", or an object with settings such as ``HAC(lags=50)``. None takes clusters where
        there are 10 or more documents and HAC otherwise.

    Returns
    -------
    Interval
        Named tuple (low, high).

    Raises
    ------
    NoEstimate
        If the perplexity is infinite.
    TooFewClusters
        If clusters are asked of a single document.

    References
    ----------
    Miller (2024), Adding error bars to evals. Cochran (1977), Sampling techniques, section 6.3.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra" * 20).split(test=0.5)
    >>> low, high = perplexity_interval(slm.NGram(n=1).fit(train).on(test), dependence="iid")
    >>> round(low, 2), round(high, 2)
    (3.66, 4.62)
    """
    estimate = perplexity_estimate(model, dependence)
    low, high = estimate.interval(level)
    return Interval(float(np.exp(low)), float(np.exp(high)))
