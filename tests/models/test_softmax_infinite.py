"""Infinite coefficients: which they are, their limits by Geyer and by the profile, reference levels that avoid them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

import statlm as slm
from statlm.errors import NoEstimate

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]


def triples(*rows):
    """Documents of two given letters and one observed: (lag 2, lag 1, token)."""
    return slm.Corpus.from_tokens([list(row) for row in rows], given=2, eos=False)


@pytest.fixture(scope="module")
def separated():
    """Three letters; c never follows lag1 = b, everything else happens."""
    rng = np.random.default_rng(4)
    rows = ["".join(rng.choice(list("abc"), 3, p=[0.5, 0.3, 0.2])) for _ in range(400)]
    return triples(*(row for row in rows if row[1:] != "bc"))


@pytest.fixture(scope="module")
def fit(separated):
    return slm.SoftmaxRegression(2, reference="a").fit(separated)


def test_one_empty_margin_makes_one_infinite_coefficient(fit):
    table = fit.tidy(infinite=True)
    assert len(table) == len(fit.params) + 1 == fit.dof
    row = table.iloc[-1]
    assert (row.response, row.term, row.estimate, row.conf_low) == ("c", "lag1[b]", -np.inf, -np.inf)
    assert np.isfinite(row.conf_high)
    assert np.isnan(row[["std_error", "statistic", "p_value"]].astype(float)).all()
    pd.testing.assert_frame_equal(table.iloc[:-1], fit.tidy())


def test_the_limit_is_where_never_seeing_the_token_has_the_error_asked_for(fit):
    limit = fit.tidy(infinite=True, level=0.9).conf_high.iloc[-1]
    corpus = fit.corpus
    contexts = corpus.contexts(2)[corpus.contexts(2)[:, 1] == 1]  # lag1 is b
    model = fit.likelihood
    eta = model.design.matrix(contexts[:, ::-1]).toarray() @ model.coefficients
    j = int(np.flatnonzero(model.responses == 2)[0])
    eta[:, j] += limit
    p = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    assert_allclose(np.prod(1 - p[:, j]), 0.1, rtol=1e-8)


def test_in_a_saturated_table_the_limit_is_that_of_a_proportion():
    corpus = slm.Corpus.from_tokens(
        [list("aab"), *[list("bb")] * 7, *[list("ba")] * 3, *[list("aa")] * 2, list("ac")], given=1, eos=False
    )
    fit = slm.SoftmaxRegression(1, reference="b").fit(corpus)
    row = fit.tidy(infinite=True).set_index(["response", "term"]).loc[("c", "lag1[b]")]
    upper = 1 - 0.05 ** (1 / 10)  # Clopper and Pearson's one-sided limit for 0 of 10
    table = fit.tidy().set_index(["response", "term"]).estimate
    odds = np.exp(table["c", "(Intercept)"] + row.conf_high)
    others = 1 + np.exp(table["a", "(Intercept)"] + table["a", "lag1[b]"])
    assert_allclose(odds / (odds + others), upper, rtol=1e-8)


def dense_profile(fit, value):
    """Largest log-likelihood with the coefficient of c at lag1[b] held, over all other coefficients, by a quasi-Newton method."""
    model, corpus = fit.likelihood, fit.corpus
    x = model.design.matrix(corpus.contexts(2)[:, ::-1]).toarray()
    y = (corpus.targets[:, None] == model.responses).astype(float)
    names = model.design.names(corpus.vocabulary)
    at = names.index("lag1[b]"), int(np.flatnonzero(model.responses == 2)[0])

    def minus(v):
        b = np.zeros((x.shape[1], 3))
        b[:, [j for j in range(3) if j != model.reference]] = v.reshape(-1, 2)
        b[at] = value
        eta = x @ b
        logp = eta - np.log(np.exp(eta).sum(axis=1, keepdims=True))
        gradient = x.T @ (np.exp(logp) - y)
        gradient[at] = 0.0
        return -(y * logp).sum(), gradient[:, [j for j in range(3) if j != model.reference]].ravel()

    return -minimize(minus, np.zeros(2 * x.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-9}).fun


def test_the_profile_interval_is_that_of_all_other_coefficients_maximised(fit):
    low, high = fit.profile_interval(("c", "lag1[b]"), level=0.95)
    assert low == -np.inf
    fall = chi2.ppf(0.95, 1) / 2
    by_hand = brentq(lambda v: fit.loglike - dense_profile(fit, v) - fall, high - 2, high + 2, xtol=1e-6)
    assert_allclose(high, by_hand, atol=1e-4)


def test_far_below_its_limit_the_profile_reaches_the_supremum(fit):
    assert_allclose(dense_profile(fit, -30.0), fit.loglike, atol=1e-5)


def test_where_nothing_bounds_a_coefficient_there_is_no_interval():
    # b follows neither level 1 of lag 1 nor level 1 of lag 2, and both only occur together.
    corpus = triples("aaa", "aab", "aab", "bba", "bba", "aaa", "bba")
    fit = slm.SoftmaxRegression(2, reference="a").fit(corpus)
    table = fit.tidy(infinite=True)
    infinite = table[np.isinf(table.estimate)]
    assert len(infinite)
    assert np.isinf(infinite.conf_high).all()
    with pytest.raises(NoEstimate, match="do not bound this coefficient on either side"):
        fit.profile_interval((infinite.response.iloc[0], infinite.term.iloc[0]))


def test_the_reference_level_is_one_that_every_class_follows():
    # a is the most frequent letter, and never follows itself; all letters follow b.
    corpus = slm.Corpus.from_tokens([list("abacabbabcabcbababacab")], given=1, eos=False)
    fit = slm.SoftmaxRegression(1).fit(corpus)
    levels = fit.likelihood.design.levels[0]
    assert corpus.vocabulary.tokens[levels[0]] == "b"
    assert (fit.likelihood._infinite.sign[0] == 0).all()
    assert_allclose(fit.loglike, slm.NGram(2).fit(corpus).loglike, atol=1e-9)


def test_signs_count_with_the_parameters_to_all_coefficients():
    fit = slm.SoftmaxRegression(2).fit(slm.Corpus.from_texts(TEXTS))
    table = fit.tidy(infinite=True)
    finite = np.isfinite(table.estimate)
    assert finite.sum() == len(fit.params)
    assert not table[["response", "term"]].duplicated().any()
    assert (table[~finite].conf_low == -np.inf).all()
    assert "tidy(infinite=True) lists the others" in " ".join(fit.likelihood.notes())


def test_coefficients_that_go_together_are_noted():
    # The reference response a never follows b: all other coefficients at b are infinite, and their differences finite.
    corpus = slm.Corpus.from_tokens(
        [list("bc") * 3, list("bb") * 2, list("ab"), list("ac"), *[list("aa")] * 5], given=1, eos=False
    )
    fit = slm.SoftmaxRegression(1, reference="a").fit(corpus)
    assert "belong to coefficients that go to infinity together" in " ".join(fit.likelihood.notes())
    together = fit.likelihood._infinite.ncontrasts
    assert 0 < together < len(fit.params)


def test_without_separation_nothing_is_added():
    corpus = slm.Corpus.from_tokens([list("aabbabab")], given=1, eos=False)
    fit = slm.SoftmaxRegression(1).fit(corpus)
    pd.testing.assert_frame_equal(fit.tidy(infinite=True), fit.tidy())
    ngram = slm.NGram(2).fit(corpus)
    pd.testing.assert_frame_equal(ngram.tidy(infinite=True), ngram.tidy())


def test_complete_separation_has_rows_and_no_parameters():
    fit = slm.SoftmaxRegression(1).fit(slm.Corpus.from_tokens([list("abab" * 10)], given=1, eos=False))
    table = fit.tidy(infinite=True, hauck_donner=True)
    assert np.isinf(table.estimate).all()
    assert list(table.columns) == list(fit.tidy(hauck_donner=True).columns)
