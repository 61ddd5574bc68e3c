"""Temperature: the maximum, its errors, its tests, and the boundary."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

import statlm as slm
from statlm.diagnostics.tempering import best_power, tempered
from statlm.errors import NoEstimate, SpecificationError
from statlm.testing import check_likelihood


def test_the_estimate_is_that_of_a_conditional_logit(sharpened):
    """McFadden's choice model with the log-probabilities as its one covariate; statsmodels."""
    from statsmodels.discrete.conditional_models import ConditionalLogit

    model = sharpened.on(sharpened.corpus.subset(range(12)))
    corpus = model.corpus
    rows = model.logprobs(corpus.contexts(1))
    chosen = np.zeros_like(rows)
    chosen[np.arange(len(rows)), corpus.targets] = 1
    groups = np.repeat(np.arange(len(rows)), rows.shape[1])
    other = ConditionalLogit(chosen.ravel(), rows.reshape(-1, 1), groups=groups).fit(disp=False)
    power, _ = best_power(model)
    assert_allclose(power, other.params[0], rtol=1e-5)
    found = slm.temperature_test(model, dependence="iid")
    assert_allclose(found.temperature, 1 / other.params[0], rtol=1e-5)
    assert_allclose(found.statistic, 2 * (other.llf - model.loglike_obs().sum()), rtol=1e-6)
    fit = slm.Temperature(model).fit(corpus)
    assert_allclose(fit.std_errors()[0], other.bse[0] / other.params[0] ** 2, rtol=1e-4)


def test_squared_probabilities_need_temperature_two(true, sharpened):
    right, wrong = slm.temperature_test(true), slm.temperature_test(sharpened)
    assert_allclose(wrong.temperature, 2 * right.temperature, rtol=1e-8)
    assert right.conf_int.low < 1 < right.conf_int.high
    assert wrong.conf_int.low > 1.5
    assert wrong.p_value < 1e-12
    assert wrong.robust_p_value < 1e-12
    assert "over-confident" in str(wrong)
    assert_allclose(wrong.p_value, chi2.sf(wrong.statistic, 1), rtol=1e-12)
    assert_allclose(wrong.gain, wrong.statistic / 2 / wrong.nobs, rtol=1e-12)


def test_the_test_and_the_model_say_the_same(sharpened):
    found = slm.temperature_test(sharpened, dependence="cluster")
    fit = slm.Temperature(sharpened).fit(sharpened.corpus)
    assert_allclose(fit.params[0], found.temperature, rtol=1e-9)
    assert_allclose(fit.std_errors("cluster")[0], found.std_error, rtol=1e-6)
    assert_allclose(fit.loglike - sharpened.loglike_obs().sum(), found.statistic / 2, rtol=1e-8)
    assert fit.dof == 1
    assert "held fixed" in fit.likelihood.notes()[0]


def test_no_other_temperature_is_better(sharpened):
    power, _ = best_power(sharpened)
    best = tempered(sharpened, power).loglike_obs.sum()
    assert all(tempered(sharpened, power * f).loglike_obs.sum() < best for f in (0.5, 0.99, 1.01, 2.0))


def test_the_recalibrated_model_obeys_the_contract(true):
    check_likelihood(slm.Temperature(true).fit(true.corpus).likelihood)


def test_large_texts_are_scored_again_at_each_step(sharpened, monkeypatch):
    from statlm.diagnostics import tempering

    once = best_power(sharpened)
    monkeypatch.setattr(tempering, "KEPT", 3)
    assert best_power(sharpened) == once


def test_tokens_of_probability_zero_stay_impossible():
    corpus = slm.Corpus.from_texts(["abab", "baab", "abba"] * 5, eos=False)
    fit = slm.Temperature(slm.NGram(2).fit(corpus)).fit(corpus)
    contexts = np.array([[corpus.vocabulary.bos]])
    base = slm.NGram(2).fit(corpus).logprobs(contexts)
    assert (np.isneginf(fit.logprobs(contexts)) == np.isneginf(base)).all()
    assert_allclose(fit.params, 1.0, rtol=1e-6)  # a maximum-likelihood table is calibrated on its own text


def test_an_observation_of_probability_zero_is_refused(impossible):
    with pytest.raises(NoEstimate, match="have probability 0 under the model, and so at every temperature"):
        slm.temperature_test(impossible)


def test_temperature_zero_and_infinity_are_refused():
    train = slm.Corpus.from_texts(["aaab", "aaba"] * 5, eos=False)
    fit = slm.NGram(1).fit(train)
    only_a = slm.Corpus.from_texts(["aaaa"] * 3, vocabulary=train.vocabulary)
    with pytest.raises(NoEstimate, match="the way to temperature 0"):
        slm.temperature_test(fit.on(only_a))
    only_b = slm.Corpus.from_texts(["bbbb"] * 3, vocabulary=train.vocabulary)
    with pytest.raises(NoEstimate, match="to an infinite temperature"):
        slm.temperature_test(fit.on(only_b))
    with pytest.raises(NoEstimate, match="Every distribution of the model is uniform"):
        slm.temperature_test(slm.NGram(0).fit(train))


@pytest.mark.parametrize("wrong", [[0.0], [-1.0], [np.inf], [1.0, 2.0]])
def test_what_is_no_temperature_is_refused(true, wrong):
    with pytest.raises(SpecificationError, match="is not a temperature"):
        slm.Temperature(true).fit(true.corpus).at(np.array(wrong))


def test_its_name_is_short(true):
    assert str(slm.Temperature(true)) == "bigram + 1 at its temperature"
    assert repr(slm.Temperature(true)) == "Temperature(bigram + 1)"
