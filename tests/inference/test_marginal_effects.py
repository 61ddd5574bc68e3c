"""Average marginal effects: brute force, statsmodels, closed forms, and what a table of counts cannot say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import ndtri
from scipy.stats import t
from statsmodels.discrete.discrete_model import MNLogit

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(4)
    documents = []
    for _ in range(15):
        row = [int(rng.integers(3))]
        for _ in range(60):
            odds = np.exp(0.8 * np.eye(3)[row[-1]] + 0.4 * np.eye(3)[row[-2 if len(row) > 1 else -1]])
            row.append(int(rng.choice(3, p=odds / odds.sum())))
        documents.append(["abc"[i] for i in row])
    return slm.Corpus.from_tokens(documents, eos=True)


@pytest.fixture(scope="module")
def fit(corpus):
    return slm.SoftmaxRegression(lags=2).fit(corpus)


def brute(model, lag, token, reference):
    """(V,) the definition, observation by observation."""
    corpus = model.corpus
    contexts = corpus.contexts(2).astype(int)
    contexts = contexts[contexts[:, -lag] < corpus.vocabulary.size]
    swapped = []
    for i in (token, reference):
        there = contexts.copy()
        there[:, -lag] = i
        swapped.append(np.exp(model.logprobs(there)).mean(axis=0))
    return swapped[0] - swapped[1]


@pytest.mark.parametrize("cov", ["nonrobust", "HC0", "cluster"])
@pytest.mark.parametrize("lag", [1, 2])
def test_effects_and_errors_are_those_of_brute_force(corpus, fit, lag, cov):
    table = slm.marginal_effects(fit, lag, tokens=["b", "c"], reference="a", cov=cov)
    assert table.columns.tolist() == [
        *("lag", "token", "reference", "response", "effect", "std_error", "conf_low", "conf_high", "p_value")
    ]
    assert table.token.tolist() == ["b"] * 4 + ["c"] * 4
    assert table.response.tolist() == ["a", "b", "c", "<eos>"] * 2
    for token, rows in table.groupby("token"):
        wanted = "abc".index(token)
        expected = slm.functional(fit, lambda p, w=wanted: brute(fit.at(p), lag, w, 0), cov=cov)
        assert_allclose(rows.effect, expected.estimate, atol=1e-12)
        assert_allclose(rows.std_error, expected.std_error, rtol=1e-6)
        assert_allclose(rows[["conf_low", "conf_high"]], expected[["conf_low", "conf_high"]], rtol=1e-6, atol=1e-8)


def test_p_values_are_those_of_the_reference_distribution(fit):
    for cov, tail in (("HC0", lambda z: t.sf(z, np.inf)), ("cluster", lambda z: t.sf(z, 14))):
        table = slm.marginal_effects(fit, 1, cov=cov)
        assert_allclose(table.p_value, 2 * tail(np.abs(table.effect / table.std_error)), rtol=1e-9)


def test_effects_of_a_token_sum_to_zero_and_swap_with_the_reference(fit):
    table = slm.marginal_effects(fit, 2, reference="a")
    assert_allclose(table.groupby("token").effect.sum(), 0, atol=1e-12)
    there = slm.marginal_effects(fit, 2, tokens="b", reference="a")
    back = slm.marginal_effects(fit, 2, tokens="a", reference="b")
    assert_allclose(there.effect, -back.effect, atol=1e-14)
    assert_allclose(there.std_error, back.std_error)


def test_the_reference_class_of_the_regression_does_not_matter(corpus, fit):
    other = slm.SoftmaxRegression(lags=2, reference="a").fit(corpus)
    assert other.likelihood.reference != fit.likelihood.reference
    numbers = ["effect", "std_error"]
    assert_allclose(slm.marginal_effects(fit, 1)[numbers], slm.marginal_effects(other, 1)[numbers], rtol=1e-6, atol=1e-10)


def test_statsmodels_agrees_where_each_lag_has_two_levels():
    # With two levels a dummy variable is the whole lag, and "overall" discrete changes are these averages.
    rng = np.random.default_rng(9)
    before = rng.integers(2, size=(800, 2))
    odds = np.exp(np.column_stack([np.zeros(800), 0.7 * before[:, 0] - 0.2, 0.5 * before[:, 1] - 0.6 * before[:, 0]]))
    after = (odds.cumsum(axis=1) < (rng.random(800) * odds.sum(axis=1))[:, None]).sum(axis=1)
    documents = [["ab"[old], "ab"[new], "xyz"[y]] for (old, new), y in zip(before, after, strict=True)]
    corpus = slm.Corpus.from_tokens(documents, given=2, eos=False)
    fit = slm.SoftmaxRegression(lags=2).fit(corpus)
    exog = np.column_stack([np.ones(800), before[:, 1], before[:, 0]]).astype(float)
    margins = MNLogit(after, exog).fit(disp=False, method="newton", tol=1e-12).get_margeff(at="overall", dummy=True)
    for lag in (1, 2):
        table = slm.marginal_effects(fit, lag, tokens="b", reference="a")
        assert table.response.tolist() == ["x", "y", "z"]
        assert_allclose(table.effect, margins.margeff[lag - 1], rtol=1e-7)
        assert_allclose(table.std_error, margins.margeff_se[lag - 1], rtol=1e-6)
        assert_allclose(table.p_value, margins.pvalues[lag - 1], rtol=1e-5)


def test_of_a_bigram_it_is_the_difference_of_two_shares(corpus):
    short = corpus.with_given(1)
    counts = np.zeros((3, 4))
    np.add.at(counts, (short.contexts(1)[:, 0], short.targets), 1)
    table = slm.marginal_effects(slm.NGram(2).fit(short), 1, tokens="b", reference="a", level=0.9)
    shares = counts / counts.sum(axis=1, keepdims=True)
    variance = shares * (1 - shares) / counts.sum(axis=1, keepdims=True)
    assert_allclose(table.effect, shares[1] - shares[0])
    assert_allclose(table.std_error, np.sqrt(variance[0] + variance[1]))
    assert_allclose(table.conf_high - table.effect, ndtri(0.95) * table.std_error)


def test_responses_and_default_reference(corpus, fit):
    table = slm.marginal_effects(fit, 1, responses=["c", "a"])
    assert table.response.tolist() == ["c", "a"] * 2
    before = corpus.contexts(1)[:, 0]
    assert set(table.reference) == {"abc"[np.bincount(before[before < 3]).argmax()]}
    assert len(slm.marginal_effects(fit, 1, tokens="a", reference="b", responses="<eos>")) == 1


def test_batches_of_contexts_and_of_solves_give_the_whole(fit, monkeypatch):
    from statlm.inference import marginal_effects as module

    whole = slm.marginal_effects(fit, 2)
    monkeypatch.setattr(module, "CELLS", 5)
    monkeypatch.setattr(module, "GRADIENTS", 1)
    assert_allclose(slm.marginal_effects(fit, 2)[["effect", "std_error"]], whole[["effect", "std_error"]], rtol=1e-9)


def test_impossible_responses_add_no_uncertainty():
    corpus = slm.Corpus.from_tokens([list("abacbcabcaabbacbac" * 20)], given=1)
    holes = slm.SoftmaxRegression(lags=1).fit(corpus)
    bigram = slm.NGram(2).fit(corpus)
    a, b = (slm.marginal_effects(m, 1, tokens="c", reference="a") for m in (holes, bigram))
    assert_allclose(a.effect, b.effect, atol=1e-8)
    assert_allclose(a.std_error, b.std_error, rtol=1e-5, atol=1e-10)


def test_contexts_that_an_ngram_never_saw_are_refused():
    corpus = slm.Corpus.from_tokens([list("aabab" * 5 + "cabab")], given=2)
    with pytest.raises(NoEstimate, match=r"With 'c' at lag 1, \d of \d contexts never occurred.*SoftmaxRegression"):
        slm.marginal_effects(slm.NGram(3).fit(corpus), 1, tokens="c")


def test_lags_beyond_the_memory_are_refused(fit):
    for lag in (0, 3):
        with pytest.raises(SpecificationError, match=rf"lag={lag}: .* the last 2 tokens only.*from 1 to 2"):
            slm.marginal_effects(fit, lag)


def test_models_without_end_are_refused(fit):
    class Endless(type(fit.likelihood)):
        memory = None

    endless = Endless(**{name: getattr(fit.likelihood, name) for name in fit.likelihood.__dataclass_fields__})
    with pytest.raises(SpecificationError, match=r"looks back without end"):
        slm.marginal_effects(endless, 1)


def test_tokens_that_never_occur_there_are_refused(fit):
    with pytest.raises(NoEstimate, match=r"token 'z' never occurs at lag 1"):
        slm.marginal_effects(fit, 1, tokens=["a", "z"])
    with pytest.raises(NoEstimate, match=r"token '<eos>' never occurs at lag 2"):
        slm.marginal_effects(fit, 2, reference="<eos>")
    with pytest.raises(NoEstimate, match=r"token 'z' never occurs as an observation"):
        slm.marginal_effects(fit, 1, responses="z")
    with pytest.raises(NoEstimate, match=r"no token to swap 'a' for at lag 1"):
        slm.marginal_effects(fit, 1, tokens="a", reference="a")


def test_documents_too_short_for_the_lag_are_refused():
    corpus = slm.Corpus.from_tokens([["a"], ["b"], ["b"], ["a"]] * 5, eos=False)
    with pytest.raises(NoEstimate, match=r"No observation has a token at lag 1"):
        slm.marginal_effects(slm.SoftmaxRegression(lags=1).fit(corpus), 1)
