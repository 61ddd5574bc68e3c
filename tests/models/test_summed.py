"""Log-likelihood and gradient from counts: what a pass over the text gives."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import SpecificationError
from statlm.likelihood.summed import Summed, summed

SPECIFICATIONS = [
    slm.NGram(1),
    slm.NGram(3),
    slm.NGram(2, pseudo_count=0.5),
    slm.SoftmaxRegression(1),
    slm.SoftmaxRegression(2),
    slm.SoftmaxRegression(2, penalty="ridge", strength=1.0),
]
by_name = partial(pytest.mark.parametrize, "specification", SPECIFICATIONS, ids=str)


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(1)
    return slm.Corpus.from_tokens([rng.choice(5, size=40, p=[0.4, 0.3, 0.2, 0.07, 0.03]) for _ in range(20)], eos=True)


@by_name()
@pytest.mark.parametrize("documents", [range(20), [0, 3, 3]], ids=["own", "other"])
def test_sums_from_counts_are_the_sums_over_the_text(corpus, specification, documents):
    fitted = specification.fit(corpus).likelihood
    model = fitted.on(corpus.subset(documents))
    assert isinstance(model, Summed)
    for scale in (1.0, 0.98):
        there = model.at(scale * model.params)
        value, gradient = summed(model)(scale * model.params)
        assert_allclose(value, there.loglike_obs().sum(), rtol=1e-12)
        assert_allclose(gradient, there.score().T @ np.ones(model.corpus.nobs), atol=1e-8)


@by_name()
def test_a_model_at_other_parameters_is_made_of_the_same_text(corpus, specification):
    """What `at` carries over to the other parameters is right there, and does not go to another corpus."""
    model = specification.fit(corpus).likelihood
    model.loglike_obs(), model.score(), summed(model)(model.params)
    moved, other = model.at(0.98 * model.params), corpus.subset([1, 4])
    fresh = specification.fit(corpus).likelihood.at(0.98 * model.params)
    assert_allclose(moved.loglike_obs(), fresh.loglike_obs(), rtol=1e-12)
    assert_allclose(moved.score().toarray(), fresh.score().toarray(), rtol=1e-12)
    assert_allclose(moved.on(other).loglike_obs(), fresh.on(other).loglike_obs(), rtol=1e-12)


def test_what_cannot_be_has_no_sum(corpus):
    model = slm.NGram(1).fit(corpus).likelihood
    with pytest.raises(SpecificationError, match="not probabilities"):
        summed(model)(-model.params)
    letters = slm.Corpus.from_texts(["abab", "abcab"], eos=False)
    missing = slm.SoftmaxRegression(1).fit(letters.subset([0])).likelihood.on(letters)
    assert summed(missing)(missing.params)[0] == -np.inf == missing.loglike_obs().sum()
