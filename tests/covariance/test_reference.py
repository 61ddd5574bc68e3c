"""Clustered in one and two ways, jackknife and bootstrap, against R and statsmodels; see tests/reference/covariance."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.covariance import refits
from statlm.errors import FewClustersWarning

HERE = Path(__file__).parents[1] / "reference" / "covariance"


def corpus_of(observations, merged=False):
    """The documents, each with the token before its first observation as given."""
    if merged:
        observations = observations.assign(
            **{c: observations[c].where(observations[c] == "a", "o") for c in ("lag1", "token")}
        )
    groups = [rows for _, rows in observations.groupby("document", sort=False)]
    covariates = pd.DataFrame({c: [rows[c].iloc[0] for rows in groups] for c in ("author", "year")})
    sequences = [[rows["lag1"].iloc[0], *rows["token"]] for rows in groups]
    return slm.Corpus.from_tokens(sequences, eos=False, given=1, covariates=covariates)


@pytest.fixture(scope="module")
def observations():
    return pd.read_csv(HERE / "observations.csv", dtype=str)


@pytest.fixture(scope="module")
def reference():
    return pd.read_csv(HERE / "r.csv").set_index(["response", "term"])


@pytest.fixture(scope="module")
def fit(observations):
    return slm.SoftmaxRegression(lags=1, reference="a").fit(corpus_of(observations))


def roots(fit, cov):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)
        return pd.Series(fit.std_errors(cov=cov), index=fit.param_names)


def aligned(fit, reference, column):
    return reference[column].reindex(fit.param_names).to_numpy()


def test_the_estimates_are_those_of_r(fit, reference):
    assert len(fit.params) == len(reference)
    assert_allclose(fit.params, aligned(fit, reference, "estimate"), atol=1e-6)


@pytest.mark.parametrize(
    ("column", "cov"),
    [
        ("document", "cluster"),
        ("author", slm.Clustered(by="author")),
        ("nested", slm.TwoWayClustered("author", "document")),
        ("jackknife", "jackknife"),
    ],
)
def test_standard_errors_are_those_of_r(fit, reference, column, cov):
    assert_allclose(roots(fit, cov), aligned(fit, reference, column), rtol=2e-5)


def test_two_way_errors_are_those_of_r_where_it_has_them(fit, reference):
    expected = aligned(fit, reference, "two_way")
    found = roots(fit, slm.TwoWayClustered("author", "year")).to_numpy()
    assert np.isnan(expected).sum() == 1
    assert_allclose(found[~np.isnan(expected)], expected[~np.isnan(expected)], rtol=2e-5)
    assert (found > 0).all()


def test_bootstrap_errors_are_those_of_r_for_the_same_draws(fit, reference, observations):
    draws = pd.read_csv(HERE / "draws.csv").to_numpy()
    made = refits.replicates("these draws", fit.likelihood, fit.specification, [Taken(tuple(row)) for row in draws])
    g = fit.corpus.ndocuments
    found = np.sqrt(refits.spreads(made, fit.params, None, g / (g - 1) * len(draws) / (len(draws) - 1)))
    assert_allclose(found, aligned(fit, reference, "bootstrap"), rtol=2e-5)


class Taken:
    """A draw of documents that is known."""

    def __init__(self, documents):
        self.documents = documents

    def __call__(self, corpus):
        return corpus.subset(self.documents)


def test_two_way_errors_are_those_of_statsmodels(observations):
    found = json.loads((HERE / "statsmodels.json").read_text())
    fit = slm.SoftmaxRegression(lags=1, reference="o").fit(corpus_of(observations, merged=True))
    assert [term for _, term in fit.param_names] == found["terms"]
    assert_allclose(fit.params, found["params"], atol=1e-8)
    assert_allclose(roots(fit, slm.TwoWayClustered("author", "year")), found["two_way"], rtol=1e-7)
