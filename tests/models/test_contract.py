"""Every model obeys the contract."""

import numpy as np
import pytest

import statlm as slm
from statlm.testing import check_likelihood, check_predictive

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]
LIKELIHOODS = [slm.NGram(0), slm.NGram(1), slm.NGram(2), slm.NGram(3), slm.NGram(5), slm.NGram(2, pseudo_count=0.5)]


@pytest.mark.parametrize("specification", LIKELIHOODS, ids=str)
@pytest.mark.parametrize("eos", [True, False])
def test_every_likelihood_obeys_the_contract(specification, eos):
    check_likelihood(specification.fit(slm.Corpus.from_texts(TEXTS, eos=eos)))


@pytest.mark.parametrize("specification", LIKELIHOODS, ids=str)
def test_the_contract_holds_with_given_tokens(specification):
    check_likelihood(specification.fit(slm.Corpus.from_texts(TEXTS, given=2)))


@pytest.mark.parametrize("specification", LIKELIHOODS, ids=str)
def test_on_other_text_the_distribution_still_obeys_its_laws(specification):
    train = slm.Corpus.from_texts(TEXTS)
    other = slm.Corpus.from_texts(["cabbala", "drab zebra"], vocabulary=train.vocabulary)
    check_predictive(specification.fit(train).on(other))


class Broken:
    """A model that gives a matrix where the contract wants a vector, as some packages do."""

    def __init__(self, model):
        self.model = model
        self.corpus = model.corpus
        self.memory = model.memory

    def loglike_obs(self):
        return np.diag(self.model.loglike_obs())

    def logprobs(self, contexts):
        return self.model.logprobs(contexts)

    def on(self, corpus):
        return Broken(self.model.on(corpus))


def test_the_contract_catches_a_matrix_in_place_of_a_vector():
    with pytest.raises(AssertionError, match=r"loglike_obs has shape \(40,\)"):
        check_predictive(Broken(slm.NGram(1).fit(slm.Corpus.from_texts(TEXTS))))


class Unnormalised(Broken):
    """Probabilities that do not sum to one."""

    def loglike_obs(self):
        return self.model.loglike_obs()

    def logprobs(self, contexts):
        return self.model.logprobs(contexts) - 0.01


def test_the_contract_catches_probabilities_that_do_not_sum_to_one():
    with pytest.raises(AssertionError, match="probabilities sum to 1"):
        check_predictive(Unnormalised(slm.NGram(1).fit(slm.Corpus.from_texts(TEXTS))))


class WrongScore:
    """A likelihood whose score is off by a factor."""

    def __init__(self, model):
        self.model = model

    def __getattr__(self, name):
        return getattr(self.model, name)

    def score(self):
        from statlm.numerics.repeated_rows import RepeatedRows

        score = self.model.score()
        return RepeatedRows(score.rows * 1.01, score.index)


def test_the_contract_catches_a_wrong_derivative():
    with pytest.raises(AssertionError, match="is the derivative of loglike_obs"):
        check_likelihood(WrongScore(slm.NGram(1).fit(slm.Corpus.from_texts(TEXTS))))
