"""HAC errors and the automatic bandwidth against R's sandwich and statsmodels; see tests/reference/covariance."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from statsmodels.stats.sandwich_covariance import cov_cluster, cov_hac, cov_nw_panel, cov_white_simple

import statlm as slm
from statlm.covariance.hac import newey_west_lags

HERE = Path(__file__).parents[1] / "reference" / "covariance"


@pytest.fixture(scope="module")
def observations():
    return pd.read_csv(HERE / "observations.csv", dtype=str)


@pytest.fixture(scope="module")
def corpora(observations):
    groups = [[rows["lag1"].iloc[0], *rows["token"]] for _, rows in observations.groupby("document", sort=False)]
    return {
        "documents": slm.Corpus.from_tokens(groups, eos=False, given=1),
        "whole": slm.Corpus.from_tokens([list(observations["token"])], eos=False, given=1),
    }


@pytest.fixture(scope="module")
def fits(corpora):
    return {text: slm.SoftmaxRegression(lags=1, reference="a").fit(corpus) for text, corpus in corpora.items()}


@pytest.mark.parametrize("lags", [0, 1, 4, 12])
@pytest.mark.parametrize("text", ["whole", "documents"])
def test_errors_are_those_of_newey_and_west_in_r(fits, text, lags):
    """Of one text, and of documents whose lags stay within each."""
    table = pd.read_csv(HERE / "hac.csv")
    table = table[(table.text == text) & (table.lags == lags)].set_index(["response", "term"])
    fit = fits[text]
    assert len(table) == len(fit.params)
    table = table.reindex(fit.param_names)
    assert_allclose(fit.params, table.estimate, atol=1e-6)
    # multinom stops by the change of the deviance, which is flat at the optimum
    assert_allclose(fit.std_errors(slm.HAC(lags=lags)), table.std_error, rtol=2e-5)
    if lags == 0:
        assert_allclose(fit.std_errors("HC0"), table.std_error, rtol=2e-5)


def test_the_automatic_bandwidth_of_a_series_is_that_of_r(observations):
    for row in pd.read_csv(HERE / "bandwidth.csv").itertuples():
        x = (observations["token"].to_numpy()[: row.nobs] == row.token).astype(float)
        x -= x.mean()
        assert newey_west_lags(x, np.array([0, row.nobs])) == int(row.bandwidth)
        corpus = slm.Corpus.from_tokens([list(observations["token"])[: row.nobs]], eos=False)
        found = np.sqrt(slm.covariance.variance_of_sum(x, corpus, slm.HAC())) / row.nobs
        assert_allclose(found, row.std_error, rtol=1e-10)


def as_statsmodels_takes_them(fit):
    """Scores, and the inverse of the information."""
    return fit.score().toarray(), fit.vcov("nonrobust")


@pytest.mark.parametrize("model", [slm.NGram(2), slm.SoftmaxRegression(lags=1)], ids=["n-gram", "softmax"])
def test_covariances_are_those_of_statsmodels_on_the_same_scores(corpora, model):
    """Whole matrices, of documents and of one text."""
    corpus, whole = corpora["documents"], corpora["whole"]
    fit, alone = model.fit(corpus), model.fit(whole)
    theirs = as_statsmodels_takes_them(fit)
    g, groups = corpus.ndocuments, corpus.document_index
    bounds = np.flatnonzero(np.diff(groups, prepend=-1, append=g))
    panel = list(pairwise(bounds))
    close = {"rtol": 1e-8, "atol": 1e-13}
    assert_allclose(fit.vcov("HC0"), cov_white_simple(theirs, use_correction=False), **close)
    assert_allclose(fit.vcov("cluster"), cov_cluster(theirs, groups, use_correction=False) * g / (g - 1), **close)
    for lags in (1, 4, 12):
        in_documents = cov_nw_panel(theirs, lags, panel, use_correction=False)
        assert_allclose(fit.vcov(slm.HAC(lags=lags)), in_documents, **close)
        along = cov_hac(as_statsmodels_takes_them(alone), nlags=lags, use_correction=False)
        assert_allclose(alone.vcov(slm.HAC(lags=lags)), along, **close)
