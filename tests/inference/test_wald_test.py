"""The Wald test agrees with statsmodels, is an F where variances are few, and refuses what has no chi-square."""

import numpy as np
import pytest
import scipy.sparse as sparse
from numpy.testing import assert_allclose
from scipy.stats import chi2, f, t
from statsmodels.discrete.discrete_model import MNLogit

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError

MATRIX = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.2, 0.3, 0.5]])


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(7)
    documents = []
    for _ in range(30):
        row = rng.integers(3, size=2).tolist()
        for _ in range(40):
            row.append(int(rng.choice(3, p=MATRIX[row[-1] if rng.random() < 0.7 else row[-2]])))
        documents.append(["abc"[i] for i in row])
    return slm.Corpus.from_tokens(documents, given=2, eos=False)


@pytest.fixture(scope="module")
def fit(corpus):
    return slm.SoftmaxRegression(lags=2).fit(corpus)  # not saturated: the covariances differ


@pytest.fixture(scope="module")
def unigram(corpus):
    return slm.NGram(1).fit(corpus)


def peer(corpus, fit, **settings):
    """The same regression by statsmodels, its parameters in the same order."""
    responses = list(dict.fromkeys(fit.param_names.get_level_values("response")))
    terms = list(dict.fromkeys(fit.param_names.get_level_values("term")))
    order = [token for token in "abc" if token not in responses] + responses
    endog = np.array([order.index("abc"[i]) for i in corpus.targets])
    before = corpus.contexts(2)
    dummies = [before[:, -int(term[3])] == "abc".index(term[5]) for term in terms[1:]]
    exog = np.column_stack([np.ones(corpus.nobs), *dummies])
    return MNLogit(endog, exog.astype(float)).fit(disp=False, method="newton", tol=1e-12, **settings)


RESTRICTIONS = np.array([[0, 1, 0, 0, -1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0.5, 0, 0, 2]])


@pytest.mark.parametrize("cov", ["nonrobust", "HC0"])
def test_linear_restrictions_are_those_of_statsmodels(corpus, fit, cov):
    result = slm.wald_test(fit, RESTRICTIONS, [0.1, -0.2], cov=cov)
    expected = peer(corpus, fit, cov_type=cov).wald_test((RESTRICTIONS, [0.1, -0.2]), use_f=False, scalar=True)
    assert_allclose(result.statistic, expected.statistic, rtol=1e-8)
    assert_allclose(result.p_value, expected.pvalue, rtol=1e-7)
    assert (result.name, result.dof) == ("Wald", 2)


def test_clusters_refer_to_f_with_one_less_than_their_number(corpus, fit):
    settings = {"groups": corpus.document_index, "use_correction": False}
    expected = peer(corpus, fit, cov_type="cluster", cov_kwds=settings).wald_test(RESTRICTIONS, use_f=False, scalar=True)
    result = slm.wald_test(fit, RESTRICTIONS, cov="cluster")
    assert result.name == "Wald (F)"
    assert result.details["dof_denominator"] == 29
    assert_allclose(result.details["chi2"], expected.statistic * 29 / 30, rtol=1e-8)  # the variance has G / (G - 1)
    assert_allclose(result.statistic, result.details["chi2"] / 2)
    assert_allclose(result.p_value, f.sf(result.statistic, 2, 29))
    assert "30 clusters" in result.note


def test_one_restriction_is_the_square_of_t(fit):
    name = fit.param_names[1]
    for cov, tail in (("nonrobust", lambda z: chi2.sf(z**2, 1)), ("cluster", lambda z: 2 * t.sf(abs(z), 29))):
        ratio = fit.params[1] / fit.std_errors(cov)[1]
        result = slm.wald_test(fit, [name], cov=cov)
        assert_allclose(result.statistic, ratio**2)
        assert_allclose(result.p_value, tail(ratio))


def test_names_pairs_arrays_and_sparse_matrices_say_the_same(fit):
    unit = np.eye(10)[[1, 4]]
    statistics = [
        slm.wald_test(fit, restrictions).statistic
        for restrictions in (unit, sparse.csr_array(unit), fit.param_names[[1, 4]], list(fit.param_names[[1, 4]]))
    ]
    assert_allclose(statistics, statistics[0], rtol=1e-12)
    assert_allclose(slm.wald_test(fit, fit.param_names[1]).statistic, slm.wald_test(fit, unit[0]).statistic)
    assert slm.wald_test(fit, fit.param_names[1]).null == "{}: {} = 0".format(*fit.param_names[1])
    assert slm.wald_test(fit, fit.param_names[:5]).null.endswith("and 2 more")
    assert slm.wald_test(fit, unit).null == "R params = r (2 restrictions)"


def test_the_statistic_does_not_depend_on_how_a_linear_hypothesis_is_written(fit):
    mixed = np.array([[2.0, 1.0], [-1.0, 3.0]])
    values = np.array([0.1, -0.2])
    a = slm.wald_test(fit, RESTRICTIONS, values)
    b = slm.wald_test(fit, mixed @ RESTRICTIONS, mixed @ values)
    assert_allclose(a.statistic, b.statistic, rtol=1e-10)


def test_the_reference_class_does_not_matter_to_a_joint_hypothesis(corpus, fit):
    other = slm.SoftmaxRegression(lags=2, reference="a").fit(corpus)
    assert other.likelihood.reference != fit.likelihood.reference
    of_lag = [[name for name in m.param_names if name[1] != "(Intercept)"] for m in (fit, other)]
    assert_allclose(slm.wald_test(fit, of_lag[0]).statistic, slm.wald_test(other, of_lag[1]).statistic, rtol=1e-8)


def test_a_nonlinear_restriction_is_the_delta_method(fit):
    linear = slm.wald_test(fit, RESTRICTIONS)
    assert_allclose(slm.wald_test(fit, lambda p: RESTRICTIONS @ p).statistic, linear.statistic, rtol=1e-7)
    ratio = slm.wald_test(fit, lambda p: p[1] / p[4], 2.0)
    a, b = fit.params[[1, 4]]
    gradient = np.zeros((1, 10))
    gradient[0, [1, 4]] = 1 / b, -a / b**2
    assert_allclose(ratio.statistic, (a / b - 2) ** 2 / (gradient @ fit.vcov() @ gradient.T)[0, 0], rtol=1e-7)
    assert ratio.null == "g(params) = r (1 restriction)"


def test_a_share_is_tested_with_the_variance_at_its_estimate(unigram):
    name, share = unigram.param_names[0], unigram.params[0]
    result = slm.wald_test(unigram, [name], 0.4)
    assert_allclose(result.statistic, (share - 0.4) ** 2 / (share * (1 - share) / unigram.nobs))


def test_large_values_of_a_share_are_fine_though_the_others_must_give_way(unigram):
    assert slm.wald_test(unigram, [unigram.param_names[0]], 0.95).p_value < 1e-10


@pytest.mark.parametrize("value", [0.0, -0.1, 1.0, 1.2])
def test_probabilities_at_the_ends_of_their_range_are_refused(unigram, value):
    with pytest.raises(NoEstimate, match=r"estimated 0\.\d+\) at .* on the boundary.*no chi-square there"):
        slm.wald_test(unigram, [unigram.param_names[0]], value)
    with pytest.raises(NoEstimate, match=r"on the boundary"):
        slm.wald_test(unigram, np.array([0.0, 2.0]), 2 * value)


def test_a_probability_of_zero_is_found_among_many(corpus):
    bigram = slm.NGram(2).fit(corpus)
    values = np.full(6, 0.3)
    values[4] = 0.0
    with pytest.raises(NoEstimate, match=r"puts the parameter \('.', '.'\) .* at 0, which"):
        slm.wald_test(bigram, bigram.param_names, values)


@pytest.mark.parametrize(
    ("rows", "rank"),
    [(np.eye(10)[[1, 1]], 1), (np.array([[1.0, 1], [2, 2], [0, 3]]) @ np.eye(10)[:2], 2), (np.zeros(10), 0)],
)
def test_dependent_restrictions_are_refused_with_their_rank(fit, rows, rank):
    with pytest.raises(SpecificationError, match=rf"restrictions have rank {rank}: .* follow from the others"):
        slm.wald_test(fit, rows)


def test_more_restrictions_than_clusters_allow_are_refused(fit):
    few = fit.likelihood.on(fit.corpus.subset(range(4)))
    with pytest.warns(slm.errors.FewClustersWarning), pytest.raises(NoEstimate, match=r"10 restrictions has rank 4 .*HC0"):
        slm.wald_test(few, fit.param_names, cov="cluster")


def test_a_restriction_without_variance_is_refused(fit):
    with pytest.raises(SpecificationError, match=r"have rank 0"):
        slm.wald_test(fit, lambda p: 0 * p[0])


def test_unknown_names_and_wrong_shapes_are_refused(fit):
    with pytest.raises(SpecificationError, match=r"no parameter \('z', 'lag1\[a\]'\) among the 10.*fit.param_names"):
        slm.wald_test(fit, [("z", "lag1[a]")])
    with pytest.raises(SpecificationError, match=r"shape \(1, 5\) was given for a model of 10 parameters"):
        slm.wald_test(fit, np.ones(5))
    with pytest.raises(SpecificationError, match=r"for 2 restrictions: give one finite number"):
        slm.wald_test(fit, RESTRICTIONS, [1.0, 2.0, 3.0])
    with pytest.raises(SpecificationError, match=r"values=nan for 2 restrictions"):
        slm.wald_test(fit, RESTRICTIONS, np.nan)
    with pytest.raises(SpecificationError, match=r"no covariance 'HC9'"):
        slm.wald_test(fit, RESTRICTIONS, cov="HC9")


def test_a_distribution_without_parameters_is_refused(corpus):
    smoothed = slm.NGram(2, smoothing="witten-bell").fit(corpus)
    with pytest.raises(SpecificationError, match=r"without parameters and derivatives.*perplexity_interval"):
        slm.wald_test(smoothed, [("a", "b")])


def test_a_penalised_estimate_says_that_its_bias_is_unknown(corpus):
    ridge = slm.SoftmaxRegression(lags=1, penalty="ridge", strength=1.0).fit(corpus)
    assert "knows nothing of its bias" in slm.wald_test(ridge, ridge.param_names[1:2]).note
