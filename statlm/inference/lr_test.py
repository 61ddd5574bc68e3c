"""The likelihood-ratio test of a model against a larger one that contains it."""

from __future__ import annotations

import warnings
from typing import Protocol, runtime_checkable

from statlm.errors import NotNested, SmallCountsWarning, SpecificationError
from statlm.inference.maxima import ROUNDING, Specified, check_maximum, check_observations, finite_loglike, name_of
from statlm.inference.result import TestResult
from statlm.likelihood import Likelihood, Predictive, is_likelihood, underlying

FEW = 5.0  # observations a parameter


@runtime_checkable
class Nesting(Protocol):
    """A specification that knows which others are special cases of it."""

    def contains(self, other: object) -> bool:
        """Whether `other` is a special case of this one, both fitted to the same observations by maximum likelihood.

        A specification that does not maximise the likelihood (it smooths, or penalises) contains nothing, not even itself.
        """
        ...


def lr_test(small: Likelihood, large: Likelihood, *, nested: bool = False) -> TestResult:
    r"""Likelihood-ratio test of a model against a larger one that contains it.

    The statistic is :math:`2(\ell_1 - \ell_0)`, which under the smaller model and with many observations a parameter is a
    :math:`\chi^2` with :math:`q_1 - q_0` degrees of freedom (Wilks 1938). Here :math:`\ell` and q are log-likelihood (nats)
    and number of free parameters at the two maxima.

    Parameters
    ----------
    small, large : Fit or Likelihood
        At their maximum-likelihood estimates, on the same observations.
    nested : bool
        Vouch that `small` is a special case of `large` where the specifications cannot tell.

    Returns
    -------
    TestResult

    Raises
    ------
    NotComparable
        If they stand on different observations.
    NotNested
        If the smaller is not known to be a special case of the larger, or the numbers show that it is not.
    SpecificationError
        If either is not a maximum-likelihood fit.
    NoEstimate
        If an observation has probability 0.

    Warns
    -----
    SmallCountsWarning
        If there are fewer than 5 observations to a parameter of the larger model: the chi-square approximation may be far
        off.

    See Also
    --------
    markov_order_test : successive orders of a Markov chain, with a bootstrap for small counts.

    Notes
    -----
    Whether a fit is a maximum is read off its derivatives: a Newton step from it may gain no more than 0.01 nats.

    References
    ----------
    Wilks (1938), The large-sample distribution of the likelihood ratio for testing composite hypotheses. Annals of
    Mathematical Statistics 9. Anderson and Goodman (1957) for Markov chains.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abababbaabab" * 20).with_given(1)
    >>> print(lr_test(slm.NGram(n=1).fit(corpus), slm.NGram(n=2).fit(corpus)))
    Likelihood ratio: statistic = 115.4, dof = 1, p < 1e-16
    Null hypothesis: the unigram is enough
    loglike_null = -165.66, loglike_alternative = -107.952, dof_null = 1, dof_alternative = 2
    """
    check_observations(small, large)
    null, alternative = _likelihood(small), _likelihood(large)
    _check_nested(small, large, nested)
    q0, q1 = null.dof, alternative.dof
    if q1 <= q0:
        raise NotNested(
            f"The larger model has {q1:,} free parameters and the smaller {q0:,}, so there is no restriction to test. "
            "The first argument is the smaller model: lr_test(small, large)."
        )
    l0, l1 = finite_loglike(null, name_of(small)), finite_loglike(alternative, name_of(large))
    check_maximum(null, name_of(small))
    check_maximum(alternative, name_of(large))
    if l1 < l0 - ROUNDING * abs(l0):
        raise NotNested(
            f"The larger model has the smaller log-likelihood ({l1:,.4f} against {l0:,.4f} nats), which cannot be where it "
            "contains the other and both are at their maximum. Check that the optimiser converged, and the nesting."
        )
    nobs = small.corpus.nobs
    if nobs < FEW * q1:
        warnings.warn(
            f"Small counts: {nobs:,} observations for {q1:,} parameters, {nobs / q1:.1f} each; below {FEW:g} the chi-square "
            "approximation may be far off. For n-grams use markov_order_test(corpus, method='bootstrap').",
            SmallCountsWarning,
            stacklevel=2,
        )
    from scipy.stats import chi2

    statistic = max(2 * (l1 - l0), 0.0)
    return TestResult(
        name="Likelihood ratio",
        statistic=statistic,
        dof=q1 - q0,
        p_value=float(chi2.sf(statistic, q1 - q0)),
        null=f"the {name_of(small)} is enough",
        details={"loglike_null": l0, "loglike_alternative": l1, "dof_null": q0, "dof_alternative": q1},
    )


def _check_nested(small: Predictive, large: Predictive, vouched: bool) -> None:
    pair = [model.specification if isinstance(model, Specified) else None for model in (small, large)]
    for specification in pair:
        if isinstance(specification, Nesting) and not specification.contains(specification):
            raise SpecificationError(
                f"{specification} does not maximise the likelihood (it smooths or penalises), and the chi-square "
                "distribution holds for maximum likelihood only. Fit without smoothing or penalty, or compare on held-out "
                "text: paired_test(a.on(test), b.on(test))."
            )
    if vouched:
        return
    if not isinstance(pair[1], Nesting):
        raise NotNested(
            f"{name_of(large)} does not say which models are special cases of it, so the chi-square distribution cannot be "
            "taken for granted. If you know that the smaller one is, vouch for it: lr_test(small, large, nested=True)."
        )
    if not pair[1].contains(pair[0]):
        raise NotNested(
            f"{name_of(small)} is not known to be a special case of {name_of(large)}, and the likelihood-ratio statistic then "
            "has another distribution. Swap the arguments if the first is the larger; for models that are not nested "
            "compare on held-out text: paired_test(a.on(test), b.on(test)). If you know it is nested, pass nested=True."
        )


def _likelihood(model: Predictive) -> Likelihood:
    held = underlying(model)
    if not is_likelihood(held):
        raise SpecificationError(
            f"{name_of(model)} has no parameters or derivatives, and the likelihood-ratio test is about two maxima of the "
            "likelihood. Compare on held-out text: paired_test(a.on(test), b.on(test))."
        )
    return held
