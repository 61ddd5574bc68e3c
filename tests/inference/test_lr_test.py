"""The likelihood-ratio test is twice a difference of maxima, and refuses what theory does not cover."""

from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2, chi2_contingency

import statlm as slm
from statlm.errors import NoEstimate, NotComparable, NotNested, SmallCountsWarning, SpecificationError
from statlm.inference.lr_test import Nesting
from statlm.inference.result import TestResult


@pytest.fixture(scope="module")
def corpus():
    tokens = np.random.default_rng(3).choice(list("abc"), 600, p=[0.5, 0.3, 0.2])
    return slm.Corpus.from_tokens([tokens.tolist()], given=2)


@pytest.fixture(scope="module")
def fits(corpus):
    return [slm.NGram(n).fit(corpus) for n in range(4)]


def test_statistic_and_dof_are_those_of_the_contingency_table(corpus, fits):
    before, after = corpus.contexts(1)[:, 0], corpus.targets
    table = np.zeros((3, 3))
    np.add.at(table, (before, after), 1)
    expected = chi2_contingency(table, correction=False, lambda_="log-likelihood")
    result = slm.lr_test(fits[1], fits[2])
    assert_allclose(result.statistic, expected.statistic, rtol=1e-10)
    assert result.dof == expected.dof == 4
    assert_allclose(result.p_value, expected.pvalue, rtol=1e-10)


def test_statistic_is_twice_the_difference_of_log_likelihoods(fits):
    result = slm.lr_test(fits[2], fits[3])
    assert_allclose(result.statistic, 2 * (fits[3].loglike - fits[2].loglike))
    assert result.dof == fits[3].dof - fits[2].dof == 12
    assert result.details["loglike_null"] == fits[2].loglike
    assert result.details["loglike_alternative"] == fits[3].loglike
    assert_allclose(result.p_value, chi2.sf(result.statistic, 12))
    assert result.null == "the bigram is enough"


def test_uniform_distribution_has_nothing_to_estimate_and_is_nested_in_the_unigram(fits):
    result = slm.lr_test(fits[0], fits[1])
    assert result.dof == 2
    assert_allclose(result.details["loglike_null"], -598 * np.log(3))


def test_likelihoods_without_specification_need_the_users_word(fits):
    small, large = fits[1].likelihood, fits[2].likelihood
    with pytest.raises(NotNested, match=r"does not say which models are special cases.*nested=True"):
        slm.lr_test(small, large)
    assert slm.lr_test(small, large, nested=True).statistic == slm.lr_test(fits[1], fits[2]).statistic


def test_ngrams_know_which_ngrams_they_contain():
    assert isinstance(slm.NGram(2), Nesting)
    assert slm.NGram(3).contains(slm.NGram(2))
    assert slm.NGram(3).contains(slm.NGram(3))
    assert not slm.NGram(2).contains(slm.NGram(3))
    assert not slm.NGram(2, pseudo_count=1).contains(slm.NGram(1))
    assert not slm.NGram(2, pseudo_count=1).contains(slm.NGram(2, pseudo_count=1))
    assert not slm.NGram(2).contains(slm.NGram(1, pseudo_count=1))
    assert not slm.NGram(2).contains("unigram")


def test_different_observations_are_refused_with_both_sizes(corpus, fits):
    other = slm.NGram(2).fit(corpus.with_given(1))
    with pytest.raises(NotComparable, match=r"598 and 599 tokens, different fingerprints.*Fit both to one corpus"):
        slm.lr_test(fits[1], other)


def test_swapped_models_are_refused(fits):
    with pytest.raises(NotNested, match=r"trigram is not known to be a special case of bigram.*Swap the arguments"):
        slm.lr_test(fits[3], fits[2])


def test_a_model_against_itself_is_refused(fits):
    with pytest.raises(NotNested, match=r"larger model has 6 free parameters and the smaller 6"):
        slm.lr_test(fits[2], fits[2])


@pytest.mark.parametrize("nested", [False, True])
def test_smoothed_fits_are_refused_whatever_the_user_vouches_for(corpus, fits, nested):
    smoothed = slm.NGram(2, pseudo_count=0.5).fit(corpus)
    with pytest.raises(SpecificationError, match=r"does not maximise the likelihood"):
        slm.lr_test(fits[1], smoothed, nested=nested)
    with pytest.raises(SpecificationError, match=r"does not maximise the likelihood"):
        slm.lr_test(slm.NGram(1, pseudo_count=0.5).fit(corpus), fits[2], nested=nested)


def test_parameters_off_the_maximum_are_refused_with_what_a_newton_step_gains(fits):
    moved = fits[2].at(fits[2].params * 0.8)
    with pytest.raises(SpecificationError, match=r"not at its maximum on this corpus: a Newton step would gain about \d"):
        slm.lr_test(fits[1].likelihood, moved, nested=True)


def test_held_out_text_is_refused(corpus, fits):
    held = corpus.blocks(299, context=2).subset([1])
    with pytest.raises(SpecificationError, match=r"not at its maximum on this corpus"):
        slm.lr_test(fits[1].on(held), fits[2].on(held))


def test_a_pair_that_the_numbers_show_not_to_be_nested_is_refused(corpus):
    copied = np.repeat(np.random.default_rng(0).choice(list("ab"), 200), 2).tolist()
    pairs = slm.Corpus.from_tokens([copied], given=2)
    bigram, unigram = slm.NGram(2).fit(pairs).likelihood, slm.NGram(1).fit(pairs).likelihood

    class MoreParameters(type(unigram)):
        dof = 50

    settings = {field.name: getattr(unigram, field.name) for field in fields(unigram) if field.init}
    with pytest.raises(NotNested, match=r"larger model has the smaller log-likelihood"):
        slm.lr_test(bigram, MoreParameters(**settings), nested=True)


def test_unknown_tokens_have_no_likelihood_ratio():
    train = slm.Corpus.from_tokens([list("abab" * 20)])
    text = slm.Corpus.from_tokens([list("abaz" * 20)], vocabulary=train.vocabulary)
    with pytest.raises(NoEstimate, match=r"20 of 80 observations have probability 0 under the unigram.*unk=True"):
        slm.lr_test(slm.NGram(1).fit(text), slm.NGram(2).fit(text))


def test_small_counts_are_warned_of_with_the_numbers():
    corpus = slm.Corpus.from_tokens([list("abcdabdcacbd")], given=1)
    with pytest.warns(SmallCountsWarning, match=r"11 observations for 12 parameters, 0.9 each.*method='bootstrap'"):
        slm.lr_test(slm.NGram(1).fit(corpus), slm.NGram(2).fit(corpus))


def test_a_distribution_without_parameters_is_refused(fits):
    class Fair:
        memory = 0

        def __init__(self, corpus):
            self.corpus = corpus

        def loglike_obs(self):
            return np.full(self.corpus.nobs, -np.log(3))

    with pytest.raises(SpecificationError, match=r"Fair has no parameters or derivatives.*paired_test"):
        slm.lr_test(Fair(fits[1].corpus), fits[2])


def test_a_tiny_p_value_is_never_written_as_zero():
    result = TestResult("Test", 2000.0, 3, float(chi2.sf(2000, 3)), "nothing", note="Mind the gap.")
    assert str(result) == "Test: statistic = 2000, dof = 3, p < 1e-16\nNull hypothesis: nothing\nMind the gap."


def test_a_result_is_a_table_of_one_row(fits):
    frame = slm.lr_test(fits[1], fits[2]).to_frame()
    assert frame.shape[0] == 1
    assert frame.columns[:4].tolist() == ["test", "statistic", "dof", "p_value"]
    assert frame.dof[0] == 4
