"""Paired comparison of two models on the same held-out text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statlm.covariance import Dependence, SeriesDependence
from statlm.errors import NoEstimate, NotComparable
from statlm.inference.perplexity_interval import Interval, mean_estimate
from statlm.likelihood import Predictive
from statlm.numerics.p_values import p_value_text


@dataclass(frozen=True)
class PairedTest:
    """Difference of two models' log-likelihoods, a token.

    Attributes
    ----------
    difference : float
        Mean of ``log p_a(y_i | x_i) - log p_b(y_i | x_i)``, nats a token; positive where the first model is better.
    std_error : float
    conf_int : Interval
        At the level asked for.
    p_value : float
        Two-sided, of equal expected log-loss.
    dependence : str
        The assumption on dependence, in words.
    nobs : int
    """

    difference: float
    std_error: float
    conf_int: Interval
    p_value: float
    dependence: str
    nobs: int

    def __str__(self) -> str:
        low, high = self.conf_int
        return (
            f"Mean difference of log-likelihoods over {self.nobs:,} tokens: {self.difference:.5g} nats a token "
            f"(std. error {self.std_error:.2g}, interval {low:.5g} to {high:.5g}), p {p_value_text(self.p_value)}.\n"
            f"Dependence: {self.dependence}."
        )


def check_same_observations(a: Predictive, b: Predictive) -> None:
    """Raise NotComparable unless two models were scored on the same observations."""
    if a.corpus is b.corpus or a.corpus.fingerprint == b.corpus.fingerprint:
        return
    raise NotComparable(
        f"The models were scored on different observations ({a.corpus.nobs:,} and {b.corpus.nobs:,} tokens, different "
        "fingerprints), so their log-likelihoods cannot be subtracted. Score both on one corpus: "
        "paired_test(a.on(test), b.on(test))."
    )


def paired_test(
    a: Predictive,
    b: Predictive,
    *,
    dependence: str | Dependence | SeriesDependence | None = None,
    level: float = 0.95,
) -> PairedTest:
    r"""Test of equal expected log-loss on new text, paired by token (Diebold and Mariano 1995).

    The statistic is :math:`\bar d / \mathrm{se}(\bar d)` with :math:`d_i` the difference of log-likelihoods of token i. Pairing
    removes what is common to both models, the difficulty of the text, and is much sharper than two intervals side by side.

    Parameters
    ----------
    a, b : Predictive
        Two models on the same held-out corpus, which neither was fitted to.
    dependence : str or object, optional
        As of `perplexity_interval`.
    level : float
        Confidence level of the interval.

    Raises
    ------
    NotComparable
        If they stand on different observations.
    NoEstimate
        If one gives some observation probability 0, so that the difference is infinite.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra" * 20).split(test=0.5)
    >>> fits = [slm.NGram(n=n, pseudo_count=0.5).fit(train).on(test) for n in (2, 1)]
    >>> bool(paired_test(*fits).difference > 0)
    True
    """
    check_same_observations(a, b)
    first, second = a.loglike_obs(), b.loglike_obs()
    impossible = [int(np.count_nonzero(np.isneginf(x))) for x in (first, second)]
    if any(impossible):
        raise NoEstimate(
            f"The first model gives probability 0 to {impossible[0]:,} of {len(first):,} observations and the second to "
            f"{impossible[1]:,}, so their mean difference is infinite and has no standard error. A model that excludes what "
            "happened is refuted by it; compare models with pseudo_count > 0 or a smoothing."
        )
    estimate = mean_estimate(first - second, a.corpus, dependence)
    return PairedTest(
        estimate.mean, estimate.std_error, estimate.interval(level), estimate.p_value, estimate.dependence, estimate.nobs
    )
