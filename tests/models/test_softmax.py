"""Softmax regression: where it meets the n-gram, its derivatives and covariances by dense arithmetic, separation, bad input."""

import re
import warnings

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linprog

import statlm as slm
from statlm.errors import (
    CorpusError,
    DamagedFile,
    FewClustersWarning,
    NoEstimate,
    NotNested,
    SingularInformation,
    SpecificationError,
    TooFewClusters,
)
from statlm.models.softmax import design as design_module
from statlm.models.softmax import estimation, likelihood, specification
from statlm.numerics import logit_newton, separation
from statlm.numerics.grouped_logit import GroupedLogit
from statlm.numerics.separation import remaining
from statlm.testing import check_likelihood, check_predictive

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]
INTERACTIONS = [None, "pairwise", "all"]


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(TEXTS)


@pytest.fixture(scope="module")
def dense_corpus():
    """Three letters, every pair of which occurs with every letter after it."""
    rng = np.random.default_rng(5)
    return slm.Corpus.from_tokens([rng.choice(list("abc"), 60, p=[0.5, 0.3, 0.2]) for _ in range(12)], given=2, eos=False)


# --- the contract ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [{}, {"penalty": "ridge", "strength": 0.3}], ids=["ml", "ridge"])
@pytest.mark.parametrize("interactions", INTERACTIONS)
@pytest.mark.parametrize("lags", [0, 1, 2, 3])
def test_the_contract_holds(corpus, lags, interactions, penalty):
    check_likelihood(slm.SoftmaxRegression(lags, interactions=interactions, **penalty).fit(corpus))


@pytest.mark.parametrize("interactions", INTERACTIONS)
@pytest.mark.parametrize("settings", [{"eos": False}, {"given": 2}], ids=str)
def test_the_contract_holds_without_ends_and_with_given_tokens(settings, interactions):
    check_likelihood(slm.SoftmaxRegression(2, interactions=interactions).fit(slm.Corpus.from_texts(TEXTS, **settings)))


def test_on_other_text_the_distribution_still_obeys_its_laws(corpus):
    other = slm.Corpus.from_texts(["cabbala", "drab zebra"], vocabulary=corpus.vocabulary)
    check_predictive(slm.SoftmaxRegression(2).fit(corpus).on(other))


# --- where it meets the n-gram --------------------------------------------------------------------------------------------


def test_intercepts_alone_are_the_unigram(corpus):
    softmax, unigram = slm.SoftmaxRegression(0).fit(corpus), slm.NGram(1).fit(corpus)
    assert_allclose(softmax.loglike_obs(), unigram.loglike_obs(), rtol=1e-12)
    assert softmax.dof == unigram.dof == len(softmax.params)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_all_interactions_are_the_ngram(corpus, n):
    softmax = slm.SoftmaxRegression(n - 1, interactions="all").fit(corpus)
    ngram = slm.NGram(n).fit(corpus)
    assert_allclose(softmax.loglike_obs(), ngram.loglike_obs(), atol=1e-9)
    assert softmax.dof == ngram.dof
    counts = ngram.likelihood.counts_of(np.unique(corpus.contexts(n - 1), axis=0))
    assert len(softmax.params) == (np.count_nonzero(counts, axis=1) - 1).sum()
    assert_array_equal(
        np.isneginf(softmax.logprobs(corpus.contexts(n - 1))), np.isneginf(ngram.logprobs(corpus.contexts(n - 1)))
    )


def test_one_lag_is_the_bigram(corpus):
    softmax, bigram = slm.SoftmaxRegression(1).fit(corpus), slm.NGram(2).fit(corpus)
    assert_allclose(softmax.loglike_obs(), bigram.loglike_obs(), atol=1e-9)
    assert softmax.dof == bigram.dof


@pytest.mark.parametrize("cov", ["nonrobust", "HC0", "opg"])
def test_the_variance_of_a_log_odds_is_one_over_each_count(corpus, dense_corpus, cov):
    # Where no cell is zero, and, in the limiting model, where some are.
    for data in (dense_corpus, corpus):
        fit = slm.SoftmaxRegression(1).fit(data)
        model = fit.likelihood
        contexts = np.unique(data.contexts(1), axis=0)
        counts = slm.NGram(2).fit(data).likelihood.counts_of(contexts)[:, model.responses]
        rows = model.design.matrix(contexts).toarray()
        variance, columns, classes = fit.vcov(cov), *model.index
        for row, count in zip(rows, counts, strict=True):
            if count[model.reference] == 0:
                continue
            for j in np.flatnonzero(count):
                if j != model.reference:
                    g = np.where(classes == j, row[columns], 0.0)
                    assert_allclose(g @ variance @ g, 1 / count[j] + 1 / count[model.reference], rtol=1e-8)


def test_more_terms_never_fit_worse_and_nest(corpus):
    ladder = [slm.SoftmaxRegression(2, interactions=i).fit(corpus) for i in (None, "pairwise")]
    ladder = [slm.NGram(1).fit(corpus), slm.SoftmaxRegression(1).fit(corpus), *ladder, slm.NGram(3).fit(corpus)]
    assert (np.diff([fit.loglike for fit in ladder]) >= -1e-9).all()
    assert (np.diff([fit.dof for fit in ladder[:-1]]) > 0).all()
    assert ladder[3].specification.contains(ladder[2].specification)
    assert not ladder[2].specification.contains(ladder[3].specification)


def test_pairwise_lies_between_main_effects_and_saturation(dense_corpus):
    data = dense_corpus.with_given(3)
    main, pairwise, full = (slm.SoftmaxRegression(3, interactions=i).fit(data) for i in INTERACTIONS)
    assert main.dof == 2 * (1 + 3 * 2)
    assert pairwise.dof == 2 * (1 + 3 * 2 + 3 * 4)
    assert full.dof == 2 * len(np.unique(data.contexts(3), axis=0))
    assert main.loglike < pairwise.loglike < full.loglike


def test_the_likelihood_ratio_counts_infinite_coefficients(corpus):
    small, large = slm.SoftmaxRegression(1).fit(corpus), slm.SoftmaxRegression(2).fit(corpus)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", slm.errors.SmallCountsWarning)
        result = slm.lr_test(small, large)
        with pytest.raises(NotNested):
            slm.lr_test(large, small)
    assert result.dof == large.dof - small.dof > len(large.params) - len(small.params)
    assert_allclose(result.statistic, 2 * (large.loglike - small.loglike), rtol=1e-10)


# --- what does not depend on the coding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [{}, {"penalty": "ridge", "strength": 0.3}], ids=["ml", "ridge"])
@pytest.mark.parametrize("lags", [1, 2])
def test_the_reference_class_changes_nothing_but_the_parameters(corpus, lags, penalty):
    base = slm.SoftmaxRegression(lags, **penalty).fit(corpus)
    contexts = np.concatenate([corpus.contexts(lags), np.full((1, lags), 2)])
    for reference in ("b", "c", "<eos>"):
        other = slm.SoftmaxRegression(lags, reference=reference, **penalty).fit(corpus)
        assert_allclose(other.loglike, base.loglike, rtol=1e-10)
        assert_allclose(np.exp(other.logprobs(contexts)), np.exp(base.logprobs(contexts)), atol=1e-7)
        assert other.dof == base.dof
        assert len(other.params) == len(base.params)
        assert reference not in other.param_names.get_level_values("response")


def intervals_by_reference(corpus):
    """The same table of predictions under two reference classes."""
    for reference in (None, "b"):
        fit = slm.SoftmaxRegression(2, reference=reference).fit(corpus)
        table = fit.predict(["ab", "ra"], interval=0.95, method="logit", cov="HC0")
        yield table.sort_values(["context", "token"], ignore_index=True)


def test_intervals_do_not_depend_on_the_reference_class(corpus):
    one, two = intervals_by_reference(corpus)
    assert_allclose(two.std_error, one.std_error, atol=1e-7)
    inside = one.std_error.notna()
    assert inside.sum() > 4
    for column in ("conf_low", "conf_high"):
        assert_allclose(two.loc[inside, column], one.loc[inside, column], atol=1e-7)


def test_limits_of_impossible_tokens_do_not_depend_on_the_reference_class(corpus):
    one, two = intervals_by_reference(corpus)
    assert_allclose(two.conf_high, one.conf_high, atol=1e-6)


def test_the_most_frequent_class_is_the_reference(corpus):
    fit = slm.SoftmaxRegression(1).fit(corpus)
    assert fit.corpus.vocabulary.tokens[fit.likelihood.responses[fit.likelihood.reference]] == "a"


# --- covariances by dense arithmetic --------------------------------------------------------------------------------------


def written_out(fit):
    """Design row of each observation on all (column, class) pairs that are free: scores (n, p) and information (p, p)."""
    model = fit.likelihood
    data = fit.corpus
    recent = data.contexts(model.memory)[:, ::-1]
    x = model.design.matrix(recent).toarray()
    p = np.exp(fit.logprobs(data.contexts(model.memory)))[:, model.responses]
    y = (data.targets[:, None] == model.responses).astype(float)
    columns, classes = model.index
    scores = x[:, columns] * (y - p)[:, classes]
    same = classes[:, None] == classes
    information = np.zeros((len(columns), len(columns)))
    for row, probability in zip(x, p, strict=True):
        v = row[columns]
        information += np.outer(v, v) * (np.where(same, probability[classes], 0.0) - np.outer(*[probability[classes]] * 2))
    return scores, information


@pytest.fixture(scope="module", params=[None, "pairwise"], ids=str)
def small_fit(request, dense_corpus):
    return slm.SoftmaxRegression(2, interactions=request.param).fit(dense_corpus)


def test_score_and_information_are_those_of_the_definition(small_fit):
    scores, information = written_out(small_fit)
    assert_allclose(small_fit.score().toarray(), scores, atol=1e-12)
    assert_allclose(small_fit.information(), information, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cov", ["nonrobust", "opg", "HC0", "cluster"])
def test_covariances_are_those_of_the_definition(small_fit, cov):
    scores, information = written_out(small_fit)
    bread = np.linalg.inv(information)
    groups = small_fit.corpus.ndocuments
    sums = np.stack([scores[small_fit.corpus.document_index == g].sum(axis=0) for g in range(groups)])
    expected = {
        "nonrobust": bread,
        "opg": np.linalg.inv(scores.T @ scores),
        "HC0": bread @ scores.T @ scores @ bread,
        "cluster": bread @ sums.T @ sums @ bread * groups / (groups - 1),
    }[cov]
    if cov == "cluster":
        assert groups >= 10  # so that no warning is due
    scale = np.sqrt(np.diag(expected))
    assert_allclose(small_fit.vcov(cov) / np.outer(scale, scale), expected / np.outer(scale, scale), atol=1e-9)
    assert_allclose(small_fit.std_errors(cov), scale, rtol=1e-9)


def test_separated_scores_are_those_of_the_definition(corpus):
    fit = slm.SoftmaxRegression(2).fit(corpus)
    scores, information = written_out(fit)
    assert_allclose(fit.score().toarray(), scores, atol=1e-12)
    assert_allclose(fit.std_errors(), np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-8)


def test_ridge_errors_have_the_penalty_in_the_bread(dense_corpus):
    strength = 2.0
    fit = slm.SoftmaxRegression(2, penalty="ridge", strength=strength).fit(dense_corpus)
    scores, information = written_out(fit)
    columns, classes = fit.likelihood.index
    nclasses = len(fit.likelihood.responses)
    centre = np.eye(nclasses) - 1 / nclasses
    penalty = strength * (columns[:, None] == columns) * (columns > 0)[:, None] * centre[classes[:, None], classes]
    assert_allclose(fit.vcov(), np.linalg.inv(information + penalty), rtol=1e-9)
    assert_allclose(scores.sum(axis=0), penalty @ fit.params, atol=1e-7)
    bread = np.linalg.inv(information + penalty)
    assert_allclose(fit.vcov("HC0"), bread @ scores.T @ scores @ bread, rtol=1e-9)
    assert fit.specification.contains(fit.specification) is False


def test_clusters_of_one_token_are_the_sandwich_up_to_a_factor(dense_corpus):
    rows = [[*pair, token] for pair, token in zip(dense_corpus.contexts(2), dense_corpus.targets, strict=True)]
    single = slm.Corpus.from_tokens(rows, vocabulary=dense_corpus.vocabulary, given=2)
    fit = slm.SoftmaxRegression(2).fit(single)
    assert single.nobs == single.ndocuments == dense_corpus.nobs
    assert_allclose(fit.vcov("cluster"), fit.vcov("HC0") * single.nobs / (single.nobs - 1), rtol=1e-9)
    assert_allclose(fit.vcov(slm.HAC(lags=0)), fit.vcov("HC0"), rtol=1e-9)
    assert_allclose(fit.params, slm.SoftmaxRegression(2).fit(dense_corpus).params, atol=1e-8)


@pytest.mark.parametrize("lags", [1, 2, 3])
@pytest.mark.parametrize("interactions", INTERACTIONS)
def test_the_gradient_is_zero_at_the_optimum(corpus, lags, interactions):
    fit = slm.SoftmaxRegression(lags, interactions=interactions).fit(corpus)
    assert_allclose(fit.score().T @ np.ones(corpus.nobs), 0.0, atol=1e-8 * corpus.nobs)
    assert fit.report.converged
    assert fit.report.gradient_norm < 1e-8


def test_fitted_margins_equal_observed_margins(corpus):
    # The score equations of an exponential family: each class after each level, as often as it was seen.
    fit = slm.SoftmaxRegression(2).fit(corpus)
    expected = np.exp(fit.logprobs(corpus.contexts(2)))
    for lag in (0, 1):
        level = corpus.contexts(2)[:, lag]
        for value in np.unique(level):
            observed = np.bincount(corpus.targets[level == value], minlength=corpus.vocabulary.size)
            assert_allclose(expected[level == value].sum(axis=0), observed, atol=1e-7)


def test_conjugate_gradients_and_the_exact_step_agree(corpus, dense_corpus, monkeypatch):
    for data in (corpus, dense_corpus):
        for penalty in ({}, {"penalty": "ridge", "strength": 0.5}):
            exact = slm.SoftmaxRegression(2, **penalty).fit(data)
            with monkeypatch.context() as patch:
                patch.setattr(logit_newton, "MAX_DIRECT", 0)
                iterated = slm.SoftmaxRegression(2, **penalty).fit(data)
            assert_allclose(iterated.loglike, exact.loglike, rtol=1e-10)
            assert_allclose(iterated.params, exact.params, atol=1e-5)


# --- separation -----------------------------------------------------------------------------------------------------------


def triples(*rows, repeat=1):
    """Documents of two given letters and one observed: (lag 2, lag 1, token)."""
    return slm.Corpus.from_tokens([list(row) for row in rows] * repeat, given=2, eos=False)


def after(fit, context):
    """Probabilities of the next token after a context of letters, by token."""
    return fit.predict([list(context)]).set_index("token").probability


def plain_newton(x, counts, ridge=1e-7, steps=60):
    """Log-likelihood along Newton steps with a whiff of ridge, from zero, on the full design; always below the supremum."""
    nclasses = counts.shape[1]
    b = np.zeros((x.shape[1], nclasses))
    totals = counts.sum(axis=1)
    for _ in range(steps):
        eta = x @ b
        p = np.exp(eta - eta.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        gradient = x.T @ (counts - totals[:, None] * p) - ridge * b
        weights = totals[:, None, None] * (p[:, :, None] * np.eye(nclasses) - p[:, :, None] * p[:, None, :])
        hessian = np.einsum("ca,cij,cb->aibj", x, weights, x).reshape(b.size, b.size)
        step = np.linalg.solve(hessian + ridge * np.eye(b.size), gradient.ravel()).reshape(b.shape)
        b += step / max(1.0, np.abs(x @ step).max() / 4)
    eta = x @ b
    logp = eta - eta.max(axis=1, keepdims=True)
    logp -= np.log(np.exp(logp).sum(axis=1, keepdims=True))
    return float((counts[counts > 0] * logp[counts > 0]).sum())


def can_stay(x, counts):
    """(C, J) cells that no direction of recession lowers, by one linear program written from the definition.

    Variables: B (P x J), a level m_c of each context, a fall s_cj in [0, 1] of each empty cell. Observed cells are level,
    x_c B_j = m_c; empty ones fall by at least s_cj; the sum of falls is maximised.
    """
    contexts, columns, classes = *x.shape, counts.shape[1]
    empty = np.argwhere(counts == 0)
    if len(empty) == 0:
        return np.ones(counts.shape, bool)
    width = columns * classes + contexts + len(empty)
    equal, below = [], []
    for c in range(contexts):
        for j in range(classes):
            row = np.zeros(width)
            row[np.arange(columns) * classes + j] = x[c]
            row[columns * classes + c] = -1.0
            if counts[c, j] > 0:
                equal.append(row)
            else:
                row[columns * classes + contexts + len(below)] = 1.0
                below.append(row)
    cost = np.zeros(width)
    cost[columns * classes + contexts :] = -1.0
    found = linprog(
        cost,
        A_ub=np.array(below),
        b_ub=np.zeros(len(below)),
        A_eq=np.array(equal),
        b_eq=np.zeros(len(equal)),
        bounds=[(None, None)] * (columns * classes + contexts) + [(0, 1)] * len(empty),
        method="highs",
    )
    assert found.status == 0
    falls = found.x[columns * classes + contexts :]
    assert (np.minimum(falls, 1 - falls) < 1e-6).all()
    stays = np.ones(counts.shape, bool)
    stays[tuple(empty.T)] = falls < 0.5
    return stays


def grouped(fit):
    """Design, counts and possible cells of the distinct contexts of the training text."""
    model, data = fit.likelihood, fit.corpus
    contexts, place = np.unique(data.contexts(model.memory), axis=0, return_inverse=True)
    counts = np.zeros((len(contexts), len(model.responses)))
    np.add.at(counts, (place, np.searchsorted(model.responses, data.targets)), 1)
    x = model.design.matrix(contexts[:, ::-1]).toarray()
    return x, counts, np.isfinite(fit.logprobs(contexts)[:, model.responses])


def test_complete_separation_is_certainty():
    fit = slm.SoftmaxRegression(1).fit(slm.Corpus.from_tokens([list("abab" * 10)], given=1, eos=False))
    assert fit.loglike == 0.0
    assert len(fit.params) == 0
    assert fit.dof == 2
    assert fit.std_errors().shape == (0,)
    assert_array_equal(np.exp(fit.logprobs(fit.corpus.contexts(1)[:2])), [[0, 1], [1, 0]])


def test_a_zero_margin_is_impossible_exactly():
    # After lag1 = b, a never follows, whatever lag 2 is.
    rows = ["aaa", "aab", "baa", "bab", "abb", "bbb"]
    fit = slm.SoftmaxRegression(2).fit(triples(*rows, repeat=5))
    assert after(fit, "ab")["a"] == after(fit, "bb")["a"] == 0.0
    assert after(fit, "ab")["b"] == 1.0
    assert_allclose(after(fit, "aa")["a"], 0.5, rtol=1e-9)
    assert_allclose(fit.loglike, 20 * np.log(0.5), rtol=1e-12)
    assert fit.dof == 3
    assert list(fit.param_names) == [("a", "(Intercept)"), ("a", "lag2[b]")]


def test_two_lags_separate_where_no_margin_is_zero():
    # a a is always followed by a, b b by b, and the mixed contexts by either: each level is followed by each token.
    rows = ["aaa", "bbb", "aba", "abb", "baa", "bab"]
    fit = slm.SoftmaxRegression(2).fit(triples(*rows, repeat=4))
    x, counts, possible = grouped(fit)
    for column in range(1, x.shape[1]):
        for level in (0, 1):
            assert (counts[x[:, column] == level].sum(axis=0) > 0).all()
    assert_array_equal(possible, can_stay(x, counts))
    assert after(fit, "aa")["b"] == after(fit, "bb")["a"] == 0.0
    assert_allclose(after(fit, "ab")["a"], 0.5, rtol=1e-9)
    assert_allclose(fit.loglike, 16 * np.log(0.5), rtol=1e-12)
    assert len(fit.params) == 2  # the log-odds after each of the mixed contexts; a third combination is infinite
    assert fit.dof == 3


def test_the_loglike_is_the_supremum():
    for rows in (TEXTS, ["abcabcaab", "bcab", "cabb", "acbca"], ["abbabbbab", "aab"]):
        data = slm.Corpus.from_texts(rows)
        for interactions in (None, "pairwise"):
            fit = slm.SoftmaxRegression(2, interactions=interactions).fit(data)
            x, counts, possible = grouped(fit)
            assert not possible.all()
            below = plain_newton(x, counts)
            assert fit.loglike - 1e-4 < below <= fit.loglike + 1e-9


def test_going_out_along_the_directions_approaches_the_fit_from_below(corpus):
    fit = slm.SoftmaxRegression(2).fit(corpus)
    model = fit.likelihood
    x, counts, _ = grouped(fit)
    values = []
    for far in (4.0, 8.0, 40.0):
        # Each direction overrules the ones after it.
        lead = [far ** (len(model.directions) - i) for i in range(len(model.directions))]
        b = model.coefficients + sum(c * d for c, d in zip(lead, model.directions, strict=True))
        eta = x @ b
        logp = eta - eta.max(axis=1, keepdims=True)
        logp -= np.log(np.exp(logp).sum(axis=1, keepdims=True))
        values.append((counts * logp)[counts > 0].sum())
    assert values[0] < values[1] <= values[2] <= fit.loglike + 1e-9
    assert_allclose(values[2], fit.loglike, atol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_impossible_is_what_a_linear_program_finds(seed):
    rng = np.random.default_rng(seed)
    size, lags, n = int(rng.integers(2, 6)), int(rng.integers(1, 4)), int(rng.choice([8, 20, 60]))
    rows = rng.dirichlet(np.full(size, rng.choice([0.2, 1.0, 5.0])), size=size)
    documents = []
    for _ in range(int(rng.integers(1, 4))):
        states = [int(rng.integers(size))]
        for _ in range(n):
            states.append(int(rng.choice(size, p=rows[states[-1]])))
        documents.append(["abcde"[s] for s in states])
    data = slm.Corpus.from_tokens(documents, eos=True)
    fit = slm.SoftmaxRegression(lags, interactions=INTERACTIONS[rng.integers(3)]).fit(data)
    x, counts, possible = grouped(fit)
    assert_array_equal(possible, can_stay(x, counts))
    assert_allclose(fit.score().T @ np.ones(data.nobs), 0.0, atol=1e-8 * data.nobs)
    assert np.isfinite(fit.std_errors()).all()
    assert fit.dof == np.linalg.matrix_rank(x) * (counts.shape[1] - 1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_directions_that_are_no_whole_numbers_are_found(seed):
    # Covariates on any scale: the direction of recession cannot be had by rounding a Newton step.
    rng = np.random.default_rng(seed)
    n, nclasses, scale = int(rng.choice([4, 8, 15])), int(rng.integers(2, 4)), 10.0 ** rng.integers(-2, 3)
    x = np.column_stack([np.ones(n), scale * rng.normal(size=(n, 2))])
    eta = x @ rng.normal(size=(3, nclasses)) * rng.choice([1, 5, 20]) / scale
    p = np.exp(eta - eta.max(axis=1, keepdims=True))
    counts = np.stack([rng.multinomial(rng.integers(1, 5), row / row.sum()) for row in p]).astype(float)
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return
    indicators = sparse.csc_array(np.eye(3)[:, :1])
    found = estimation.estimate(sparse.csr_array(x), counts, indicators, int(counts.sum(axis=0).argmax()))
    possible = np.ones(counts.shape, bool)
    for direction in found.directions:
        possible = remaining(x @ direction, possible)
    assert_array_equal(possible, can_stay(x, counts))


def test_a_threshold_in_a_covariate_separates():
    x = np.column_stack([np.ones(6), [0.11, 0.23, 0.37, 0.37, 0.41, 0.59]])[[0, 1, 2, 4, 5]]
    counts = np.array([[2.0, 0], [1, 0], [1, 1], [0, 1], [0, 3]])  # 0.37 is followed by both
    found = estimation.estimate(sparse.csr_array(x), counts, sparse.csc_array([[1.0], [0.0]]), 0)
    (direction,) = found.directions
    assert_array_equal(
        remaining(x @ direction, np.ones((5, 2), bool)),
        [[True, False], [True, False], [True, True], [False, True], [False, True]],
    )
    assert found.free.sum() == 1


def test_the_rectifier_agrees_with_the_linear_program(monkeypatch):
    # Tables too large for a linear program are left to least squares; here on small ones, so that they can be compared.
    rng = np.random.default_rng(2)
    for _ in range(30):
        x = np.column_stack([np.ones(8), rng.normal(size=8)])
        counts = np.zeros((8, 2))
        counts[np.arange(8), (x[:, 1] > rng.normal()).astype(int)] = 1.0
        counts[rng.integers(8)] = 1.0
        data = GroupedLogit(sparse.csr_array(x), counts, np.ones((8, 2), bool), np.array([[False, True], [False, True]]))
        by_program = separation._programme(data)
        by_squares = separation._rectified(data, counts == 0)
        assert (by_program is None) == (by_squares is None)
        if by_program is not None:
            stays = [remaining(x @ d, data.possible) for d in (by_program, by_squares)]
            assert_array_equal(*stays)


def test_a_lag_that_is_constant_is_left_out():
    data = slm.Corpus.from_tokens([["x", "a"], ["x", "b"], ["x", "a"], ["x", "a"]], given=1, eos=False)
    fit = slm.SoftmaxRegression(1).fit(data)
    assert list(fit.param_names) == [("b", "(Intercept)")]
    assert_allclose(fit.params, np.log(1 / 3), rtol=1e-8)
    assert fit.dof == 1


def test_lags_that_determine_each_other_do_not_count_twice():
    # Lag 2 repeats lag 1.
    rows = ["aaa", "aab", "bba", "bbb", "bbb"]
    fit = slm.SoftmaxRegression(2).fit(triples(*rows))
    assert fit.dof == 2
    assert len(fit.params) == 2
    assert_allclose(fit.loglike, 2 * np.log(1 / 2) + np.log(1 / 3) + 2 * np.log(2 / 3), rtol=1e-10)
    assert np.isfinite(fit.std_errors()).all()


def test_notes_say_how_many_coefficients_are_infinite(corpus):
    fit = slm.SoftmaxRegression(1).fit(corpus)
    infinite = fit.dof - len(fit.params)
    assert infinite > 0
    assert any(
        f"Separation: {infinite} of {fit.dof} coefficients run off to infinity" in note for note in fit.likelihood.notes()
    )
    assert any("reference response 'a'" in note for note in fit.likelihood.notes())
    ridge = slm.SoftmaxRegression(1, penalty="ridge", strength=1.0).fit(corpus)
    assert any("do not include the bias" in note for note in ridge.likelihood.notes())
    assert "Separation" in str(fit.summary())


# --- ridge ----------------------------------------------------------------------------------------------------------------


def test_ridge_shrinks_from_maximum_likelihood_to_the_unigram(corpus):
    ml, null = slm.SoftmaxRegression(1).fit(corpus), slm.SoftmaxRegression(0).fit(corpus)
    logliks = [
        slm.SoftmaxRegression(1, penalty="ridge", strength=s).fit(corpus).loglike for s in (1e-5, 0.1, 1.0, 10.0, 1e7)
    ]
    assert (np.diff([ml.loglike, *logliks]) < 0).all()
    assert_allclose(logliks[0], ml.loglike, atol=0.01)
    assert_allclose(logliks[-1], null.loglike, rtol=1e-5)


def test_ridge_gives_every_token_a_probability(corpus):
    fit = slm.SoftmaxRegression(2, penalty="ridge", strength=0.1).fit(corpus)
    assert (np.exp(fit.logprobs(corpus.contexts(2))) > 0).all()
    assert np.isfinite(fit.on(slm.Corpus.from_texts(["ddcc"], vocabulary=corpus.vocabulary)).loglike)


# --- prediction -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cov", ["nonrobust", "HC0", "cluster"])
def test_intervals_are_the_delta_method(small_fit, cov):
    model = small_fit.likelihood
    context = np.array([[0, 1]])
    p = np.exp(small_fit.logprobs(context))[0]
    row = model.design.matrix(context[:, ::-1]).toarray()[0]
    columns, classes = model.index
    gradients = row[columns] * ((np.arange(3)[:, None] == model.responses[classes]) - p[model.responses[classes]])
    relative = np.sqrt(np.diag(gradients @ small_fit.vcov(cov) @ gradients.T))
    for method in ("wald", "logit"):
        table = small_fit.predict([["a", "b"]], interval=0.9, method=method, cov=cov).set_index("token").loc[list("abc")]
        assert_allclose(table.probability, p, rtol=1e-12)
        assert_allclose(table.std_error, p * relative, rtol=1e-8)
        assert (table.conf_low < p).all()
        assert (table.conf_high > p).all()
        if method == "wald":
            assert_allclose(table.conf_low + table.conf_high, 2 * p, rtol=1e-10)
        else:
            low, high = (np.log(table[c] / (1 - table[c])) for c in ("conf_low", "conf_high"))
            assert_allclose((low + high) / 2, np.log(p / (1 - p)), atol=1e-9)


def test_saturated_intervals_are_those_of_the_ngram(dense_corpus):
    contexts = [["a", "b"], ["c", "c"]]
    softmax = slm.SoftmaxRegression(2, interactions="all").fit(dense_corpus).predict(contexts, interval=0.95)
    ngram = slm.NGram(3).fit(dense_corpus).predict(contexts, interval=0.95)
    for column in ("probability", "std_error", "conf_low", "conf_high"):
        assert_allclose(softmax[column], ngram[column], atol=1e-8)


def test_impossible_tokens_have_no_standard_error(corpus):
    table = slm.SoftmaxRegression(1).fit(corpus).predict(["d"], interval=0.95)
    zero = table[table.probability == 0]
    assert len(zero)
    assert zero.std_error.isna().all()


def test_levels_that_training_never_saw_are_read_as_the_reference():
    train = slm.Corpus.from_tokens([list("abaabbab")], vocabulary=slm.Vocabulary(("a", "b", "z")), given=1)
    fit = slm.SoftmaxRegression(1).fit(train)
    reference = train.vocabulary.tokens[fit.likelihood.design.levels[0][0]]
    with pytest.warns(slm.errors.UnseenContextWarning, match="a convention and no estimate"):
        strange = after(fit, "z")
    for token in "ab":
        assert_allclose(strange[token], after(fit, reference)[token])
    assert strange["z"] == 0.0
    assert fit.likelihood.design.unseen(np.array([[0], [2]])).tolist() == [False, True]


def test_a_class_never_seen_has_probability_zero_and_no_parameters():
    train = slm.Corpus.from_tokens([list("abaabbab")], vocabulary=slm.Vocabulary(("a", "b", "z")), given=1)
    fit = slm.SoftmaxRegression(1).fit(train)
    assert fit.dof == 2
    held = fit.on(slm.Corpus.from_tokens([list("abz")], vocabulary=train.vocabulary))
    assert held.loglike_obs()[-1] == -np.inf
    assert held.perplexity == np.inf
    with pytest.raises(NoEstimate, match="1 of 3 observations have probability 0"):
        held.likelihood.score()


def test_unknown_tokens_of_a_borrowed_vocabulary_are_not_estimated():
    vocabulary = slm.Corpus.from_text("abab").vocabulary
    data = slm.Corpus.from_text("abxabbaaxb", vocabulary=vocabulary)
    assert data.nunknown == 2
    fit = slm.SoftmaxRegression(1).fit(data)
    assert set(fit.param_names.get_level_values("response")) <= {"a", "b"}
    assert np.isneginf(fit.loglike_obs()).sum() == 2


# --- degenerate input -----------------------------------------------------------------------------------------------------


def test_a_single_observation_has_a_single_class():
    data = slm.Corpus.from_tokens([["a", "b"]], given=1, eos=False)
    with pytest.raises(CorpusError, match=re.escape("Training holds a single type ('b'): there is nothing to regress")):
        slm.SoftmaxRegression(1).fit(data)


def test_two_observations_are_enough():
    fit = slm.SoftmaxRegression(0).fit(slm.Corpus.from_tokens([["a", "b"]], eos=False))
    assert_allclose(fit.loglike, 2 * np.log(0.5))
    certain = slm.SoftmaxRegression(1).fit(slm.Corpus.from_tokens([["a", "b"]], eos=False))
    assert certain.loglike == 0.0


@pytest.mark.parametrize("settings", [{}, {"penalty": "firth"}, {"interactions": "all"}], ids=str)
def test_a_lag_without_variation_adds_nothing_and_is_noted(settings):
    data = slm.Corpus.from_tokens([["x", *pair] for pair in ["ab", "ba", "aa", "bb", "ab"] * 5], given=2, eos=False)
    wide, narrow = slm.SoftmaxRegression(2, **settings).fit(data), slm.SoftmaxRegression(1, **settings).fit(data)
    assert wide.dof == narrow.dof == 2
    assert_allclose(wide.loglike, narrow.loglike, rtol=1e-12)
    assert_allclose(wide.std_errors(), narrow.std_errors(), rtol=1e-9)
    assert "Lag 2 is 'x' throughout" in " ".join(wide.likelihood.notes())
    assert "throughout" not in " ".join(narrow.likelihood.notes())


def test_where_all_is_certain_there_is_nothing_to_report():
    fit = slm.SoftmaxRegression(1).fit(slm.Corpus.from_tokens([["a", "b"]], eos=False))
    assert fit.leverage().leverage.tolist() == [0.0, 0.0]
    assert len(fit.hauck_donner()) == 0
    assert "no free parameters" in str(fit.summary())


def test_a_reference_that_never_occurs_is_refused():
    data = slm.Corpus.from_tokens([list("abab")], vocabulary=slm.Vocabulary(("a", "b", "z")))
    with pytest.raises(CorpusError, match="The reference class 'z' never occurs in training"):
        slm.SoftmaxRegression(1, reference="z").fit(data)
    with pytest.raises(CorpusError, match="'q'"):
        slm.SoftmaxRegression(1, reference="q").fit(data)


def test_a_table_too_large_is_refused(corpus, monkeypatch):
    monkeypatch.setattr(specification, "MAX_CELLS", 10)
    with pytest.raises(SpecificationError, match=r"contexts by 7 classes are [\d,]+ cells, more than the 10 held"):
        slm.SoftmaxRegression(2).fit(corpus)


def test_an_information_too_large_is_refused(corpus, monkeypatch):
    fit = slm.SoftmaxRegression(2).fit(corpus)
    monkeypatch.setattr(likelihood, "MAX_DENSE_INFORMATION", 5)
    with pytest.raises(SpecificationError, match=r"The information of \d+ coefficients would take"):
        fit.information()


def test_a_fit_that_does_not_converge_is_refused(corpus):
    model = slm.SoftmaxRegression(2).fit(corpus).likelihood
    x, counts, _ = grouped(slm.SoftmaxRegression(2).fit(corpus))
    with pytest.raises(NoEstimate, match="did not converge in 1 Newton steps"):
        estimation.estimate(sparse.csr_array(x), counts, model.design.indicators, 0, max_iterations=1)


def test_more_completions_than_are_followed_are_refused(monkeypatch):
    monkeypatch.setattr(estimation, "MAX_COMPLETIONS", 1)
    rows = ["aaa", "bbb", "aba", "abb", "baa", "bab"]
    with pytest.raises(NoEstimate, match="still rising towards infinity after 1 directions of recession"):
        slm.SoftmaxRegression(2).fit(triples(*rows, repeat=4))


def test_fewer_documents_than_parameters_with_clustered_errors(corpus):
    fit = slm.SoftmaxRegression(1).fit(corpus)
    with pytest.warns(FewClustersWarning, match="Only 5 documents"):
        errors = fit.std_errors("cluster")
    assert np.isfinite(errors).all()
    with pytest.raises(TooFewClusters, match="The corpus is 1 document"):
        slm.SoftmaxRegression(1).fit(slm.Corpus.from_text("abracadabra")).std_errors("cluster")


def test_information_on_text_that_lacks_a_context_is_singular(corpus):
    fit = slm.SoftmaxRegression(1).fit(corpus)
    held = fit.likelihood.on(slm.Corpus.from_texts(["aba"], vocabulary=corpus.vocabulary))
    with pytest.raises(SingularInformation, match="singular to working precision"):
        slm.std_errors(held)


def test_parameters_of_another_length_are_refused(corpus):
    with pytest.raises(SpecificationError, match="params has shape"):
        slm.SoftmaxRegression(1).fit(corpus).at(np.zeros(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lags": -1}, "lags=-1 is not a number of lags"),
        ({"lags": 9}, "lags=9 is not"),
        ({"lags": 1.5}, "lags=1.5 is not"),
        ({"lags": True}, "lags=True is not"),
        ({"lags": 2, "interactions": "some"}, "interactions='some' is unknown"),
        ({"lags": 2, "penalty": "lasso", "strength": 1.0}, "penalty='lasso' is unknown. Use None, 'ridge' or 'firth'"),
        ({"lags": 2, "penalty": "ridge"}, "a penalty needs a strength"),
        ({"lags": 2, "strength": 1.0}, "a penalty needs a strength, and the other way round"),
        ({"lags": 2, "penalty": "ridge", "strength": 0.0}, "the weight of a penalty is a positive number"),
        ({"lags": 2, "penalty": "ridge", "strength": float("nan")}, "strength=nan"),
        ({"lags": 2, "penalty": "ridge", "strength": float("inf")}, "strength=inf"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SpecificationError, match=message):
        slm.SoftmaxRegression(**settings)


@pytest.mark.parametrize(
    ("specification", "name"),
    [
        (slm.SoftmaxRegression(1), "softmax 1 lag"),
        (slm.SoftmaxRegression(2, interactions="pairwise"), "softmax 2 lags, pairwise"),
        (slm.SoftmaxRegression(0, interactions="all"), "softmax 0 lags, all interactions"),
        (slm.SoftmaxRegression(3, penalty="ridge", strength=0.5), "softmax 3 lags + ridge 0.5"),
    ],
)
def test_names(specification, name):
    assert str(specification) == name


# --- files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        slm.SoftmaxRegression(2),
        slm.SoftmaxRegression(2, interactions="all", reference="b"),
        slm.SoftmaxRegression(1, penalty="ridge", strength=0.5),
        slm.SoftmaxRegression(0),
    ],
    ids=str,
)
def test_a_saved_fit_comes_back(corpus, model, tmp_path):
    fit = model.fit(corpus)
    fit.save(tmp_path / "fit")
    back = slm.load(tmp_path / "fit")
    assert back.specification == fit.specification
    assert_array_equal(back.params, fit.params)
    assert list(back.param_names) == list(fit.param_names)
    assert_array_equal(back.loglike_obs(), fit.loglike_obs())
    assert_array_equal(back.std_errors("HC0"), fit.std_errors("HC0"))
    assert back.dof == fit.dof


def test_arrays_that_do_not_fit_together_are_refused(corpus):
    model = slm.SoftmaxRegression(1).fit(corpus)
    arrays, settings = model.likelihood.state()
    with pytest.raises(DamagedFile, match="do not fit together"):
        model.specification.restore(corpus, arrays | {"free": arrays["free"][:-1]}, settings)
    with pytest.raises(DamagedFile, match="lacks 'responses'"):
        model.specification.restore(corpus, {k: v for k, v in arrays.items() if k != "responses"}, settings)


# --- the design -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_indicators_are_zero_or_one(degree):
    rng = np.random.default_rng(3)
    contexts = np.unique(rng.integers(0, 4, (40, 3)), axis=0)
    design = design_module.LagDesign.of(contexts, np.ones(len(contexts)), degree)
    shown = design.matrix(contexts) @ design.indicators
    assert set(np.unique(shown.toarray())) <= {0.0, 1.0}
    assert design.matrix(contexts).shape == (len(contexts), design.ncolumns)


def test_terms_are_named_in_words(corpus):
    names = slm.SoftmaxRegression(2, interactions="all").fit(corpus).likelihood.design.names(corpus.vocabulary)
    assert names[0] == "(Intercept)"
    assert "lag1[b]" in names
    assert any(re.fullmatch(r"lag1\[.+\]:lag2\[.+\]", name) for name in names)
    assert len(set(names)) == len(names)


def test_progress_is_reported(corpus):
    model = slm.SoftmaxRegression(2).fit(corpus)
    x, counts, _ = grouped(model)
    seen = []
    estimation.estimate(
        sparse.csr_array(x),
        counts,
        model.likelihood.design.indicators,
        model.likelihood.reference,
        progress=lambda *row: seen.append(row),
    )
    assert [row[0] for row in seen] == list(range(1, len(seen) + 1))
