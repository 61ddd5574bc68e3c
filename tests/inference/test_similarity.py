"""Cosines, distances, singular values and places of embeddings: gradients, invariance, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NoEstimate, SmallCountsWarning, SpecificationError
from statlm.inference.delta import jacobian
from statlm.inference.embeddings import Axes
from statlm.inference.similarity import cosine_gradients


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.full(5, 2.0), size=5)
    documents = []
    for _ in range(12):
        states = [int(rng.integers(5))]
        for _ in range(200):
            states.append(int(rng.choice(5, p=p[states[-1]])))
        documents.append("".join("abcde"[i] for i in states))
    return slm.Corpus.from_texts(documents, given=2, eos=False)


@pytest.fixture(scope="module", params=[(1, None), (2, None), (2, 2.0)], ids=["one lag", "two lags", "two lags, ridge"])
def fit(request, corpus):
    lags, strength = request.param
    return slm.SoftmaxRegression(lags, rank=2, penalty=strength and "ridge", strength=strength).fit(corpus)


@pytest.fixture(scope="module")
def line(corpus):
    return slm.SoftmaxRegression(1, rank=1).fit(corpus)


@pytest.mark.parametrize("side", ["context", "response"])
def test_gradients_of_cosines_agree_with_differences(fit, side):
    model, first, second = fit.likelihood, np.array([0, 1]), np.array([2, 4])
    for lag in range(1, model.nlags + 1):
        found = model.side(side, lag)
        gradient = model.pulled_back(side, lag, *cosine_gradients(found, first, second)[1:])

        def cosines(params, lag=lag):
            return cosine_gradients(model.at(params).side(side, lag), first, second)[0]

        assert_allclose(gradient, jacobian(cosines, model.params), atol=1e-7 * max(1.0, np.abs(gradient).max()))


@pytest.mark.parametrize("cov", ["nonrobust", "HC0", "cluster"])
def test_errors_are_those_of_the_delta_method_whatever_the_covariance(fit, cov):
    model, matrix = fit.likelihood, fit.vcov(cov)

    def error(g):
        gradient = jacobian(g, model.params)
        return np.sqrt(np.diag(gradient @ matrix @ gradient.T))

    table = slm.embedding_distance(fit, "a", ["b", "c"], side="response", cov=cov)
    expected = error(lambda p: slm.embedding_distance(model.at(p), "a", ["b", "c"], side="response").distance)
    assert_allclose(table.std_error, expected, rtol=1e-5)
    assert_allclose(slm.singular_values(fit, cov).std_error, error(lambda p: Axes.of(model.at(p)).values), rtol=1e-5)


def test_cosines_and_distances_are_those_of_the_embeddings(fit):
    for side in ("context", "response"):
        vectors = fit.embeddings(side)
        a, b = vectors.loc["a"], vectors.loc["b"]
        row = slm.cosine_similarity(fit, "a", "b", side=side).iloc[0]
        assert_allclose(row.cosine, a @ b / np.sqrt((a @ a) * (b @ b)), rtol=1e-9)
        row = slm.embedding_distance(fit, "a", "b", side=side).iloc[0]
        assert_allclose(row.distance, np.linalg.norm(a - b), rtol=1e-9)


def test_embeddings_multiply_to_the_centred_log_odds(corpus):
    fit = slm.SoftmaxRegression(1, rank=2).fit(corpus)
    contexts, responses = fit.embeddings(), fit.embeddings("response")
    values = slm.singular_values(fit).singular_value.to_numpy()
    ids = np.array(corpus.vocabulary.ids_of(list(contexts.index)))
    logp = fit.likelihood.logprobs(ids[:, None])[:, corpus.vocabulary.ids_of(list(responses.index))]
    logp = logp - logp.mean(axis=1, keepdims=True)
    assert_allclose(contexts.to_numpy() / values @ responses.to_numpy().T, logp - logp.mean(axis=0), atol=1e-9)


def test_nothing_depends_on_the_axes_of_the_model(fit):
    from dataclasses import replace

    from statlm.numerics.low_rank_logit import Factors

    model = fit.likelihood
    turn = np.array([[2.0, 1.0], [-0.5, 1.5]])
    at = model.factors
    turned = replace(model, factors=Factors(at.intercepts, at.left @ turn, at.right @ np.linalg.inv(turn).T))
    assert_allclose(turned.loglike_obs(), model.loglike_obs(), atol=1e-12)
    for side in ("context", "response"):
        assert_allclose(slm.embeddings(turned, side), slm.embeddings(model, side), atol=1e-9)
        cosines = [cosine_gradients(m.side(side, 1), np.array([0]), np.array([1]))[0] for m in (turned, model)]
        assert_allclose(cosines[0], cosines[1], rtol=1e-10)


def test_intervals_of_cosines_stay_inside_their_range_and_hold_the_estimate(fit):
    table = slm.most_similar(fit, "a", 4)
    assert len(table) == 4
    assert table.cosine.is_monotonic_decreasing
    assert ((table.conf_low < table.cosine) & (table.cosine < table.conf_high)).all()
    assert (table.conf_low > -1).all()
    assert (table.conf_high < 1).all()
    wide = slm.most_similar(fit, "a", 4, level=0.99)
    assert (wide.conf_low < table.conf_low).all()


def test_similarity_is_symmetric(fit):
    one, other = slm.cosine_similarity(fit, "a", "b").iloc[0], slm.cosine_similarity(fit, "b", "a").iloc[0]
    assert_allclose(one[["cosine", "std_error"]].astype(float), other[["cosine", "std_error"]].astype(float), rtol=1e-9)


def test_places_in_the_plane_are_the_first_two_coordinates(fit):
    for side in ("context", "response"):
        table = slm.embedding_plane(fit, ["c", "a"], side=side)
        assert_allclose(table[["x", "y"]], fit.embeddings(side).loc[["c", "a"]], atol=1e-9)
        assert (table[["x_error", "y_error"]] > 0).all(axis=None)
        assert (table.correlation.abs() < 1).all()


def test_on_a_line_there_are_distances_and_no_angles(line):
    with pytest.raises(NoEstimate, match="every cosine is 1 or -1 by construction"):
        slm.cosine_similarity(line, "a", "b")
    with pytest.raises(NoEstimate, match="every cosine is 1 or -1"):
        line.most_similar("a")
    assert slm.embedding_distance(line, "a", "b").conf_low[0] > 0


def test_rank_0_has_no_embeddings(corpus):
    with pytest.raises(NoEstimate, match="rank 0"):
        slm.SoftmaxRegression(1, rank=0).fit(corpus).embeddings()


def test_other_models_have_no_embeddings(corpus):
    with pytest.raises(SpecificationError, match="has no embeddings"):
        slm.NGram(2).fit(corpus).embeddings()


def test_tokens_sides_lags_and_dimensions_are_checked(fit):
    with pytest.raises(SpecificationError, match="'z' has no embedding"):
        slm.cosine_similarity(fit, "a", "z")
    with pytest.raises(SpecificationError, match="nor have 1 others"):
        slm.cosine_similarity(fit, "a", ["y", "z"])
    with pytest.raises(SpecificationError, match="compared with itself"):
        slm.embedding_distance(fit, "a", ["b", "a"])
    with pytest.raises(SpecificationError, match="3 tokens a and 2 tokens b"):
        slm.cosine_similarity(fit, ["a", "b", "c"], ["d", "e"])
    with pytest.raises(SpecificationError, match="side='left' is unknown"):
        fit.embeddings("left")
    with pytest.raises(SpecificationError, match="the model has lags 1 to"):
        fit.embeddings(lag=3)
    with pytest.raises(SpecificationError, match="at least one token"):
        fit.most_similar("a", 0)
    with pytest.raises(SpecificationError, match="a plane has two different dimensions"):
        slm.embedding_plane(fit, ["a"], dimensions=(1, 3))


def test_an_embedding_whose_length_is_open_is_warned_of():
    rng = np.random.default_rng(5)
    corpus = slm.Corpus.from_texts(["".join(rng.choice(list("abcde"), 150))], given=1, eos=False)  # no structure at all
    fit = slm.SoftmaxRegression(1, rank=2, penalty="ridge", strength=1.0).fit(corpus)
    with pytest.warns(SmallCountsWarning, match="length is known to no better than 50%"):
        slm.cosine_similarity(fit, list("abcd"), list("bcde"))


def test_tokens_confounded_with_others_have_no_embedding_without_a_penalty():
    # After a always b, so that b at lag 1 is a at lag 2.
    corpus = slm.Corpus.from_texts(["abcabdabcdabdcabcabddabccab" * 3, "abdcabcdab" * 3], given=2, eos=False)
    model = slm.SoftmaxRegression(2, rank=2, penalty="ridge", strength=1.0).fit(corpus).likelihood
    from dataclasses import replace

    with pytest.raises(NoEstimate, match="have no embedding of their own"):
        replace(model, strength=None, kept=model.kept & (np.arange(len(model.kept)) != 1)).side("context", 1)
