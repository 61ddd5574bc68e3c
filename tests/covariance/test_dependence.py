"""The variance of a sum under each assumption, against statsmodels and against sums written out."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from statsmodels.stats.sandwich_covariance import cov_cluster

import statlm as slm
from statlm.covariance import HAC, Clustered, Independent, Sandwich, StationaryBootstrap, variance_of_sum
from statlm.covariance.hac import newey_west_lags, rule_of_thumb
from statlm.errors import FewClustersWarning, NoEstimate, SpecificationError, TooFewClusters


def series(n, rho, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=n)
    x = np.empty(n)
    x[0] = noise[0] / np.sqrt(1 - rho**2)
    for i in range(1, n):
        x[i] = rho * x[i - 1] + noise[i]
    return x - x.mean()


def corpus_of(*lengths, given=0):
    rng = np.random.default_rng(8)
    return slm.Corpus.from_tokens([rng.integers(3, size=n) for n in lengths], eos=False, given=given)


@pytest.fixture(scope="module")
def documents():
    return corpus_of(*([40, 25, 60, 33, 51] * 6), given=1)


@pytest.fixture(scope="module")
def bigram(documents):
    return slm.NGram(2).fit(documents)


# --- a single series ----------------------------------------------------------------------------------------------------


def test_iid_is_the_sum_of_squares():
    x = series(200, 0.0)
    assert_allclose(variance_of_sum(x, corpus_of(200), Independent()), (x**2).sum())


@pytest.mark.parametrize("lags", [0, 1, 5, 30])
def test_hac_of_one_series_is_that_of_statsmodels(lags):
    x = series(200, 0.5) + 3
    fitted = sm.OLS(x, np.ones(200)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    found = variance_of_sum(x - x.mean(), corpus_of(200), HAC(lags=lags))
    assert_allclose(np.sqrt(found) / 200, fitted.bse[0], rtol=1e-10)


def test_clustered_is_that_of_statsmodels_up_to_the_factor(documents):
    x = series(documents.nobs, 0.5)
    fitted = sm.OLS(x, np.ones(len(x))).fit()
    expected = cov_cluster(fitted, documents.document_index, use_correction=False)[0, 0]
    g = documents.ndocuments
    assert_allclose(variance_of_sum(x, documents, Clustered()) / len(x) ** 2, expected * g / (g - 1), rtol=1e-10)


def test_moving_sums_are_bartletts_double_sum():
    corpus = corpus_of(7, 4, 9)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20, 3))
    lags = 3
    factor = HAC(lags=lags).factor(x, corpus) @ np.eye(3)
    document = corpus.document_index
    expected = np.zeros((3, 3))
    for i in range(20):
        for j in range(20):
            if document[i] == document[j] and abs(i - j) <= lags:
                expected += (1 - abs(i - j) / (lags + 1)) * np.outer(x[i], x[j])
    assert_allclose(factor.T @ factor, expected, rtol=1e-10)


def test_windows_never_cross_documents():
    x = np.array([1.0, 2.0, 3.0, -1.0, 4.0])
    split = corpus_of(3, 2)
    alone = variance_of_sum(x[:3], corpus_of(3), HAC(lags=2)) + variance_of_sum(x[3:], corpus_of(2), HAC(lags=2))
    assert_allclose(variance_of_sum(x, split, HAC(lags=2)), alone)


def test_lags_beyond_the_text_are_allowed():
    x = series(5, 0.0)
    expected = sum((1 - abs(i - j) / 11) * x[i] * x[j] for i in range(5) for j in range(5))
    assert_allclose(variance_of_sum(x, corpus_of(5), HAC(lags=10)), expected)


def test_automatic_bandwidth_grows_with_autocorrelation():
    bounds = np.array([0, 2000])
    lags = [newey_west_lags(series(2000, rho), bounds) for rho in (0.0, 0.3, 0.6, 0.9)]
    assert lags == sorted(lags)
    assert lags[0] < 8 < 15 < lags[-1]


def test_automatic_bandwidth_stays_inside_the_longest_document():
    x = series(60, 0.9)
    assert newey_west_lags(x, np.arange(0, 61, 4)) <= 3
    assert newey_west_lags(np.zeros(60), np.array([0, 60])) == rule_of_thumb(60)


def test_automatic_bandwidth_recovers_the_variance_of_an_autoregression():
    x = series(20_000, 0.5)
    # Long-run variance 1 / (1 - 0.5)^2 = 4; Bartlett's bias at some 25 lags is about 5 %.
    assert_allclose(variance_of_sum(x, corpus_of(20_000), HAC()) / 20_000, 4, rtol=0.15)


def test_stationary_bootstrap_is_near_hac_on_an_autoregression():
    x = series(3000, 0.6)
    bootstrap = variance_of_sum(x, corpus_of(3000), StationaryBootstrap())
    assert_allclose(bootstrap, variance_of_sum(x, corpus_of(3000), HAC()), rtol=0.2)
    assert_allclose(bootstrap / 3000, 1 / 0.4**2, rtol=0.3)


def test_bootstrap_with_blocks_of_one_is_iid():
    x = series(500, 0.6)
    found = variance_of_sum(x, corpus_of(500), StationaryBootstrap(replicates=4000, block_length=1))
    assert_allclose(found, (x**2).sum(), rtol=0.08)


# --- scores -------------------------------------------------------------------------------------------------------------


def test_robust_covariances_of_an_ngram_at_its_maximum_are_the_nonrobust_one(bigram):
    plain = bigram.vcov()
    assert plain.shape == (6, 6)
    assert_allclose(bigram.vcov("opg"), plain, rtol=1e-9, atol=1e-15)
    assert_allclose(bigram.vcov("HC0"), plain, rtol=1e-9, atol=1e-15)


def test_hac_without_lags_is_hc0(bigram):
    assert_allclose(bigram.vcov(HAC(lags=0)), bigram.vcov("HC0"), rtol=1e-10, atol=1e-15)
    assert_allclose(bigram.std_errors(HAC(lags=0)), bigram.std_errors("HC0"), rtol=1e-10)


def test_clusters_of_one_token_are_hc0_up_to_the_factor(bigram, documents):
    apart = slm.NGram(2).fit(documents.blocks(length=1, context=1))
    g = documents.nobs
    assert apart.corpus.ndocuments == g
    assert_allclose(apart.vcov("cluster"), bigram.vcov("HC0") * g / (g - 1), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("dependence", [Independent(), Clustered(), HAC(lags=4)])
def test_sandwich_is_bread_meat_bread(bigram, dependence):
    bread = np.linalg.inv(bigram.information().toarray())
    factor = dependence.factor(bigram.score().toarray(), bigram.corpus) @ np.eye(6)
    meat = factor.T @ factor
    assert_allclose(bigram.vcov(dependence), bread @ meat @ bread, rtol=1e-9, atol=1e-15)
    assert_allclose(bigram.std_errors(Sandwich(dependence)) ** 2, np.diag(bread @ meat @ bread), rtol=1e-9)


def test_score_sums_to_zero_at_the_maximum(bigram):
    assert_allclose(bigram.score().T @ np.ones(bigram.nobs), 0, atol=1e-9)


# --- words and refusals -------------------------------------------------------------------------------------------------


def test_one_document_has_no_clusters():
    with pytest.raises(TooFewClusters, match=r"The corpus is 1 document.*at least 2.*corpus.blocks"):
        variance_of_sum(series(20, 0.0), corpus_of(20), Clustered())


def test_fewer_than_ten_documents_are_warned_of():
    x = series(20, 0.0)
    with pytest.warns(FewClustersWarning, match=r"Only 2 documents.*t distribution with 1 degrees of freedom"):
        variance_of_sum(x, corpus_of(12, 8), Clustered())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        variance_of_sum(x, corpus_of(*[2] * 10), Clustered())


def test_impossible_settings_are_refused(bigram):
    with pytest.raises(SpecificationError, match=r"lags=-1: the number of lags cannot be negative"):
        HAC(lags=-1)
    with pytest.raises(SpecificationError, match=r"replicates=10 is too few"):
        StationaryBootstrap(replicates=10)
    with pytest.raises(SpecificationError, match=r"block_length=0.5: a block holds at least one observation"):
        StationaryBootstrap(block_length=0.5)
    with pytest.raises(SpecificationError, match=r"no covariance 'HC3'. Use one of 'nonrobust', 'opg', 'HC0'"):
        bigram.vcov("HC3")


@pytest.mark.parametrize(
    ("dependence", "words", "dof"),
    [
        (Independent(), "independent observations (12)", np.inf),
        (Clustered(), "clustered by document (2 clusters)", 1),
        (HAC(lags=3), "3 lags", np.inf),
        (HAC(), "automatic bandwidth", np.inf),
        (StationaryBootstrap(), "documents resampled (2 documents, 999 replicates)", 1),
    ],
)
def test_an_assumption_says_what_it_is(dependence, words, dof):
    corpus = corpus_of(5, 7)
    assert words in dependence.describe(corpus)
    assert dependence.reference_dof(corpus) == dof


def test_what_rests_on_a_single_document_has_no_clustered_error():
    corpus = slm.Corpus.from_texts(["abab", "abba", "aabb"] * 4 + ["cacbcaccab"], eos=False)
    fit = slm.NGram(2).fit(corpus)
    with pytest.warns(FewClustersWarning, match=r"standard errors rest on a single document"):
        errors = fit.std_errors("cluster")
    after_c = fit.param_names.get_level_values("term") == "c"
    assert np.isinf(errors[after_c]).all()
    assert np.isfinite(errors[~after_c]).all()
    with pytest.raises(NoEstimate, match="rest on a single document"):
        fit.vcov("cluster")
    with pytest.warns(FewClustersWarning):
        table = fit.predict(["c"], interval=0.95, cov="cluster")
    assert (table.conf_low.iloc[0], table.conf_high.iloc[0]) == (0.0, 1.0)


def test_a_factor_that_is_sparse_in_name_only_gives_the_same_errors(monkeypatch):
    texts = ["abracadabra", "barbara", "cabaca", "abba", "abracabba"] * 3
    fit = slm.SoftmaxRegression(1).fit(slm.Corpus.from_texts(texts, eos=False))
    found = []
    for filled in (0.0, 1.0):
        monkeypatch.setattr("statlm.covariance.sandwich.FILLED", filled)
        found.append(fit.std_errors(cov="cluster"))
    assert_allclose(found[0], found[1], rtol=1e-12)
