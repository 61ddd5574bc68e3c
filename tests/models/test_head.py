"""The last layer of a network, its features held fixed, is a softmax regression."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import log_softmax

import statlm as slm
from statlm.testing import check_likelihood

pytest.importorskip("torch")

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab", "drab", "cabaca", "abba"] * 4


@pytest.fixture(scope="module")
def fit():
    corpus = slm.Corpus.from_texts(TEXTS)
    return slm.TransformerDecoder(
        layers=1, heads=1, width=4, hidden=6, context=16, precision="float64", steps=60, batch=128
    ).fit(corpus)


def test_the_head_obeys_the_contract_with_the_second_derivative(fit):
    check_likelihood(slm.head(fit).likelihood)


def test_the_head_is_the_network_at_its_own_weights(fit):
    made = slm.head(fit)
    assert_allclose(made.loglike_obs(), fit.loglike_obs(), rtol=1e-10)
    test = slm.Corpus.from_texts(["drab", "cab"], vocabulary=fit.corpus.vocabulary)
    assert_allclose(made.on(test).loglike_obs(), fit.on(test).loglike_obs(), rtol=1e-10)


@pytest.mark.parametrize("cov", ["nonrobust", "HC0", "cluster"])
def test_its_errors_equal_dense_computation(fit, cov):
    """A multinomial logit written out: information and scores by Kronecker products, a row an observation."""
    made = slm.head(fit)
    features, weights = fit.likelihood.features_obs(), np.asarray(fit.likelihood.head_weights)
    targets = fit.corpus.targets.astype(int)
    p = np.exp(log_softmax(features @ weights.T, axis=1))
    reference = made.likelihood.reference
    keep = np.delete(np.arange(len(weights)), reference)
    information = sum(
        np.kron(np.diag(q) - np.outer(q, q), np.outer(h, h)) for q, h in zip(p[:, keep], features, strict=True)
    )
    score = np.stack(
        [np.kron((np.arange(len(weights)) == y)[keep] - q, h) for y, q, h in zip(targets, p[:, keep], features, strict=True)]
    )
    inverse = np.linalg.inv(information)
    g = fit.corpus.ndocuments
    sums = np.stack([score[fit.corpus.document_index == d].sum(axis=0) for d in range(g)])
    meat = {"nonrobust": information, "HC0": score.T @ score, "cluster": sums.T @ sums * g / (g - 1)}[cov]
    expected = np.sqrt(np.diag(inverse @ meat @ inverse))
    assert_allclose(made.std_errors(cov=cov), expected, rtol=1e-8)


def test_on_a_feature_for_each_previous_token_the_refitted_head_is_softmax_regression():
    """No blocks, as many features as contexts: the span is that of one lag, and so are probabilities and their errors."""
    rng = np.random.default_rng(5)
    corpus = slm.Corpus.from_texts(["".join(rng.choice(list("abc"), size=6)) for _ in range(60)], eos=False)
    decoder = slm.TransformerDecoder(
        layers=0, lags=0, heads=1, width=4, embedding_norm=False, context=16, precision="float64", steps=5, batch=128
    ).fit(corpus)
    made = slm.head(decoder, refit=True)
    softmax = slm.SoftmaxRegression(lags=1).fit(corpus)
    assert made.report.converged
    for cov in ("nonrobust", "HC0", "cluster"):
        for context, token in (("a", "b"), ("b", "b"), ("b", "a")):
            quantity = slm.LogOdds(context, token)
            assert_allclose(made.functional(quantity, cov=cov), softmax.functional(quantity, cov=cov), rtol=1e-6)


def test_its_criteria_are_not_given_and_it_says_why(fit):
    made = slm.head(fit)
    assert np.isnan(made.glance().aic.iloc[0])
    assert "features are taken as given" in str(made.summary())


def test_only_networks_have_a_head():
    with pytest.raises(slm.errors.SpecificationError, match="has no last layer"):
        slm.head(slm.NGram(1).fit(slm.Corpus.from_text("abba")))


def test_too_large_a_head_is_refused(fit, monkeypatch):
    monkeypatch.setattr("statlm.models.head.MAX_DENSE_INFORMATION", 3)
    with pytest.raises(slm.errors.SpecificationError, match=r"information of 24 coefficients would take"):
        slm.head(fit).std_errors()


def test_a_separated_head_has_no_maximum(fit):
    with pytest.raises(slm.errors.NoEstimate, match=r"no maximum within|singular"):
        slm.head(fit.on(slm.Corpus.from_texts(["ab", "cd"], vocabulary=fit.corpus.vocabulary)), refit=True)


def test_other_coefficients_need_their_number(fit):
    with pytest.raises(slm.errors.SpecificationError, match="has 24 coefficients"):
        slm.head(fit).at(np.zeros(3))


def test_tokens_without_a_logit_have_no_score(fit):
    other = slm.Corpus.from_texts(["zab"], vocabulary=fit.corpus.vocabulary)
    with pytest.raises(slm.errors.NoEstimate, match="no logit for"):
        slm.head(fit).likelihood.on(other).score()
