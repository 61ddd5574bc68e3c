"""Quantile residuals are uniform and independent under the truth, and show what is wrong otherwise."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError


@pytest.mark.parametrize("order", ["probability", "vocabulary"])
def test_a_residual_lies_within_its_step_of_the_distribution_function(true, order):
    table = slm.quantile_residuals(true, order=order)
    p = np.exp(true.logprobs(true.corpus.contexts(1)))
    targets = true.corpus.targets.astype(int)
    own = p[np.arange(len(p)), targets][:, None]
    before = (p > own) if order == "probability" else np.arange(p.shape[1])[None, :] < targets[:, None]
    if order == "probability":  # among equals the first of the vocabulary comes first
        before |= (p == own) & (np.arange(p.shape[1])[None, :] < targets[:, None])
    low = (p * before).sum(axis=1)
    assert (table.uniform >= low - 1e-12).all()
    assert (table.uniform <= low + own[:, 0] + 1e-12).all()
    assert_allclose(norm.cdf(table.residual), table.uniform, atol=1e-12)


def test_the_truth_passes_all_tests_and_the_sharpened_model_fails(true, sharpened):
    good, bad = (slm.residual_tests(slm.quantile_residuals(model)) for model in (true, sharpened))
    assert (good.p_value > 0.01).all()
    assert bad.set_index("test").p_value["uniform"] < 1e-6


def test_dependence_that_a_model_misses_is_seen():
    texts = ["ab" * 30 + "ba" * 30] * 5
    table = slm.quantile_residuals(slm.NGram(1).fit(slm.Corpus.from_texts(texts, eos=False)))
    tests = slm.residual_tests(table).set_index("test")
    assert tests.p_value["Ljung-Box"] < 1e-12
    assert slm.residual_autocorrelation(table, lags=2).autocorrelation[0] < -0.2


def test_documents_that_are_harder_than_the_model_thinks_are_seen(true):
    vocabulary = true.corpus.vocabulary
    rare = slm.Corpus.from_texts(["d " * 30] * 3, vocabulary=vocabulary, eos=False)
    mixed = slm.Corpus.from_texts([true.corpus.text(d) for d in range(10)] + ["d " * 30] * 3, vocabulary=vocabulary)
    assert rare.nobs == 180
    tests = slm.residual_tests(slm.quantile_residuals(true.on(mixed))).set_index("test")
    assert tests.p_value["documents"] < 1e-12
    assert tests.dof["documents"] == 13


def test_ljung_box_is_that_of_statsmodels_for_one_document(true):
    from statsmodels.stats.diagnostic import acorr_ljungbox

    one = true.on(slm.simulate(true, documents=1, length=400, seed=2))
    table = slm.quantile_residuals(one)
    other = acorr_ljungbox(table.residual, lags=[8])
    tests = slm.residual_tests(table, lags=8)
    assert tests.test.tolist() == ["uniform", "Ljung-Box"]
    assert_allclose(tests.statistic[1], other.lb_stat.iloc[0], rtol=1e-10)
    assert_allclose(tests.p_value[1], other.lb_pvalue.iloc[0], rtol=1e-10)


def test_pairs_never_reach_across_documents(true):
    acf = slm.residual_autocorrelation(slm.quantile_residuals(true), lags=70)
    assert acf.lag.max() == 59
    assert (acf.pairs == 40 * (60 - acf.lag)).all()


def test_a_tail_keeps_its_digits(wrapped):
    """A token of probability 1e-40: its residual is 13 or more, not infinite."""
    corpus = slm.Corpus.from_texts(["ab", "ba", "aa"], eos=False)
    rows = np.log(np.array([1.0, 1e-40]))
    model = wrapped(slm.NGram(1).fit(corpus), lambda logprobs: np.tile(rows, (len(logprobs), 1)))
    surprises = slm.quantile_residuals(model).residual[corpus.targets == 1]
    assert np.isfinite(surprises).all()
    assert (surprises > 13).all()


def test_equal_seeds_give_equal_residuals(true):
    first, again, other = (slm.quantile_residuals(true, seed=s).residual for s in (1, 1, 2))
    assert (first == again).all()
    assert not (first == other).any()


def test_what_has_no_residual_is_refused(impossible, true):
    with pytest.raises(NoEstimate, match="their residuals are infinite"):
        slm.quantile_residuals(impossible)
    with pytest.raises(SpecificationError, match="order='alphabet'"):
        slm.quantile_residuals(true, order="alphabet")
    table = slm.quantile_residuals(true)
    with pytest.raises(SpecificationError, match="lags=0"):
        slm.residual_tests(table, lags=0)
    with pytest.raises(SpecificationError, match=r"lacks \['residual'\]"):
        slm.residual_tests(table.drop(columns="residual"))
    short = slm.quantile_residuals(true.on(slm.simulate(true, documents=5, length=1)))
    with pytest.raises(NoEstimate, match="longer than one token"):
        slm.residual_autocorrelation(short)
    with pytest.raises(NoEstimate, match="do not vary"):
        slm.residual_autocorrelation(table.assign(residual=1.0))
