"""Softmax regression of low rank: its meeting points, its reference, its contract, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError
from statlm.models.softmax import reduced_rank
from statlm.numerics import low_rank_curvature
from statlm.numerics.linalg import factorise
from statlm.testing import check_likelihood

REFERENCE = Path(__file__).parents[1] / "reference" / "reduced_rank"
LETTERS = list("abcdef")


def of_table(counts):
    """A corpus of pairs, a document each, with these counts."""
    pairs = [[a, b] for a in counts.index for b in counts.columns for _ in range(counts.loc[a, b])]
    return slm.Corpus.from_tokens(pairs, given=1, eos=False)


@pytest.fixture(scope="module")
def table():
    return of_table(pd.read_csv(REFERENCE / "counts.csv", index_col=0))


@pytest.fixture(scope="module")
def text():
    """Twelve documents of a chain in which every pair of letters occurs."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(5, 3.0), size=5)
    documents = []
    for _ in range(12):
        states = [int(rng.integers(5))]
        for _ in range(150):
            states.append(int(rng.choice(5, p=p[states[-1]])))
        documents.append("".join("abcde"[i] for i in states))
    return slm.Corpus.from_texts(documents, given=2, eos=False)


def fitted(corpus, lags=1, rank=2, strength=None, **settings):
    penalty = None if strength is None else "ridge"
    return slm.SoftmaxRegression(lags, rank=rank, penalty=penalty, strength=strength, **settings).fit(corpus)


# --- meeting points -----------------------------------------------------------------------------------------------------


def test_rank_0_is_the_unigram(table):
    model, unigram = fitted(table, rank=0), slm.NGram(1).fit(table)
    assert abs(model.loglike - unigram.loglike) < 1e-9 * table.nobs
    assert model.dof == unigram.dof


@pytest.mark.parametrize("lags", [1, 2])
def test_full_rank_is_the_unrestricted_regression(text, lags):
    model, full = fitted(text, lags, rank=4), slm.SoftmaxRegression(lags).fit(text)
    assert abs(model.loglike - full.loglike) < 1e-9 * text.nobs
    assert model.dof == full.dof
    contexts = text.contexts(lags)[:40]
    assert_allclose(model.likelihood.logprobs(contexts), full.likelihood.logprobs(contexts), atol=1e-6)


def test_at_full_rank_errors_of_probabilities_are_those_of_the_unrestricted_regression(text):
    rows = [m.predict(["a"], interval=0.95) for m in (fitted(text, rank=4), slm.SoftmaxRegression(1).fit(text))]
    assert_allclose(rows[0].std_error, rows[1].std_error, rtol=1e-6)


def test_likelihood_and_degrees_of_freedom_rise_with_rank(table):
    fits = [fitted(table, rank=r) for r in range(6)]
    assert (np.diff([f.loglike for f in fits]) > 0).all()
    assert [f.dof for f in fits] == [5 + r * (5 + 5 - r) for r in range(6)]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_maxima_agree_with_rrvglm(table, rank):
    expected = json.loads((REFERENCE / "r.json").read_text())[str(rank)]
    model = fitted(table, rank=rank)
    assert abs(model.loglike - expected["loglike"]) < 1e-6
    coefficients = np.array(expected["coefficients"])
    predictors = coefficients[0] + np.concatenate([np.zeros((1, 5)), coefficients[1:]])  # a is the reference of both factors
    ids = np.array(table.vocabulary.ids_of(LETTERS))
    logp = model.likelihood.logprobs(ids[:, None])[:, ids]
    assert_allclose(logp[:, 1:] - logp[:, :1], predictors, atol=1e-7)  # rrvglm stops at eight digits


def test_the_fit_does_not_depend_on_the_reference_class(text):
    one, other = (fitted(text, 2, 2, 3.0, reference=r) for r in "ae")
    assert_allclose(one.loglike, other.loglike, rtol=1e-10)
    for side in ("context", "response"):
        assert_allclose(one.embeddings(side), other.embeddings(side), atol=1e-5)
        pairs = [m.most_similar("a", 4, side=side) for m in (one, other)]
        assert_allclose(pairs[0].cosine, pairs[1].cosine, atol=1e-5)
        assert_allclose(pairs[0].std_error, pairs[1].std_error, rtol=1e-4)


def test_the_penalty_is_the_nuclear_norm_of_the_centred_coefficients(text):
    # At the maximum of loglike - s * nuclear norm the score is s times the identity between the coefficients' singular vectors.
    strength = 4.0
    model = fitted(text, 1, 2, strength).likelihood
    table = model._softmax._table
    residual = table.counts - table.counts.sum(axis=1, keepdims=True) * np.exp(table.logp)
    level = np.asarray(table.design[:, 1:] @ np.arange(1.0, 5.0)).astype(int)  # 0 is the reference
    score = np.zeros((5, 5))
    np.add.at(score, level, residual)
    rows = np.concatenate([np.zeros((1, 2)), model.factors.left[1:]]) @ model.factors.right.T
    rows = rows - rows.mean(axis=0)
    u, _, vt = np.linalg.svd(rows - rows.mean(axis=1, keepdims=True))
    assert_allclose(u[:, :2].T @ score @ vt[:2].T, strength * np.eye(2), atol=1e-5 * strength)


# --- the contract -------------------------------------------------------------------------------------------------------

CASES = [(1, 0, None), (1, 1, None), (1, 2, None), (1, 3, 2.0), (2, 1, None), (2, 2, 2.0)]


@pytest.mark.parametrize(("lags", "rank", "strength"), CASES)
def test_the_likelihood_obeys_the_contract(text, lags, rank, strength):
    check_likelihood(fitted(text, lags, rank, strength))


@pytest.mark.parametrize(("lags", "rank", "strength"), CASES[1:])
def test_products_in_place_of_arrays_obey_the_contract_and_give_the_same_errors(monkeypatch, text, lags, rank, strength):
    model = fitted(text, lags, rank, strength)
    held = {cov: model.predict(["ab"], interval=0.95, cov=cov).std_error for cov in ("nonrobust", "HC0", "cluster")}
    monkeypatch.setattr(low_rank_curvature, "MAX_ARRAY", 0)
    monkeypatch.setattr(reduced_rank, "MAX_ENTRIES", 0)
    check_likelihood(model)
    for cov, errors in held.items():
        assert_allclose(model.predict(["ab"], interval=0.95, cov=cov).std_error, errors, rtol=1e-6)
    with pytest.raises(SpecificationError, match="as many solutions of a linear system"):
        model.std_errors()
    with pytest.raises(SpecificationError, match="a root of their covariance matrix"):
        factorise(model.information()).inverse_root(np.zeros((len(model.params), 1)))


def test_documents_that_begin_inside_the_memory_leave_redundant_columns_out():
    rng = np.random.default_rng(1)
    corpus = slm.Corpus.from_texts(["".join(rng.choice(list("abc"), 60)) for _ in range(40)], eos=False)
    model, full = fitted(corpus, 2, 2), slm.SoftmaxRegression(2).fit(corpus)
    assert len(model.params) == model.dof == full.dof  # <bos> at lag 1 is <pad> at lag 2
    assert abs(model.loglike - full.loglike) < 1e-9 * corpus.nobs
    check_likelihood(model)
    assert len(model.embeddings()) == 3


def test_a_saved_fit_is_read_again(tmp_path, text):
    for i, model in enumerate([fitted(text, 2, 1), fitted(text, 1, 2, 1.0)]):
        model.save(tmp_path / str(i))
        again = slm.load(tmp_path / str(i))
        assert again.loglike == model.loglike
        assert_allclose(again.std_errors(), model.std_errors(), rtol=1e-9)
        assert again.specification == model.specification
        assert str(again.summary()) == str(model.summary())


def test_another_fit_of_the_same_text_gives_the_same_parameters_whatever_its_references(text):
    one, other = (fitted(text, 2, 2, reference=r).likelihood for r in "ae")
    found = other.params_as(one)
    assert_allclose(found.values, one.params, atol=1e-6)
    assert found.open.shape[1] == 0


def test_bootstrap_errors_are_near_those_clustered_by_document(text):
    model = fitted(text, 1, 2)
    errors = [
        slm.embedding_distance(model, "a", "b", cov=cov).std_error[0]
        for cov in ("cluster", slm.DocumentBootstrap(100, seed=1))
    ]
    assert 0.5 < errors[1] / errors[0] < 2.0


# --- comparison and tests -----------------------------------------------------------------------------------------------


def test_the_rank_is_tested_against_the_unrestricted_regression(table):
    full = slm.SoftmaxRegression(1).fit(table)
    result = slm.lr_test(fitted(table, rank=2), full)
    assert result.dof == (5 - 2) ** 2
    assert slm.lr_test(fitted(table, rank=2), slm.NGram(2).fit(table), nested=True).dof == 9


def test_two_ranks_are_not_compared_by_chi_square(table):
    with pytest.raises(NoEstimate, match="is not chi-square"):
        slm.lr_test(fitted(table, rank=1), fitted(table, rank=2))


def test_compare_takes_ranks_in(table):
    ranked = slm.compare([fitted(table, rank=r) for r in range(4)])
    assert ranked.aic.is_monotonic_increasing
    assert ranked.model[0] == "softmax 1 lag, rank 3"


def test_a_penalised_fit_has_no_aic(text):
    with pytest.raises(NoEstimate, match="AIC rests on maximum likelihood"):
        fitted(text, 1, 2, 1.0).aic


def test_the_summary_says_what_the_parameters_are_and_what_has_no_error(text):
    said = str(fitted(text, 1, 2).summary())
    assert "Coefficients of rank 2: 4 intercepts and 2 x (4 + 4 - 2) = 12 degrees of freedom" in said
    assert "Entries of embeddings depend on a choice of axes" in " ".join(said.split())
    assert "p-value" not in said
    assert "Ridge on the embeddings" in str(fitted(text, 1, 2, 1.0).summary())


def test_dimensions_that_the_penalty_sets_to_zero_are_left_out(text):
    model = fitted(text, 1, 4, 40.0)
    assert model.likelihood.dimensions < 4
    assert "of the 4 dimensions asked for to zero" in str(model.summary())
    check_likelihood(model)


# --- refusals -----------------------------------------------------------------------------------------------------------


def test_a_likelihood_without_maximum_is_refused_and_the_penalty_offered():
    corpus = slm.Corpus.from_texts(["abcdabdcabcabdabcdabddcab" * 4] * 3, eos=False, given=1)
    for rank in (1, 2, 3):
        with pytest.raises(NoEstimate, match=r"has no maximum that could be reached.*penalty='ridge', strength=1.0"):
            fitted(corpus, 1, rank)
    assert fitted(corpus, 1, 2, 1.0).report.converged


def test_a_rank_above_that_of_any_coefficients_is_refused(text):
    with pytest.raises(SpecificationError, match="no larger rank than 4"):
        fitted(text, 1, 5)


@pytest.mark.parametrize("rank", [-1, 1.5, True, "2"])
def test_a_rank_is_a_whole_number(rank):
    with pytest.raises(SpecificationError, match="is not a rank"):
        slm.SoftmaxRegression(1, rank=rank)


def test_settings_that_make_no_sense_with_a_rank_are_refused():
    with pytest.raises(SpecificationError, match="an embedding belongs to a token at a lag"):
        slm.SoftmaxRegression(2, rank=1, interactions="all")
    with pytest.raises(SpecificationError, match="an embedding belongs to a token at a lag"):
        slm.SoftmaxRegression(formula="next ~ lag1", rank=1)
    with pytest.raises(SpecificationError, match="Firth's correction"):
        slm.SoftmaxRegression(1, rank=1, penalty="firth")
    with pytest.raises(SpecificationError, match="rank=0 leaves no coefficients"):
        slm.SoftmaxRegression(1, rank=0, penalty="ridge", strength=1.0)


def test_a_penalty_that_leaves_nothing_is_refused(text):
    with pytest.raises(SpecificationError, match="shrinks all embeddings to zero"):
        fitted(text, 1, 2, 1e6)


def test_tokens_that_training_never_saw_have_no_score(text):
    model = fitted(text, 1, 1)
    other = slm.Corpus.from_texts(["abz"], vocabulary=text.vocabulary, given=1, eos=False)
    with pytest.raises(NoEstimate, match="tokens that training never saw"):
        model.likelihood.on(other).score()


def test_parameters_of_another_length_are_refused(text):
    with pytest.raises(SpecificationError, match="this model has 11 parameters"):
        fitted(text, 1, 1).at(np.zeros(3))


def test_fits_of_other_ranks_have_no_parameters_in_common(text):
    with pytest.raises(NoEstimate, match="One fit has rank 1 and the other 2"):
        fitted(text, 1, 1).likelihood.params_as(fitted(text, 1, 2).likelihood)
