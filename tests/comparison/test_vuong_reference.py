"""Vuong's test against R's pscl, its models fitted anew by multinom; see tests/reference/comparison."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

import statlm as slm

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def pair():
    tokens = pd.read_csv(REFERENCE / "covariance" / "observations.csv", dtype=str)["token"]
    corpus = slm.Corpus.from_tokens([list(tokens)], eos=False, given=3)
    return slm.NGram(3).fit(corpus), slm.SoftmaxRegression(lags=3).fit(corpus)


@pytest.mark.parametrize("correction", [None, "aic", "bic"])
def test_the_statistics_are_those_of_pscl(pair, correction):
    row = pd.read_csv(REFERENCE / "comparison" / "vuong.csv").set_index("correction").loc[correction or "none"]
    test = slm.vuong_test(*pair, correction=correction)
    assert test.nobs == row.nobs
    assert test.dof == (row.dof_one, row.dof_other)
    assert_allclose([fit.loglike for fit in pair], [row.loglike_one, row.loglike_other], rtol=1e-9)
    n = test.nobs
    expected = row.statistic * np.sqrt(n / (n - 1))  # pscl divides the squares by n - 1, Vuong by n
    assert_allclose(test.statistic, expected, rtol=1e-6)
    assert_allclose(test.p_value, 2 * norm.sf(abs(expected)), rtol=1e-5)  # pscl's is one-sided
