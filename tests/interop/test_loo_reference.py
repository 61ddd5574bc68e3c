"""Leaving documents out by ArviZ, and our Pareto smoothing, against R's loo on the same draws; see tests/reference/comparison."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import SpecificationError
from statlm.numerics.pareto_tail import pareto_smoothed

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def expected():
    return pd.read_csv(REFERENCE / "comparison" / "loo.csv")


class Known:
    """The reference's draws: probabilities of a, b, c after a, after b, after c."""

    def __init__(self, params, draws):
        self.params, self.cells = params, np.log(draws)

    def pairs(self, corpus):
        return self.cells, 3 * corpus.contexts(1)[:, 0] + corpus.targets


@pytest.fixture(scope="module")
def drawn():
    """The exact posterior of a bigram, with the reference's draws in place of its own."""
    rows = pd.read_csv(REFERENCE / "covariance" / "observations.csv", dtype=str)
    texts = [[d["lag1"].iloc[0], *d["token"]] for _, d in rows.groupby("document", sort=False)]
    vocabulary = slm.Vocabulary(tuple("abc"), with_eos=False)
    corpus = slm.Corpus.from_tokens(
        [["abc".index(token) for token in text] for text in texts], vocabulary=vocabulary, given=1
    )
    draws = pd.read_csv(REFERENCE / "comparison" / "draws.csv").to_numpy()
    own = slm.posterior(slm.NGram(2, pseudo_count=0.5).fit(corpus), draws=len(draws), seed=1)
    return replace(own, source=Known(own.source.params, draws))


def test_leaving_documents_out_is_that_of_r(drawn, expected):
    try:
        az = slm.interop.arviz.library()
    except SpecificationError:
        pytest.skip("arviz is not installed")
    old = az.__version__.startswith("0.")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Estimated shape parameter")
        loo = az.loo(slm.interop.arviz.to_arviz(drawn), pointwise=True, reff=1.0)
    assert_allclose(np.asarray(loo.loo_i if old else loo.elpd_i), expected.elpd, rtol=1e-8)
    assert_allclose(np.asarray(loo.pareto_k), expected.pareto_k, rtol=1e-6)
    assert_allclose(float(loo.elpd_loo if old else loo.elpd), expected.total[0], rtol=1e-10)
    n = len(expected)
    assert_allclose(float(loo.se), expected.total_error[0] * np.sqrt((n - 1) / n), rtol=1e-8)  # R divides by n - 1


def test_pareto_smoothing_is_that_of_r(drawn, expected):
    terms = drawn.loglike(by="document")
    for ratios, row in zip(-terms.T, expected.itertuples(), strict=True):
        smoothed, k = pareto_smoothed(ratios)
        assert_allclose(k, row.pareto_k, rtol=1e-6)
        assert_allclose(np.exp(smoothed.max()), row.largest_weight, rtol=1e-8)
