"""Skip-grams: pairs, the full softmax on them, and negative sampling with its meeting points."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import CorpusError, NoEstimate, SpecificationError
from statlm.models.skip_gram.specification import pair_counts
from statlm.numerics.negative_sampling import maximise, objective
from statlm.testing import check_predictive


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(0)
    return slm.Corpus.from_texts(["".join(rng.choice(list("abcde"), 60, p=[0.4, 0.2, 0.2, 0.1, 0.1])) for _ in range(8)])


@pytest.fixture(scope="module")
def pairs(corpus):
    return slm.skip_grams(corpus, window=2)


def test_pairs_are_neighbours_within_the_window_and_the_document():
    pairs = slm.skip_grams(slm.Corpus.from_texts(["abc", "de"]), window=2)
    found = sorted(pairs.text(d) for d in range(pairs.ndocuments))
    assert found == sorted(["ab", "ba", "bc", "cb", "ac", "ca", "de", "ed"])
    assert pairs.documents.source.tolist() == [0] * 6 + [1] * 2
    assert pairs.nobs == 8
    assert not pairs.vocabulary.with_eos


def test_counts_of_pairs_are_symmetric(pairs):
    counts = pair_counts(pairs)
    assert_allclose(counts, counts.T)
    assert counts.sum() == pairs.nobs


def test_the_full_softmax_on_pairs_is_a_reduced_rank_regression_and_saturates_at_full_rank(pairs):
    bigram = slm.NGram(n=2).fit(pairs)
    losses = [slm.SoftmaxRegression(lags=1, rank=rank).fit(pairs).loglike for rank in (1, 2, 4)]
    assert losses[0] < losses[1] < losses[2]
    assert_allclose(losses[2], bigram.loglike, rtol=1e-8)


@pytest.mark.parametrize("negative", [1.0, 5.0])
def test_at_full_rank_negative_sampling_is_mutual_information_shifted_by_log_k(pairs, negative):
    fit = slm.SkipGram(rank=5, negative=negative, power=1.0, ridge=0.0, iterations=5000).fit(pairs)
    counts = pair_counts(pairs)
    information = np.log(counts * counts.sum() / np.outer(counts.sum(axis=1), counts.sum(axis=0)))
    model = fit.likelihood
    assert_allclose(model.centres @ model.neighbours.T, information - np.log(negative), atol=2e-3)
    tokens = model.corpus.vocabulary.tokens
    assert_allclose(model.mutual_information(tokens[0], tokens[1]), information[0, 1], atol=2e-3)


def test_at_full_rank_what_it_says_of_neighbours_is_the_maximum_of_the_full_likelihood(pairs):
    fit = slm.SkipGram(rank=5, power=0.75, ridge=0.0, iterations=5000).fit(pairs)
    assert_allclose(fit.loglike, slm.NGram(n=2).fit(pairs).loglike, rtol=1e-5)


def test_the_maximum_is_one():
    rng = np.random.default_rng(1)
    positive = rng.poisson(5.0, (6, 6)).astype(float)
    negative = rng.uniform(1, 5, (6, 6))
    found = maximise(positive, negative, 2, 0.3)
    assert found.converged
    here = objective(found.centres @ found.neighbours.T, positive, negative) - 0.15 * (
        (found.centres**2).sum() + (found.neighbours**2).sum()
    )
    assert_allclose(here, found.objective, rtol=1e-10)
    for _ in range(20):
        a, b = (part + 1e-3 * rng.standard_normal(part.shape) for part in (found.centres, found.neighbours))
        assert objective(a @ b.T, positive, negative) - 0.15 * ((a**2).sum() + (b**2).sum()) < here


def test_it_is_a_distribution_of_neighbours(pairs):
    check_predictive(slm.SkipGram(rank=2).fit(pairs))


def test_it_stands_beside_the_full_softmax_on_held_out_pairs(corpus):
    train, test = (slm.skip_grams(c, window=2) for c in corpus.split(test=0.3))
    table = slm.compare(
        {"full": slm.SoftmaxRegression(lags=1, rank=2).fit(train), "negative": slm.SkipGram(rank=2).fit(train)}, on=test
    )
    assert len(table) == 2


def test_a_saved_fit_says_the_same(pairs, tmp_path):
    fit = slm.SkipGram(rank=2).fit(pairs)
    fit.save(tmp_path / "fit")
    np.testing.assert_array_equal(slm.load(tmp_path / "fit").loglike_obs(), fit.loglike_obs())


def test_likelihood_theory_is_refused(pairs):
    with pytest.raises(NoEstimate, match="without a likelihood theory"):
        _ = slm.SkipGram(rank=2).fit(pairs).aic


def test_a_fit_that_ends_short_of_its_maximum_says_so(pairs):
    with pytest.warns(slm.errors.StatlmWarning, match=r"after 1 iterations: this is not the maximum"):
        slm.SkipGram(rank=2, iterations=1).fit(pairs)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        (lambda corpus, pairs: slm.SkipGram(rank=0), SpecificationError, "rank=0"),
        (lambda corpus, pairs: slm.SkipGram(negative=0), SpecificationError, "negative=0"),
        (lambda corpus, pairs: slm.SkipGram(iterations=0), SpecificationError, "iterations=0"),
        (lambda corpus, pairs: slm.SkipGram().fit(corpus), CorpusError, "holds no pairs"),
        (lambda corpus, pairs: slm.SkipGram(rank=50).fit(pairs), SpecificationError, "more than there are types"),
        (lambda corpus, pairs: slm.skip_grams(corpus, window=0), SpecificationError, "window=0"),
        (lambda corpus, pairs: slm.skip_grams(slm.Corpus.from_texts(["a", "b"])), CorpusError, "no pair to learn from"),
        (
            lambda corpus, pairs: slm.SkipGram(rank=2).fit(pairs).likelihood.most_similar("z"),
            SpecificationError,
            "in no pair",
        ),
    ],
)
def test_what_cannot_be_is_refused(corpus, pairs, asked, error, message):
    with pytest.raises(error, match=message):
        asked(corpus, pairs)
