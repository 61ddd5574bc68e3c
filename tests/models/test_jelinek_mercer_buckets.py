"""Jelinek and Mercer's weights by how often a context was seen: laws of their likelihood, and one bucket as none."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import statlm as slm
from statlm.errors import DamagedFile, SpecificationError
from statlm.models.ngram.buckets import Buckets, by_quantiles
from statlm.models.ngram.mixture import MixtureNGram
from statlm.models.ngram.stream import stream_of
from statlm.testing import check_likelihood


def draws() -> slm.Corpus:
    generator = np.random.default_rng(0)
    chain = generator.geometric(0.2, size=(200, 10)).cumsum(axis=1) % 20
    noise = generator.integers(0, 20, chain.shape)
    return slm.Corpus.from_tokens(list(np.where(generator.random(chain.shape) < 0.3, noise, chain)), eos=False)


@pytest.fixture(scope="module")
def fit():
    """A trigram with three buckets a length."""
    return slm.NGram(3, smoothing=slm.JelinekMercer(buckets=3)).fit(draws())


@pytest.fixture
def elsewhere(fit):
    """The same likelihood at weights that are all inside."""
    return fit.likelihood.at(np.linspace(0.2, 0.6, fit.dof))


def test_a_bucket_holds_the_contexts_between_its_bounds():
    buckets = by_quantiles([np.zeros(0), np.array([1, 1, 1, 1, 2, 3, 7, 9])], 4)
    assert_array_equal(buckets.edges[1], [2, 7])  # a quarter of 1 is no bound: all contexts were seen that often
    assert buckets.of(2, np.array([1, 2, 6, 7, 100])).tolist() == [1, 2, 2, 3, 3]
    assert buckets.names == [
        "1-gram",
        "2-gram, contexts seen 1 time",
        "2-gram, contexts seen 2 to 6 times",
        "2-gram, contexts seen 7 or more times",
    ]
    assert Buckets.single(2).names == ["1-gram", "2-gram"]


def test_em_never_loses_likelihood(fit):
    model, weights, before = fit.likelihood, np.full(fit.dof, 0.5), -np.inf
    for _ in range(30):
        loglike, weights = model.em_step(weights)
        assert loglike >= before - 1e-14
        before = loglike


def test_the_weights_are_a_maximum_with_the_laws_of_a_likelihood(fit, elsewhere):
    check_likelihood(elsewhere)
    assert fit.dof == len(fit.params) == len(fit.likelihood.param_names) > 3
    assert fit.report.converged
    assert fit.report.gradient_norm < 1e-7
    inside = (fit.params > 1e-6) & (fit.params < 1 - 1e-6)
    assert inside[1:].any()
    assert_allclose(fit.score().sum(axis=0)[inside], 0, atol=1e-5)


def test_score_and_information_are_the_derivatives_of_the_loglikelihood(elsewhere):
    step = 1e-5
    at = elsewhere.params
    score, information = elsewhere.score().sum(axis=0), elsewhere.information()
    for i in range(len(at)):
        move = step * (np.arange(len(at)) == i)
        above, below = elsewhere.at(at + move), elsewhere.at(at - move)
        assert_allclose((above.loglike_obs().sum() - below.loglike_obs().sum()) / (2 * step), score[i], rtol=1e-6, atol=1e-6)
        slope = (above.score().sum(axis=0) - below.score().sum(axis=0)) / (2 * step)
        assert_allclose(-slope, information[i], rtol=1e-5, atol=1e-4)


def test_standard_errors_are_those_of_the_inverse_information(fit):
    assert_allclose(fit.std_errors(), np.sqrt(np.diag(np.linalg.inv(fit.information()))), rtol=1e-8)


def test_rows_sum_to_one_after_every_kind_of_context(fit):
    size = fit.corpus.vocabulary.size
    contexts = np.array([[a, b] for a in range(size) for b in range(size)])
    start = fit.corpus.vocabulary.bos
    for rows in (contexts, np.column_stack([np.full(size, start), np.arange(size)]), np.array([[start]])):
        assert_allclose(np.exp(fit.likelihood.logprobs(rows)).sum(axis=1), 1, atol=1e-12)


def test_the_table_gives_what_the_likelihood_gives(fit):
    stream, observations = stream_of(fit.corpus)
    assert_allclose(np.log(fit.likelihood.table.score(stream)[observations]), fit.likelihood.loglike_obs(), rtol=1e-12)


def test_one_bucket_is_one_weight_a_length():
    corpus = draws()
    one = slm.NGram(3, smoothing=slm.JelinekMercer(buckets=1)).fit(corpus)
    plain = slm.NGram(3, smoothing="jelinek-mercer").fit(corpus)
    assert_array_equal(one.params, plain.params)
    divided = plain.likelihood.divided(1)
    assert_array_equal(divided.at(plain.params).loglike_obs(), plain.likelihood.loglike_obs())


def test_buckets_have_a_larger_maximum_than_one_weight_a_length(fit):
    assert fit.loglike > slm.NGram(3, smoothing="jelinek-mercer").fit(draws()).loglike


def test_a_fit_with_buckets_is_saved_and_loaded(fit, tmp_path):
    fit.save(tmp_path / "fit")
    again = slm.load(tmp_path / "fit")
    assert_array_equal(again.likelihood.loglike_obs(), fit.likelihood.loglike_obs())
    assert again.likelihood.param_names.equals(fit.likelihood.param_names)


def test_weights_that_do_not_fit_their_buckets_are_no_saved_fit(fit):
    arrays, settings = fit.likelihood.state()
    with pytest.raises(DamagedFile, match=rf"has 2 weights and needs {fit.dof}"):
        MixtureNGram.restore(3, fit.corpus, arrays | {"weights": np.array([0.5, 0.5])}, settings)


def test_buckets_are_named_in_the_notes_and_in_the_table(fit):
    assert "by how often the context was seen" in fit.likelihood.notes()[0]
    assert any("contexts seen" in str(term) for term in slm.tidy(fit)["term"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"buckets": 0}, "is no number of buckets"), ({"buckets": 2, "weights": (0.5, 0.5)}, "Leave out one of the two")],
)
def test_what_makes_no_buckets_is_refused(settings, message):
    with pytest.raises(SpecificationError, match=message):
        slm.JelinekMercer(**settings)
