"""Over-confidence as one parameter: the temperature that fits the text best, and a test that it is 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.covariance import Dependence, SeriesDependence, variance_of_sum
from statlm.diagnostics.tempering import best_power, tempered
from statlm.errors import NoEstimate
from statlm.inference.conf_int import half_width
from statlm.inference.perplexity_interval import Interval, choose_dependence
from statlm.likelihood import Predictive
from statlm.numerics.p_values import p_value_text


@dataclass(frozen=True)
class TemperatureTest:
    """The best temperature of a model on a text.

    Attributes
    ----------
    temperature : float
        Above 1 where the model is over-confident: its probabilities must be flattened.
    std_error : float
        Of the temperature, under the dependence.
    conf_int : Interval
        Wald's interval on the logarithmic scale.
    statistic : float
        Likelihood-ratio statistic of temperature 1.
    p_value : float
        Of the statistic, by a chi-square with 1 degree of freedom: the null is that the model is the truth.
    robust_p_value : float
        Wald's test of temperature 1 under the dependence: the null is that no other temperature does better on average.
    gain : float
        Nats a token won by the best temperature.
    dependence : str
    nobs : int
    """

    temperature: float
    std_error: float
    conf_int: Interval
    statistic: float
    p_value: float
    robust_p_value: float
    gain: float
    dependence: str
    nobs: int

    def __str__(self) -> str:
        low, high = self.conf_int
        verdict = (
            "over-confident"
            if low > 1
            else "too cautious"
            if high < 1
            else "neither over-confident nor too cautious, as far as seen"
        )
        return (
            f"Temperature {self.temperature:.4f} (std. error {self.std_error:.2g}, interval {low:.4f} to {high:.4f}) over "
            f"{self.nobs:,} tokens: the model is {verdict}.\n"
            f"Likelihood ratio of temperature 1: {self.statistic:.4g}, dof = 1, p {p_value_text(self.p_value)}; robust p "
            f"{p_value_text(self.robust_p_value)}. Gain {self.gain:.3g} nats a token.\n"
            f"Dependence: {self.dependence}."
        )


def temperature_test(
    model: Predictive,
    *,
    level: float = 0.95,
    dependence: str | Dependence | SeriesDependence | None = None,
) -> TemperatureTest:
    r"""Maximum-likelihood temperature of a model on a text, and tests that it is 1.

    The family is :math:`p_T(w \mid c) \propto p(w \mid c)^{1/T}`, an exponential family in 1/T with one parameter for the whole
    model. T > 1 says that the model is over-confident on this text.

    Parameters
    ----------
    model : Predictive
        On text that it was not fitted to.
    level : float
        Confidence level.
    dependence : str or object, optional
        As of `perplexity_interval`: for the standard error, the interval and the robust test.

    Returns
    -------
    TemperatureTest

    Raises
    ------
    NoEstimate
        If an observation has probability 0, all distributions are uniform, or the likelihood has its maximum at temperature 0 or
        infinity.

    See Also
    --------
    Temperature : the recalibrated model itself, to be compared, sampled from, or evaluated.

    Notes
    -----
    The standard error is the sandwich's, with the curvature as bread and the variance of the summed scores as meat. The
    likelihood-ratio test needs no assumption on dependence: under its null the scores are martingale differences.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks. Cox (1958) for the idea in logistic
    regression. White (1982) for the sandwich.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra, a cadabra. " * 40).split(test=0.5)
    >>> found = temperature_test(slm.NGram(n=2, pseudo_count=20).fit(train).on(test), dependence="iid")
    >>> found.conf_int.high < 1, found.p_value < 1e-6  # a strong prior makes it too cautious
    (True, True)
    """
    power, _ = best_power(model)
    here = tempered(model, power)
    corpus = model.corpus
    chosen, reason = choose_dependence(dependence, corpus)
    bread = float(here.curvature.sum())
    slopes = here.slope - here.slope.mean()  # its mean is 0 but for rounding
    error = float(np.sqrt(variance_of_sum(slopes, corpus, chosen))) / bread  # of the power; that of log T is error / power
    if error == 0:
        raise NoEstimate(
            "The scores of the temperature do not vary between the units of dependence: no standard error exists."
        )
    dof = chosen.reference_dof(corpus)
    half = half_width(level, dof) * error / power
    from scipy.special import ndtr, stdtr
    from scipy.stats import chi2

    own = np.asarray(model.loglike_obs(), float)
    statistic = max(2.0 * float((here.loglike_obs - own).sum()), 0.0)
    ratio = -abs(np.log(power)) * power / error
    return TemperatureTest(
        1.0 / power,
        error / power**2,
        Interval(float(np.exp(-half) / power), float(np.exp(half) / power)),
        statistic,
        float(chi2.sf(statistic, 1)),
        float(2 * (ndtr(ratio) if np.isinf(dof) else stdtr(dof, ratio))),
        statistic / (2 * len(own)),
        f"{chosen.describe(corpus)}, {reason}",
        len(own),
    )
