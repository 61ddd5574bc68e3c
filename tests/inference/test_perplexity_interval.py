"""The interval of a perplexity is the interval of a mean, on the log scale."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import ndtri
from scipy.stats import t as student

import statlm as slm
from statlm.covariance import HAC, Clustered
from statlm.errors import FewClustersWarning, NoEstimate, SpecificationError, TooFewClusters
from statlm.inference.perplexity_interval import mean_estimate, perplexity_estimate, perplexity_interval

Z = float(ndtri(0.975))


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(0)
    return [rng.choice(list("abc"), rng.integers(5, 60), p=rng.dirichlet([4, 3, 2])).tolist() for _ in range(15)]


@pytest.fixture(scope="module")
def model(documents):
    return slm.NGram(1).fit(slm.Corpus.from_tokens(documents, eos=False))


def test_iid_interval_is_the_plain_formula_on_the_log_scale(model):
    losses = -model.loglike_obs()
    half = Z * losses.std() / np.sqrt(len(losses))
    low, high = perplexity_interval(model, dependence="iid")
    assert_allclose([low, high], np.exp(losses.mean() + np.array([-half, half])))
    assert_allclose(low * high, model.perplexity**2)


def test_clustered_std_error_is_that_of_a_ratio(model):
    losses = -model.loglike_obs()
    document = model.corpus.document_index
    sums, sizes = np.bincount(document, losses), np.bincount(document)
    ratio = sums.sum() / sizes.sum()
    g = len(sums)
    error = np.sqrt(g / (g - 1) * ((sums - ratio * sizes) ** 2).sum()) / sizes.sum()
    estimate = perplexity_estimate(model, "cluster")
    assert_allclose([estimate.mean, estimate.std_error], [ratio, error])
    low, high = perplexity_interval(model, 0.9, "cluster")
    half = student.ppf(0.95, g - 1) * error
    assert_allclose([low, high], np.exp([ratio - half, ratio + half]))


def test_ten_documents_are_clusters_and_fewer_are_series(model):
    estimate = perplexity_estimate(model)
    assert "clustered by document (15 clusters), chosen because there are 10 or more" in estimate.dependence
    assert estimate.std_error == perplexity_estimate(model, Clustered()).std_error
    few = model.on(model.corpus.subset(range(3)))
    assert "HAC" in perplexity_estimate(few).dependence
    assert "fewer than 10 documents" in perplexity_estimate(few).dependence
    one = model.on(model.corpus.subset([0]))
    assert "chosen because the text is a single document" in perplexity_estimate(one).dependence


def test_hac_without_lags_is_iid(model):
    assert_allclose(perplexity_interval(model, dependence=HAC(lags=0)), perplexity_interval(model, dependence="iid"))


def test_bootstrap_of_documents_is_near_the_clustered_error(model):
    bootstrap, cluster = (perplexity_estimate(model, d).std_error for d in ("bootstrap", "cluster"))
    assert_allclose(bootstrap, cluster, rtol=0.15)  # 999 replicates: 2 % error; G/(G-1): 3 %
    assert bootstrap == perplexity_estimate(model, "bootstrap").std_error


def test_two_sided_p_value_of_a_mean(model):
    estimate = perplexity_estimate(model, "cluster")
    assert_allclose(estimate.p_value, 2 * student.sf(estimate.mean / estimate.std_error, 14))
    constant = mean_estimate(np.zeros(model.corpus.nobs), model.corpus, "iid")
    assert constant.p_value == 1


def test_an_infinite_perplexity_has_no_interval(documents):
    corpus = slm.Corpus.from_tokens([list("abab"), list("abcb")], eos=False)
    held = slm.NGram(2).fit(corpus.subset([0])).on(corpus.subset([1]))
    with pytest.raises(NoEstimate, match=r"perplexity is infinite: 1 of 4 observations have probability 0"):
        held.perplexity_interval()


def test_infinite_values_and_single_observations_have_no_error(model):
    values = np.zeros(model.corpus.nobs)
    values[:2] = np.inf
    with pytest.raises(NoEstimate, match=r"2 of [\d,]+ values are infinite"):
        mean_estimate(values, model.corpus)
    one = slm.Corpus.from_tokens([list("ab")], given=1)
    with pytest.raises(NoEstimate, match="single observation has no standard error"):
        mean_estimate(np.zeros(1), one)


def test_one_document_has_no_clusters(model):
    with pytest.raises(TooFewClusters, match=r"The corpus is 1 document.*need at least 2"):
        perplexity_interval(model.on(model.corpus.subset([0])), dependence="cluster")


def test_few_documents_are_warned_of(model):
    with pytest.warns(FewClustersWarning, match="Only 3 documents"):
        perplexity_interval(model.on(model.corpus.subset(range(3))), dependence="cluster")


def test_unknown_dependences_and_levels_are_refused(model):
    with pytest.raises(SpecificationError, match=r"no dependence 'block'. Use one of 'iid', 'cluster', 'HAC', 'bootstrap'"):
        perplexity_interval(model, dependence="block")
    with pytest.raises(SpecificationError, match=r"level=95: the confidence level"):
        perplexity_interval(model, level=95)
