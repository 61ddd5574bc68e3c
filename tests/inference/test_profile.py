"""Profile intervals: closed forms, brute force by scipy, and invariance to the scale of the parameter."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq, minimize
from scipy.special import xlogy
from scipy.stats import chi2

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.profile import Profile

ALLOWED = chi2.ppf(0.95, 1)


def share_interval(k, n, allowed=ALLOWED):
    """Values of a binomial share whose likelihood-ratio statistic is at most `allowed`."""

    def excess(p):
        return 2 * (xlogy(k, k / n) + xlogy(n - k, 1 - k / n) - xlogy(k, p) - xlogy(n - k, 1 - p)) - allowed

    return brentq(excess, 1e-12, k / n, xtol=1e-14), brentq(excess, k / n, 1 - 1e-12, xtol=1e-14)


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(5)
    return slm.Corpus.from_tokens([rng.choice(list("abc"), 150, p=[0.5, 0.4, 0.1]).tolist()], given=1)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999999])
def test_shares_of_a_unigram_are_binomial(corpus, level):
    fit = slm.NGram(1).fit(corpus)
    for (token, _), name in zip(fit.param_names, fit.param_names, strict=True):
        k = int((corpus.targets == "abc".index(token)).sum())
        assert_allclose(slm.profile_interval(fit, name, level), share_interval(k, fit.nobs, chi2.ppf(level, 1)), rtol=1e-7)


def test_cells_of_a_bigram_are_binomial_in_their_context(corpus):
    fit = slm.NGram(2).fit(corpus)
    before = corpus.contexts(1)[:, 0]
    for response, context in fit.param_names:
        rows = corpus.targets[before == "abc".index(context)]
        k = int((rows == "abc".index(response)).sum())
        assert_allclose(slm.profile_interval(fit, (response, context)), share_interval(k, len(rows)), rtol=1e-6)


def test_a_token_seen_once_has_an_interval_inside_the_simplex():
    fit = slm.NGram(1).fit(slm.Corpus.from_text("a" * 60 + "b" * 30 + "c"))
    low, high = slm.profile_interval(fit, ("c", ""))
    assert_allclose((low, high), share_interval(1, 91), rtol=1e-6)
    assert fit.conf_int().loc[("c", ""), "conf_low"] < 0 < low


def test_the_scale_of_the_parameter_does_not_matter():
    corpus = slm.Corpus.from_text("aaaab" * 12)
    share = np.array(slm.profile_interval(slm.NGram(1).fit(corpus), ("b", "")))
    odds = np.array(slm.profile_interval(slm.SoftmaxRegression(lags=0).fit(corpus), ("b", "(Intercept)")))
    assert_allclose(np.log(share / (1 - share)), odds, rtol=1e-7)


def test_coefficients_agree_with_brute_force(corpus):
    fit = slm.SoftmaxRegression(lags=1).fit(corpus)
    for j in (0, 1, 5):
        interval = slm.profile_interval(fit, fit.param_names[j])
        for end in interval:

            def minus(rest, j=j, end=end):
                model = fit.at(np.insert(rest, j, end))
                total = np.asarray(model.score().T @ np.ones(fit.nobs)).ravel()
                return -model.loglike_obs().sum(), -np.delete(total, j)

            best = minimize(minus, np.delete(fit.params, j), jac=True, method="BFGS", options={"gtol": 1e-7})
            assert_allclose(2 * (fit.loglike + best.fun), ALLOWED, rtol=1e-7)
        assert interval.low < fit.params[j] < interval.high


def test_in_a_large_sample_it_is_walds():
    rng = np.random.default_rng(1)
    fit = slm.SoftmaxRegression(lags=1).fit(slm.Corpus.from_tokens([rng.choice(list("abc"), 40_000).tolist()], given=1))
    name = fit.param_names[1]
    error = fit.std_errors()[1]
    assert_allclose(slm.profile_interval(fit, name), fit.conf_int().loc[name], atol=0.01 * error)


def test_the_limiting_model_under_separation_has_profiles_of_its_finite_coefficients():
    # c never follows c; the finite coefficients are those of a bigram with a hole.
    corpus = slm.Corpus.from_tokens([list("abacbcabcaabbacbac" * 6)], given=1)
    fit = slm.SoftmaxRegression(lags=1).fit(corpus)
    assert len(fit.params) < fit.dof
    for name, j in ((fit.param_names[0], 0), (fit.param_names[-1], len(fit.params) - 1)):
        interval = slm.profile_interval(fit, name)
        profile = Profile(fit.likelihood, j)
        assert_allclose([2 * (fit.loglike - profile.loglike(end)) for end in interval], ALLOWED, rtol=1e-6)


def test_values_beyond_the_range_are_impossible(corpus):
    profile = Profile(slm.NGram(1).fit(corpus).likelihood, 0)
    with pytest.raises(NoEstimate, match=r"cannot be -0.1"):
        profile.maximum(-0.1)
    assert profile.loglike(-0.1) == profile.loglike(0.0) == profile.loglike(1.0) == profile.loglike(1.5) == -np.inf


def test_a_likelihood_that_does_not_fall_is_refused(corpus):
    base = slm.SoftmaxRegression(lags=0).fit(corpus).likelihood

    class Flat(type(base)):
        """Its coefficients can be no larger than a little above their estimates."""

        def at(self, params):
            if np.max(np.abs(params - base.params)) > 0.01:
                raise SpecificationError("Beyond.")
            return super().at(params)

    flat = Flat(**{name: getattr(base, name) for name in base.__dataclass_fields__})
    with pytest.raises(NoEstimate, match=r"does not fall by enough on the lower side \(as far as"):
        slm.profile_interval(flat, flat.param_names[0])


def test_penalised_fits_and_parameters_off_the_maximum_are_refused(corpus):
    ridge = slm.SoftmaxRegression(lags=1, penalty="ridge", strength=1.0).fit(corpus)
    with pytest.raises(SpecificationError, match=r"does not maximise the likelihood \(it is penalised\)"):
        slm.profile_interval(ridge, ridge.param_names[0])
    fit = slm.SoftmaxRegression(lags=1).fit(corpus)
    with pytest.raises(SpecificationError, match=r"not at its maximum"):
        slm.profile_interval(fit.at(fit.params + 1), fit.param_names[0])


def test_unknown_parameters_and_levels_are_refused(corpus):
    fit = slm.NGram(1).fit(corpus)
    with pytest.raises(SpecificationError, match=r"no parameter \('z', ''\) among the 2"):
        slm.profile_interval(fit, ("z", ""))
    with pytest.raises(SpecificationError, match=r"level=95: the confidence level"):
        slm.profile_interval(fit, fit.param_names[0], 95)
