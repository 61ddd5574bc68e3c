"""Vuong's test: the formulas by hand, its meeting points with other tests, its refusals, and its size."""

import numpy as np
import pytest
import scipy.sparse as sparse
from numpy.testing import assert_allclose
from scipy.stats import norm, t

import statlm as slm
from statlm.comparison import vuong
from statlm.errors import FewClustersWarning, NoEstimate, NotComparable, SpecificationError

VOCABULARY = slm.Vocabulary(tuple("ab"), with_eos=False)


def draw(n, rng, interaction, main, lag1=0.0):
    """Contexts of three fair coins, and a token whose log-odds are ``lag1 x1 + interaction x1 x2 + main x3`` (coins are +-1).

    A document is one context, given, and the token after it. The trigram sees x1 and x2, and the regression on three lags
    each coin by itself; so with `interaction` equal to `main` the two are equally wrong, and each has 4 parameters.
    """
    x3, x2, x1 = coins = rng.integers(2, size=(3, n)) * 2 - 1
    logit = lag1 * x1 + interaction * x1 * x2 + main * x3
    y = rng.random(n) < 1 / (1 + np.exp(-logit))
    tokens = np.column_stack([*((coins + 1) // 2), y]).astype(np.int64)
    return slm.Corpus.from_tokens(list(tokens), vocabulary=VOCABULARY, given=3)


def pair(corpus):
    return slm.NGram(3).fit(corpus), slm.SoftmaxRegression(3).fit(corpus)


@pytest.fixture(scope="module")
def corpus():
    return draw(2000, np.random.default_rng(1), 0.6, 0.4)


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(2)
    return slm.Corpus.from_tokens([rng.choice(3, size=60, p=[0.5, 0.3, 0.2]) for _ in range(60)], eos=False).with_given(3)


def vuong_matrix(a, b, sum_over):
    """Vuong's W (3.6) as he writes it: no symmetry used, scores and informations as dense arrays."""
    scores = [sum_over(np.asarray(m.score().toarray())) for m in (a, b)]
    inverse = [np.linalg.inv(sparse_or_dense(m.information())) for m in (a, b)]
    (sa, sb), (ha, hb) = scores, inverse
    return np.block([[sa.T @ sa @ ha, sa.T @ sb @ hb], [-sb.T @ sa @ ha, -sb.T @ sb @ hb]])


def sparse_or_dense(x):
    return x.toarray() if hasattr(x, "toarray") else x


def test_every_number_is_that_of_the_formulas_by_hand(corpus):
    a, b = pair(corpus)
    test = slm.vuong_test(a, b)
    d = a.loglike_obs() - b.loglike_obs()
    n = len(d)
    omega2 = (d**2).mean() - d.mean() ** 2
    z = d.sum() / np.sqrt(n * omega2)
    assert_allclose(test.statistic, z, rtol=1e-10)
    assert_allclose(test.p_value, 2 * norm.sf(abs(z)), rtol=1e-9)
    assert_allclose(test.variance_statistic, n * omega2, rtol=1e-10)
    eigenvalues = np.linalg.eigvals(vuong_matrix(a, b, lambda x: x))
    assert np.abs(eigenvalues.imag).max() < 1e-7
    weights, notes = vuong._weights(a.likelihood, b.likelihood, corpus, slm.Independent())
    assert notes == []
    assert_allclose(np.sort(weights), np.sort(eigenvalues.real), atol=1e-7)
    draws = np.random.default_rng(0).chisquare(1, (200_000, len(weights))) @ eigenvalues.real**2
    level = (draws > 4.0).mean()
    assert abs(vuong.weighted_chi2_sf(4.0, weights**2) - level) < 4 * np.sqrt(level * (1 - level) / 200_000)


@pytest.mark.parametrize("correction", ["aic", "bic"])
def test_corrections_subtract_parameters(texts, correction):
    a, b = slm.NGram(3).fit(texts), slm.SoftmaxRegression(3).fit(texts)
    plain, corrected = slm.vuong_test(a, b), slm.vuong_test(a, b, correction=correction)
    k = {"aic": 1.0, "bic": np.log(texts.nobs) / 2}[correction] * (a.dof - b.dof)
    assert_allclose(corrected.penalty, k)
    assert_allclose(corrected.difference, (a.loglike - b.loglike - k) / texts.nobs)
    assert_allclose(corrected.statistic - plain.statistic, -k / (plain.std_error * texts.nobs))
    criterion = getattr(b, correction) - getattr(a, correction)
    assert_allclose(corrected.difference, criterion / 2 / texts.nobs)


def test_with_clusters_sums_of_documents_take_the_place_of_observations(texts):
    a, b = slm.NGram(2).fit(texts), slm.SoftmaxRegression(3).fit(texts)
    test = slm.vuong_test(a, b, dependence="cluster")
    groups = texts.ndocuments
    d = a.loglike_obs() - b.loglike_obs()
    sums = np.bincount(texts.document_index, weights=d - d.mean())
    variance = groups / (groups - 1) * (sums**2).sum()
    assert_allclose(test.variance_statistic, variance)
    assert_allclose(test.p_value, 2 * t.sf(abs(d.sum()) / np.sqrt(variance), groups - 1), rtol=1e-8)

    def by_document(x):
        total = np.zeros((groups, x.shape[1]))
        np.add.at(total, texts.document_index, x)
        return total * np.sqrt(groups / (groups - 1))

    weights, _ = vuong._weights(a.likelihood, b.likelihood, texts, slm.Clustered())
    by_hand = np.linalg.eigvals(vuong_matrix(a, b, by_document)).real
    assert_allclose(np.sort(weights), np.sort(by_hand), atol=1e-7)


def test_clusters_of_one_token_are_independent_observations(corpus):
    a, b = pair(corpus)
    clustered, plain = slm.vuong_test(a, b, dependence="cluster"), slm.vuong_test(a, b)
    assert_allclose(clustered.std_error, plain.std_error * np.sqrt(2000 / 1999))
    likelihoods = a.likelihood, b.likelihood, corpus
    weights = [vuong._weights(*likelihoods, dependence)[0] for dependence in (slm.Clustered(), slm.Independent())]
    assert_allclose(weights[0], weights[1] * 2000 / 1999, atol=1e-12)


def test_hac_without_lags_is_independence(texts):
    fits = slm.NGram(2).fit(texts), slm.SoftmaxRegression(3).fit(texts)
    hac, plain = slm.vuong_test(*fits, dependence=slm.HAC(lags=0)), slm.vuong_test(*fits)
    for name in ("statistic", "variance_statistic", "variance_p_value"):
        assert_allclose(getattr(hac, name), getattr(plain, name), rtol=1e-6)


def test_a_gram_matrix_in_slices_is_the_whole_one(texts, monkeypatch):
    score = slm.NGram(2).fit(texts).score()
    factor = slm.HAC(lags=3).factor(score, texts)
    whole = vuong._gram(factor)
    monkeypatch.setattr(vuong, "HELD", 4 * factor.shape[0])
    assert_allclose(vuong._gram(factor), whole)
    along = factor @ np.eye(factor.shape[1])
    assert_allclose(whole, along.T @ along)


def test_swapping_the_models_changes_the_sign_alone(corpus):
    a, b = pair(corpus)
    one, other = slm.vuong_test(a, b, correction="bic"), slm.vuong_test(b, a, correction="bic")
    assert_allclose(one.statistic, -other.statistic)
    assert_allclose(one.variance_p_value, other.variance_p_value, rtol=1e-6)


def test_for_nested_models_it_gives_the_likelihood_ratio_test_where_the_larger_is_right(texts):
    small, large = slm.NGram(1).fit(texts), slm.NGram(2).fit(texts)
    test = slm.vuong_test(small, large)
    assert test.relation == "nested"
    assert_allclose(test.lr_p_value, slm.lr_test(small, large).p_value, atol=0.01)  # weights are 1 up to sampling error
    assert_allclose(slm.vuong_test(large, small).lr_p_value, test.lr_p_value, rtol=1e-6)
    assert "special case of the other" in str(test)
    assert "that the smaller one is enough" in str(test)


def test_scores_that_are_no_table_are_set_side_by_side(texts):
    a, b = (slm.NGram(n).fit(texts).score() for n in (1, 2))
    table = vuong._beside(a, b)
    assert_allclose(table.toarray(), np.hstack([a.toarray(), b.toarray()]))
    assert_allclose(vuong._beside(a.toarray(), b).toarray(), table.toarray())
    assert sparse.issparse(vuong._beside(a.toarray(), b))


def test_overlapping_models_are_reported(corpus):
    test = slm.vuong_test(*pair(corpus))
    assert test.relation == "overlapping"
    assert np.isnan(test.lr_p_value)
    assert "variance test rejects" in str(test)
    assert "Variance test:" in str(test)


def test_models_whose_specifications_are_unknown_are_compared_all_the_same(corpus):
    a, b = pair(corpus)
    test = slm.vuong_test(a.likelihood, b.likelihood)
    assert test.relation == "unknown"
    assert test.notes == ()


def test_too_many_parameters_leave_the_variance_test_out_and_say_so(corpus, monkeypatch):
    monkeypatch.setattr(vuong, "MAX_WEIGHTS", 7)
    test = slm.vuong_test(*pair(corpus))
    assert np.isnan(test.variance_p_value)
    assert np.isfinite(test.p_value)
    assert "No variance test: the models have 4 and 4 parameters" in str(test)
    assert "Variance test:" not in str(test)


def test_a_singular_information_leaves_the_variance_test_out(corpus, monkeypatch):
    from statlm.errors import SingularInformation

    def singular(model, right):
        raise SingularInformation("The information is singular.")

    monkeypatch.setattr(vuong, "_solve", singular)
    test = slm.vuong_test(*pair(corpus))
    assert np.isnan(test.variance_p_value)
    assert test.notes[-1] == "No variance test: The information is singular."


def test_few_clusters_are_warned_of_once_and_noted(texts):
    few = texts.subset(range(5))
    a, b = slm.NGram(2).fit(few), slm.SoftmaxRegression(3).fit(few)
    with pytest.warns(FewClustersWarning, match="Only 5 documents") as caught:
        test = slm.vuong_test(a, b, dependence="cluster")
    assert len(caught) == 1
    assert "fewer than the" in test.notes[-1]


def test_refusals(corpus, texts):
    a, b = pair(corpus)
    with pytest.raises(NotComparable, match="scored on different observations"):
        slm.vuong_test(a, slm.NGram(3).fit(corpus.subset(range(100))))
    with pytest.raises(SpecificationError, match=r"bigram \+ 0.5 is penalised or smoothed.*paired_test"):
        slm.vuong_test(a, slm.NGram(2, pseudo_count=0.5).fit(corpus))
    with pytest.raises(SpecificationError, match="witten-bell has no parameters or derivatives"):
        slm.vuong_test(slm.NGram(2, smoothing="witten-bell").fit(corpus), a)
    held = texts.subset(range(30))
    train = texts.subset(range(30, 60))
    fits = [slm.NGram(2).fit(train).on(held), slm.NGram(1).fit(train).on(held)]
    with pytest.raises(SpecificationError, match=r"bigram is not at its maximum.*paired_test"):
        slm.vuong_test(*fits)
    with pytest.raises(SpecificationError, match="no correction 'hq'"):
        slm.vuong_test(a, b, correction="hq")
    with pytest.raises(SpecificationError, match="StationaryBootstrap gives the variance of one series"):
        slm.vuong_test(a, b, dependence="bootstrap")
    with pytest.raises(NoEstimate, match=r"the same probability up to a constant factor of 1,"):
        slm.vuong_test(slm.NGram(2).fit(corpus), slm.SoftmaxRegression(1).fit(corpus))


def test_documents_that_all_differ_by_the_same_are_refused():
    corpus = slm.Corpus.from_texts(["aaba"] * 12, eos=False).with_given(1)
    a, b = slm.NGram(1).fit(corpus), slm.NGram(0).fit(corpus)
    with pytest.raises(NoEstimate, match=r"the same value in each cluster \(clustered by document \(12 clusters\)\)"):
        slm.vuong_test(a, b, dependence="cluster")


def test_an_impossible_observation_is_refused():
    vocabulary = slm.Corpus.from_text("abab").vocabulary
    corpus = slm.Corpus.from_text("ababca" * 5, vocabulary=vocabulary).with_given(1)
    fits = slm.NGram(1).fit(corpus), slm.SoftmaxRegression(1).fit(corpus)
    with pytest.raises(NoEstimate, match=r"5 of 29 observations have probability 0 under the unigram"):
        slm.vuong_test(*fits)
