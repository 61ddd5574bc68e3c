"""Rao's score test: a larger model judged from the estimate of the smaller one alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from statlm.covariance import Covariance, Dependence, NonRobust, resolve_cov
from statlm.covariance.refits import Refitting
from statlm.errors import NotNested, SpecificationError
from statlm.inference.maxima import SHORTFALL, check_maximum, check_observations, finite_loglike, name_of
from statlm.inference.parameters import likelihood_of, positions
from statlm.inference.result import TestResult
from statlm.inference.wald_test import quadratic_form, referred
from statlm.likelihood import Likelihood, is_penalised
from statlm.numerics.linalg import identity, solve
from statlm.numerics.types import Array

SAME = 1e-8  # nats by which two log-probabilities may differ and still be those of one distribution


def score_test(
    small: Likelihood,
    large: Likelihood,
    *,
    restricted: Sequence[tuple[str, str]] | None = None,
    cov: str | Covariance | Dependence = "nonrobust",
) -> TestResult:
    r"""Score test (Lagrange multiplier test) of a model against a larger one, at the smaller one's estimate.

    With s the total score and H the information of the larger model, both at the smaller one's estimate
    :math:`\tilde\theta`,

    .. math:: S = s(\tilde\theta)' H(\tilde\theta)^{-1} s(\tilde\theta)

    is a :math:`\chi^2_q` under the smaller model, q the number of parameters that it fixes (Rao 1948). The maximum of the
    larger model is not needed, and may be infinite.

    Parameters
    ----------
    small : Fit or Likelihood
        At its maximum-likelihood estimate.
    large : Fit or Likelihood
        Of the larger model on the same corpus; where it stands does not matter if its parameters have the names of the
        smaller one's and the others are 0 under the null, as interactions are: it is moved there. Else it must stand there
        already: ``large.at(params)`` with the parameters that give the smaller one's distribution.
    restricted : (response, term) pairs, optional
        The parameters of `large` that the null hypothesis fixes. By default those that `small` lacks. Name them where
        `small` is `large` itself at a restricted estimate.
    cov : str or object
        "nonrobust", or a covariance under which the test is right though the model is wrong (Boos 1992): "HC0", "cluster",
        "HAC". Needs to know which parameters are restricted.

    Returns
    -------
    TestResult
        ``dof`` is q. With clusters F = S / q, referred to F with q and G - 1.

    Raises
    ------
    NotComparable
        If they stand on different observations.
    NotNested
        If the larger model cannot be brought to the smaller one's estimate, or has no more parameters.
    SpecificationError
        If the null is not at its maximum over the parameters that it leaves free, the larger model is penalised, or a robust
        covariance is asked of unnamed restrictions.
    NoEstimate
        If an observation has probability 0.

    Notes
    -----
    With a one-hot lag against the intercept alone it is Pearson's :math:`\chi^2` of the table of transitions. The robust
    form refers one Newton step from the null, :math:`d = R H^{-1} s` with R picking the restricted parameters, to its
    covariance there, :math:`d'(R V R')^{-1} d`; with :math:`V = H^{-1}` that is the S above.

    References
    ----------
    Rao (1948), Large sample tests of statistical hypotheses concerning several parameters. Proceedings of the Cambridge
    Philosophical Society 44. Boos (1992), On generalized score tests. American Statistician 46.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abbababbaaab" * 20).with_given(1)
    >>> print(score_test(slm.SoftmaxRegression(lags=0).fit(corpus), slm.SoftmaxRegression(lags=1).fit(corpus)))
    Score: statistic = 26.11, dof = 1, p = 3.22e-07
    Null hypothesis: the softmax 0 lags is enough
    Covariance: nonrobust (the model is right).
    """
    check_observations(small, large)
    null, alternative = likelihood_of(small), likelihood_of(large)
    finite_loglike(null, name_of(small))  # refuses probabilities of 0
    known: Array | None
    if restricted is not None:
        there, known = alternative, positions(alternative, restricted)
        words = f"{len(known):,} restriction{'s' if len(known) > 1 else ''} of the {name_of(large)}"
    else:
        check_maximum(null, name_of(small))
        there, known = _moved(null, alternative)
        words = f"the {name_of(small)} is enough"
    if is_penalised(alternative):
        raise SpecificationError(
            f"The {name_of(large)} carries a penalty, and the score test is about the likelihood alone. Pass the model "
            "without it."
        )
    _check_same(null, there, name_of(small), name_of(large))
    q = len(there.params) - len(null.params) if known is None else len(known)
    if q <= 0:
        raise NotNested(
            f"The larger model has {len(there.params):,} parameters and the smaller {len(null.params):,}, so there is no "
            "restriction to test. The first argument is the smaller model: score_test(small, large)."
        )
    chosen = resolve_cov(cov)
    if isinstance(chosen, Refitting):
        raise SpecificationError(
            f"cov={cov!r} fits the larger model again, and the score test stands at the estimate of the smaller one. Use "
            "'cluster', 'HAC' or 'HC0', or test the fit of the larger model: wald_test(large, restrictions, cov='bootstrap')."
        )
    total = np.asarray(there.score().T @ np.ones(there.corpus.nobs)).ravel()
    newton = np.asarray(solve(there.information(), total)).ravel()
    if known is None:
        if not isinstance(chosen, NonRobust):
            raise SpecificationError(
                f"cov={cov!r}: a robust score test needs to know which parameters the null hypothesis fixes, and those of "
                f"the {name_of(small)} have no namesakes in the {name_of(large)}. Name them (restricted=), or use "
                "cov='nonrobust'."
            )
        statistic = float(total @ newton)
    else:
        rows = identity(len(total))[known]
        # What a Newton step would gain over all parameters, less what of it is owed to the restrictions.
        explained = quadratic_form(newton[known], NonRobust().of(there, rows), "nonrobust")
        gain = (float(total @ newton) - explained) / 2
        if gain > SHORTFALL:
            raise SpecificationError(
                f"The null stands {gain:.3g} nats below its maximum over the parameters that it leaves free, and the score "
                "test holds at that maximum only. Maximise over them first, or name all parameters that are fixed "
                "(restricted=)."
            )
        statistic = quadratic_form(newton[known], chosen.of(there, rows), chosen.describe(there))
    return referred("Score", statistic, q, chosen.reference_dof(there), words, f"Covariance: {chosen.describe(there)}.")


def _moved(null: Likelihood, large: Likelihood) -> tuple[Likelihood, Array | None]:
    """The larger model at the smaller one's estimate, and which of its parameters are fixed there, if that is known."""
    names = large.param_names
    at = np.asarray(names.get_indexer(null.param_names)) if names.is_unique else np.array([-1])
    if (at >= 0).all():
        params = np.zeros(len(large.params))
        params[at] = null.params
        try:
            moved = large.at(params)
        except SpecificationError:
            return large, None
        if _same(null, moved):
            return moved, np.setdiff1d(np.arange(len(params)), at)
    return large, None


def _same(a: Likelihood, b: Likelihood) -> bool:
    return bool(np.allclose(a.loglike_obs(), b.loglike_obs(), rtol=SAME, atol=SAME))


def _check_same(null: Likelihood, there: Likelihood, small_name: str, large_name: str) -> None:
    if _same(null, there):
        return
    l0, l1 = float(null.loglike_obs().sum()), float(there.loglike_obs().sum())
    raise NotNested(
        f"The {large_name} does not stand at the estimate of the {small_name} (log-likelihoods {l1:,.4f} and {l0:,.4f} "
        "nats), and cannot be moved there by the names of the parameters. With another reference class pass "
        "large.at(params), the parameters that give the smaller model's probabilities; where the larger model is "
        "separated, so that its limit rules out what the smaller one allows, use lr_test(small, large)."
    )
