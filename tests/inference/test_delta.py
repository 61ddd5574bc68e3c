"""Functionals by the delta method: closed forms, given and differenced gradients, and refusals."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sparse
from numpy.testing import assert_allclose
from scipy.special import ndtri
from scipy.stats import t

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.delta import jacobian


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(2)
    return slm.Corpus.from_tokens([rng.choice(list("abc"), 60).tolist() for _ in range(12)], given=1, eos=False)


@pytest.fixture(scope="module")
def fit(corpus):
    return slm.SoftmaxRegression(lags=1).fit(corpus)


def test_the_parameters_themselves_have_their_wald_intervals(fit):
    for cov in ("nonrobust", "HC0", "cluster"):
        table = slm.functional(fit, lambda p: p, cov=cov, level=0.9)
        assert table.columns.tolist() == ["estimate", "std_error", "conf_low", "conf_high"]
        assert_allclose(table.estimate, fit.params)
        assert_allclose(table.std_error, fit.std_errors(cov), rtol=1e-8)
        assert_allclose(table[["conf_low", "conf_high"]], fit.conf_int(0.9, cov), rtol=1e-7)


def test_clusters_take_students_t(fit):
    row = slm.functional(fit, lambda p: p[0], cov="cluster").iloc[0]
    assert_allclose(row.conf_high - row.estimate, t.ppf(0.975, 11) * row.std_error)


def test_a_probability_has_the_standard_error_that_predict_gives_it(fit):
    context = np.array([[0]])
    table = slm.functional(fit, lambda p: pd.Series(np.exp(fit.at(p).logprobs(context)[0]), index=list("abc")), cov="HC0")
    expected = fit.predict([["a"]], interval=0.95, cov="HC0").set_index("token").loc[list("abc")]
    assert table.index.tolist() == list("abc")
    assert_allclose(table.estimate, expected.probability)
    assert_allclose(table.std_error, expected.std_error, rtol=1e-7)


def test_log_odds_of_a_share_have_their_closed_form(corpus):
    unigram = slm.NGram(1).fit(corpus)
    p, n = unigram.params[0], unigram.nobs
    row = slm.functional(unigram, lambda q: np.log(q[0] / (1 - q[0]))).iloc[0]
    assert_allclose(row.std_error, 1 / np.sqrt(n * p * (1 - p)), rtol=1e-8)
    assert_allclose(row.conf_low, np.log(p / (1 - p)) - ndtri(0.975) * row.std_error)


def test_gradients_may_be_given_dense_sparse_or_as_a_function(fit):
    def g(p):
        return np.array([p[0] * p[1], np.exp(p[2])])

    def gradient(p):
        rows = np.zeros((2, 6))
        rows[0, :2] = p[1], p[0]
        rows[1, 2] = np.exp(p[2])
        return rows

    expected = slm.functional(fit, g)
    for given in (gradient(fit.params), sparse.csr_array(gradient(fit.params)), gradient):
        assert_allclose(slm.functional(fit, g, gradient=given), expected, rtol=1e-7)


def test_differences_are_good_to_seven_digits_on_any_scale():
    for scale in (1e-4, 1.0, 1e4):
        found = jacobian(lambda p, s=scale: np.array([np.sin(p[0] / s), p[1] ** 3 / s**2]), np.array([scale, 2 * scale]))
        assert_allclose(found * scale, [[np.cos(1), 0], [0, 12 * scale]], rtol=1e-6)


def test_the_estimate_is_left_as_it_was(fit):
    before = fit.params.copy()

    def careless(p):
        p[:] = 0
        return p[0]

    slm.functional(fit, careless)
    assert_allclose(fit.params, before)


def test_functions_that_are_not_finite_are_refused(fit):
    with np.errstate(all="ignore"), pytest.raises(NoEstimate, match=r"1 of 2 values that are not finite"):
        slm.functional(fit, lambda p: np.array([p[0], np.log(-np.abs(p[0]))]))


def test_a_gradient_of_another_shape_is_refused(fit):
    with pytest.raises(SpecificationError, match=r"gradient has shape \(1, 5\), but g has 1 values and the model 6"):
        slm.functional(fit, lambda p: p[0], gradient=np.ones(5))


def test_many_parameters_need_a_gradient():
    with pytest.raises(
        SpecificationError, match=r"over 20,001 parameters would call the function 40,002 times.*Give gradient="
    ):
        jacobian(lambda p: p[0], np.zeros(20_001))
