"""What refits to resampled documents say spreads as clustered errors claim, and warm starts are for modes only."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm

PLAIN = {"norm": "none", "embedding_norm": False, "query_key_norm": False, "lags": 1}
CHAIN = np.array([[0.6, 0.3, 0.1], [0.1, 0.6, 0.3], [0.4, 0.1, 0.5]])
TEXTS = ["abracadabra", "barbara", "acab", "badcard", "crab", "drab", "cabaca", "abba"] * 3


@pytest.fixture(scope="module")
def fit():
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    documents = []
    for _ in range(60):
        states = [int(rng.integers(3))]
        for _ in range(15):
            states.append(int(rng.choice(3, p=CHAIN[states[-1]])))
        documents.append("".join("abc"[s] for s in states))
    decoder = slm.TransformerDecoder(
        layers=0, heads=1, width=4, context=18, precision="float64", optimizer="lbfgs", weight_decay=1.0, steps=500, **PLAIN
    )
    found = decoder.fit(slm.Corpus.from_texts(documents, eos=False))
    assert found.report.converged
    return found


def test_warm_refits_of_a_network_spread_as_the_clustered_error_says(fit):
    quantities = [slm.Probability("ab", "b"), slm.LogOdds("bc", "a")]
    table = slm.refit_bootstrap(fit, quantities, replicates=40)
    expected = slm.damped(fit, 1.0, curvature="hessian").functional(quantities, cov="cluster")
    assert_allclose(table.estimate, expected.estimate)
    assert_allclose(table.std_error, expected.std_error, rtol=0.35)  # three Monte-Carlo errors of 40 refits
    assert (table.refits == 40).all()


def test_warm_and_cold_refits_reach_one_mode(fit):
    quantity = slm.LogOdds("ab", "b")
    warm, cold = (slm.refit_bootstrap(fit, quantity, replicates=20, warm=w).std_error.iloc[0] for w in (True, False))
    assert_allclose(warm, cold, rtol=0.2)  # the likelihood of a network has several modes


def test_of_an_ngram_it_is_the_bootstrap_of_its_parameters():
    corpus = slm.Corpus.from_texts(TEXTS, eos=False)
    ngram = slm.NGram(1).fit(corpus)
    found = slm.refit_bootstrap(ngram, slm.LogOdds("", "a"), replicates=99).std_error.iloc[0]
    by_parameters = ngram.functional(slm.LogOdds("", "a"), cov=slm.DocumentBootstrap(replicates=99)).std_error.iloc[0]
    assert_allclose(found, by_parameters, rtol=0.05)


def test_a_descent_that_stopped_early_gets_no_warm_start():
    pytest.importorskip("torch")
    corpus = slm.Corpus.from_texts(TEXTS)
    early = slm.TransformerDecoder(layers=0, heads=1, width=4, context=16, steps=3, batch=64).fit(corpus)
    with pytest.raises(slm.errors.SpecificationError, match="spread too little"):
        slm.refit_bootstrap(early, slm.LogOdds("ab", "r"), warm=True)
    table = slm.refit_bootstrap(early, slm.LogOdds("ab", "r"), replicates=20)  # anew, from the seed
    assert np.isfinite(table.std_error).all()


def test_the_bootstrap_of_parameters_is_refused_for_networks(fit):
    with pytest.raises(slm.errors.SpecificationError, match=r"refit_bootstrap\(fit, functionals\)"):
        fit.functional(slm.LogOdds("ab", "b"), cov="bootstrap")


def test_what_cannot_be_bootstrapped_is_refused(fit):
    with pytest.raises(slm.errors.SpecificationError, match="too few"):
        slm.refit_bootstrap(fit, slm.LogOdds("ab", "b"), replicates=5)
    with pytest.raises(slm.errors.SpecificationError, match="is no functional"):
        slm.refit_bootstrap(fit, "ab")
    rare = slm.NGram(2).fit(slm.Corpus.from_texts(["ab", "ac", "ad", "aa", "aa", "aa", "aa", "aa"], eos=False))
    with pytest.raises(slm.errors.NoEstimate, match="have no value"):
        slm.refit_bootstrap(rare, [slm.LogOdds("a", token) for token in "bcd"], replicates=40)


def test_refits_without_a_value_or_short_of_a_mode_are_counted(fit, monkeypatch):
    rare = slm.NGram(2).fit(slm.Corpus.from_texts(["ab", "ab", "aa", "aa", "aa", "aa", "aa", "ba"], eos=False))
    with pytest.warns(slm.errors.StatlmWarning, match=r"Of 40 refits \d+ have no value"):
        slm.refit_bootstrap(rare, slm.LogOdds("a", "b"), replicates=40)
    monkeypatch.setattr("statlm.inference.refit_bootstrap.STEPS", 1)
    with pytest.warns(slm.errors.StatlmWarning, match="ended before their mode"):
        slm.refit_bootstrap(fit, slm.LogOdds("ab", "b"), replicates=20)
