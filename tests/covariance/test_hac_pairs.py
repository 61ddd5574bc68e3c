"""HAC errors of all coefficients from counts of pairs of scores: the same as from moving sums."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.covariance import hac


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(6)
    documents = [list(rng.choice(list("abc"), n)) for n in (3, 40, 1, 200, 7)]
    return slm.SoftmaxRegression(2).fit(slm.Corpus.from_tokens(documents, eos=True))


@pytest.mark.parametrize("pairs", [1 << 23, 50], ids=["at once", "in blocks"])
@pytest.mark.parametrize("lags", [0, 1, 5, 300])
def test_pairs_and_moving_sums_agree(fit, lags, pairs, monkeypatch):
    monkeypatch.setattr(hac, "PAIRS", pairs)
    sums = slm.HAC(lags=lags).factor(fit.score(), fit.corpus)
    by_sums = sums @ np.eye(len(fit.params))
    assert_allclose(sums.crossproduct(), by_sums.T @ by_sums, atol=1e-9)
    assert_allclose(fit.std_errors(slm.HAC(lags=lags)), np.sqrt(np.diag(fit.vcov(slm.HAC(lags=lags)))), rtol=1e-9)


def test_with_no_lags_they_are_those_of_independent_observations(fit):
    assert_allclose(fit.std_errors(slm.HAC(lags=0)), fit.std_errors("HC0"), rtol=1e-10)


def test_too_many_distinct_rows_are_left_to_moving_sums(fit, monkeypatch):
    expected = fit.std_errors("HAC")
    monkeypatch.setattr(hac, "MAX_DISTINCT", 3)
    assert slm.HAC().factor(fit.score(), fit.corpus).crossproduct() is None
    assert_allclose(fit.std_errors("HAC"), expected, rtol=1e-9)
