"""The score test is Pearson's chi-square where that exists, and the other tests in large samples; it knows its place."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2, chi2_contingency, f

import statlm as slm
from statlm.errors import NoEstimate, NotComparable, NotNested, SpecificationError
from statlm.inference.profile import Profile
from statlm.numerics.repeated_rows import dense, sum_by


def text(n, effect, documents=1, seed=1):
    """Documents over a, b, c whose last two tokens move the log-odds of the next by `effect`."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(3, size=(documents, 2)).tolist()
    for row in rows:
        for _ in range(n // documents):
            odds = np.exp(effect * (np.eye(3)[row[-1]] + 0.5 * np.eye(3)[row[-2]]))
            row.append(int(rng.choice(3, p=odds / odds.sum())))
    return slm.Corpus.from_tokens([["abc"[i] for i in row] for row in rows], given=2, eos=False)


@pytest.fixture(scope="module")
def corpus():
    return text(2000, 0.15, documents=25)


@pytest.fixture(scope="module")
def fits(corpus):
    return [slm.SoftmaxRegression(lags=k).fit(corpus) for k in range(3)]


def test_one_lag_against_none_is_pearsons_chi_square(corpus, fits):
    table = np.zeros((3, 3))
    np.add.at(table, (corpus.contexts(1)[:, 0], corpus.targets), 1)
    expected = chi2_contingency(table, correction=False)
    result = slm.score_test(fits[0], fits[1])
    assert_allclose(result.statistic, expected.statistic, rtol=1e-9)
    assert result.dof == expected.dof == 4
    assert_allclose(result.p_value, expected.pvalue, rtol=1e-8)
    assert result.null == "the softmax 0 lags is enough"


def test_where_the_larger_model_stands_does_not_matter(corpus, fits):
    large = fits[2].likelihood
    result = slm.score_test(fits[1], fits[2])
    assert_allclose(slm.score_test(fits[1], large.at(np.zeros(len(large.params)))).statistic, result.statistic, rtol=1e-10)
    pairwise = slm.SoftmaxRegression(lags=2, interactions="pairwise").fit(corpus)
    by_hand = dict.fromkeys(pairwise.param_names, 0.0) | dict(zip(fits[2].param_names, fits[2].params, strict=True))
    null = pairwise.at(np.array(list(by_hand.values())))
    assert_allclose(slm.score_test(fits[2], null).statistic, slm.score_test(fits[2], pairwise).statistic, rtol=1e-10)
    assert slm.score_test(fits[2], pairwise).dof == 8


def test_the_reference_class_does_not_matter(corpus, fits):
    other = [slm.SoftmaxRegression(lags=k, reference="c").fit(corpus) for k in (1, 2)]
    assert other[0].likelihood.reference != fits[1].likelihood.reference
    assert_allclose(slm.score_test(*other).statistic, slm.score_test(*fits[1:]).statistic, rtol=1e-8)


def test_the_three_tests_agree_in_a_large_sample():
    big = text(60_000, 0.012)
    small, large = (slm.SoftmaxRegression(lags=k).fit(big) for k in (1, 2))
    of_lag2 = [name for name in large.param_names if "lag2" in name[1]]
    ratio, wald, score = slm.lr_test(small, large), slm.wald_test(large, of_lag2), slm.score_test(small, large)
    assert ratio.dof == wald.dof == score.dof == 4
    assert ratio.statistic > 1
    # They differ by terms of the order of the effect, here 1 %, times themselves.
    assert_allclose([wald.statistic, score.statistic], ratio.statistic, rtol=0.01)


@pytest.mark.parametrize("cov", ["HC0", "cluster"])
def test_robust_statistic_is_that_of_boos(corpus, fits, cov):
    small, large = fits[1], fits[2]
    named = dict(zip(small.param_names, small.params, strict=True))
    null = large.at(np.array([named.get(name, 0.0) for name in large.param_names]))
    fixed = np.array([name not in named for name in large.param_names])
    rows, information = null.score().toarray(), np.asarray(null.information())
    if cov == "cluster":
        rows = dense(sum_by(rows, corpus.document_index, 25)) * np.sqrt(25 / 24)
    meat = rows.T @ rows
    # The score of the fixed parameters, less what the estimation of the free ones takes from it (Boos 1992, equation 6).
    project = information[np.ix_(fixed, ~fixed)] @ np.linalg.inv(information[np.ix_(~fixed, ~fixed)])
    contrast = np.zeros((fixed.sum(), len(fixed)))
    contrast[:, fixed] = np.eye(fixed.sum())
    contrast[:, ~fixed] = -project
    total = null.score().toarray().sum(axis=0)[fixed]
    expected = float(total @ np.linalg.solve(contrast @ meat @ contrast.T, total))
    result = slm.score_test(small, large, cov=cov)
    if cov == "HC0":
        assert_allclose(result.statistic, expected, rtol=1e-8)
        assert_allclose(result.p_value, chi2.sf(expected, 4), rtol=1e-6)
    else:
        assert_allclose(result.details["chi2"], expected, rtol=1e-8)
        assert_allclose(result.p_value, f.sf(expected / 4, 4, 24), rtol=1e-6)


def test_bigram_at_the_unigrams_estimate_needs_no_names(corpus):
    small, large = slm.NGram(1).fit(corpus), slm.NGram(2).fit(corpus)
    share = {token: np.exp(small.logprobs(np.zeros((1, 0), int)))[0, i] for i, token in enumerate("abc")}
    null = large.at(np.array([share[response] for response, _ in large.param_names]))
    result = slm.score_test(small, null)
    assert result.dof == 4
    total = np.asarray(null.score().toarray().sum(axis=0))
    assert_allclose(result.statistic, total @ np.linalg.solve(null.information().toarray(), total), rtol=1e-8)
    with pytest.raises(SpecificationError, match=r"robust score test needs to know which parameters"):
        slm.score_test(small, null, cov="HC0")


def test_restricted_parameters_can_be_named(fits):
    model = fits[1].likelihood
    name = model.param_names[1]
    null = Profile(model, 1).maximum(0.0)
    result = slm.score_test(null, null, restricted=[name])
    assert result.dof == 1
    assert result.null == "1 restriction of the SoftmaxLikelihood"
    total = null.score().toarray().sum(axis=0)
    assert_allclose(np.delete(total, 1), 0, atol=1e-3)
    inverse = np.linalg.inv(null.information())
    assert_allclose(result.statistic, total[1] ** 2 * inverse[1, 1], rtol=1e-5)
    assert_allclose(result.statistic, slm.wald_test(model, [name]).statistic, rtol=0.2)


def test_a_larger_model_with_another_reference_is_refused(corpus, fits):
    other = slm.SoftmaxRegression(lags=2, reference="c").fit(corpus)
    with pytest.raises(
        NotNested, match=r"does not stand at the estimate of the softmax 1 lag .*another reference class pass large.at"
    ):
        slm.score_test(fits[1], other)


def test_a_separated_larger_model_is_refused_and_its_unlimited_likelihood_is_not():
    corpus = slm.Corpus.from_tokens([list("abacbcabcaabbacbac" * 6)], given=1)  # no c after c
    small, large = (slm.SoftmaxRegression(lags=k).fit(corpus) for k in (0, 1))
    with pytest.raises(NotNested, match=r"separated, so that its limit rules out .* use lr_test"):
        slm.score_test(small, large)
    free = np.ones_like(large.likelihood.free)
    free[:, large.likelihood.reference] = False
    unlimited = replace(large.likelihood, directions=(), free=free)
    table = np.zeros((3, 3))
    np.add.at(table, (corpus.contexts(1)[:, 0], corpus.targets), 1)
    assert_allclose(
        slm.score_test(small, unlimited).statistic, chi2_contingency(table, correction=False).statistic, rtol=1e-9
    )


def test_swapped_or_equal_models_are_refused(fits):
    with pytest.raises(NotNested, match=r"does not stand at the estimate"):
        slm.score_test(fits[2], fits[1])
    with pytest.raises(NotNested, match=r"larger model has 6 parameters and the smaller 6.*score_test\(small, large\)"):
        slm.score_test(fits[1], fits[1])


def test_other_observations_are_refused(corpus, fits):
    other = slm.SoftmaxRegression(lags=2).fit(corpus.with_given(3))
    with pytest.raises(NotComparable, match=r"different observations"):
        slm.score_test(fits[1], other)


def test_the_smaller_model_must_be_at_its_maximum(fits):
    moved = fits[1].at(fits[1].params * 1.5)
    with pytest.raises(SpecificationError, match=r"not at its maximum on this corpus"):
        slm.score_test(moved, fits[2])


def test_a_restricted_null_must_be_at_its_maximum_over_the_others(fits):
    model = fits[1].likelihood
    there = model.at(np.where(np.arange(6) == 1, 0.0, model.params + 0.1))
    with pytest.raises(
        SpecificationError, match=r"stands [\d.]+ nats below its maximum over the parameters that it leaves free"
    ):
        slm.score_test(there, there, restricted=[model.param_names[1]])


def test_a_penalised_larger_model_is_refused(corpus, fits):
    ridge = slm.SoftmaxRegression(lags=2, penalty="ridge", strength=1.0).fit(corpus)
    with pytest.raises(SpecificationError, match=r"softmax 2 lags \+ ridge 1 carries a penalty"):
        slm.score_test(fits[1], ridge)


def test_observations_of_probability_zero_are_refused():
    train = slm.Corpus.from_tokens([list("abab" * 20)])
    other = slm.Corpus.from_tokens([list("abaz" * 20)], vocabulary=train.vocabulary)
    with pytest.raises(NoEstimate, match=r"have probability 0 under the unigram"):
        slm.score_test(slm.NGram(1).fit(other), slm.NGram(2).fit(other))
