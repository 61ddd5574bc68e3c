import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statlm.errors import SpecificationError
from statlm.text import datasets

CHAIN = np.array([[0.9, 0.1, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])

# --- Markov chains ----------------------------------------------------------------------------------------------------


def frequencies(corpus, states, lags):
    """Counts of what follows each context, (S ** lags, S)."""
    context = corpus.contexts(lags) @ states ** np.arange(lags - 1, -1, -1)
    counts = np.zeros((states**lags, states))
    np.add.at(counts, (context, corpus.targets), 1)
    return counts


@pytest.mark.parametrize(("states", "lags"), [(2, 1), (4, 1), (3, 2), (2, 3)])
def test_a_chain_follows_its_truth(states, lags):
    drawn = datasets.markov(states=states, lags=lags, documents=400, length=50 + lags, seed=3)
    assert drawn.truth.shape == (states,) * (lags + 1)
    assert_allclose(drawn.truth.sum(axis=-1), 1, rtol=1e-12)
    counts = frequencies(drawn.corpus, states, lags)
    assert counts.sum() == drawn.corpus.nobs == 400 * 50
    expected = counts.sum(axis=1, keepdims=True) * drawn.truth.reshape(-1, states)
    # Pearson's statistic has mean and variance d and 2 d; five standard deviations with a fixed seed.
    pearson = ((counts - expected) ** 2 / expected).sum()
    dof = states**lags * (states - 1)
    assert pearson < dof + 5 * np.sqrt(2 * dof)


def test_the_oldest_token_is_the_first_index():
    after = np.zeros((2, 2, 2))
    after[0, :, 0] = after[1, :, 1] = 1  # each token repeats the one two places before
    tokens = datasets.markov(after, documents=20, length=9).corpus.tokens.reshape(20, 9)
    assert_array_equal(tokens[:, 2:], tokens[:, :-2])
    assert len(np.unique(tokens[:, :2], axis=0)) == 4


def test_what_has_probability_zero_never_happens():
    corpus = datasets.markov(CHAIN, documents=200, length=200).corpus
    counts = frequencies(corpus, 3, 1)
    assert (counts[CHAIN == 0] == 0).all()
    assert (counts[CHAIN > 0] > 0).all()


def test_first_tokens_are_uniform_and_given():
    drawn = datasets.markov(CHAIN, documents=3000, length=3)
    corpus = drawn.corpus
    assert (corpus.given == 1).all()
    assert corpus.nobs == 6000
    first = np.bincount(corpus.tokens[corpus.offsets[:-1]], minlength=3) / 3000
    assert_allclose(first, 1 / 3, atol=5 * np.sqrt(2 / 9 / 3000))
    assert corpus.vocabulary.bos not in corpus.contexts(1)


def test_a_seed_fixes_the_draw():
    one, again, other = (datasets.load("markov", states=3, seed=seed, heterogeneity=0.5) for seed in (1, 1, 2))
    assert one.corpus.fingerprint == again.corpus.fingerprint != other.corpus.fingerprint
    assert_array_equal(one.truth, again.truth)
    assert_array_equal(one.truth_by_document, again.truth_by_document)


def test_types_are_the_states_also_where_one_never_occurs():
    corpus = datasets.markov(states=12, documents=1, length=3).corpus
    assert corpus.vocabulary.types == tuple(map(str, range(12)))
    assert corpus.vocabulary.size == 12


def test_ends_are_tokens_of_their_own():
    corpus = datasets.markov(states=2, documents=5, length=4, eos=True).corpus
    assert corpus.nobs == 5 * (3 + 1)
    assert (corpus.tokens[corpus.offsets[1:] - 1] == corpus.vocabulary.eos).all()


def test_concentration_says_how_far_rows_are_from_uniform():
    sharp, flat = (datasets.markov(states=5, lags=2, concentration=c).truth for c in (0.01, 100.0))
    assert sharp.max(axis=-1).mean() > 0.9
    assert flat.max(axis=-1).mean() < 0.3


@pytest.mark.parametrize("heterogeneity", [0.1, 1.0])
def test_documents_differ_around_the_truth_as_much_as_asked(heterogeneity):
    drawn = datasets.markov(CHAIN, documents=4000, length=2, heterogeneity=heterogeneity)
    own = drawn.truth_by_document
    assert own.shape == (4000, 3, 3)
    assert_allclose(own.sum(axis=-1), 1, rtol=1e-12)
    variance = CHAIN * (1 - CHAIN) * heterogeneity / (1 + heterogeneity)
    assert_allclose(own.mean(axis=0), CHAIN, atol=5 * np.sqrt(variance.max() / 4000))
    assert_allclose(own.var(axis=0), variance, rtol=0.12, atol=1e-15)  # its relative error is about sqrt(3 / 4000)
    assert (own[:, CHAIN == 0] == 0).all()


def test_tokens_of_one_document_correlate_by_h_over_one_plus_h():
    same = np.full((2, 2), 0.5)
    same_rows = datasets.markov(same, documents=6000, length=30, heterogeneity=0.25, seed=5)
    # Two tokens that follow the same context in one document: the first two that follow state 0.
    corpus = same_rows.corpus
    context, token = corpus.contexts(1)[:, 0].reshape(6000, 29), corpus.targets.reshape(6000, 29)
    pairs = np.array([t[c == 0][:2] for c, t in zip(context, token, strict=True) if (c == 0).sum() >= 2])
    assert len(pairs) > 5000
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(0.2, abs=5 / np.sqrt(len(pairs)))


def test_alike_documents_have_no_parameters_of_their_own():
    drawn = datasets.markov(CHAIN)
    assert drawn.truth_by_document is None
    assert_array_equal(drawn.truth, CHAIN)
    with pytest.raises(ValueError, match="read-only"):
        drawn.truth[0, 0] = 1
    assert CHAIN.flags.writeable


@pytest.mark.parametrize("heterogeneity", [1e-6, 1e6])
def test_the_extremes_of_heterogeneity_are_distributions(heterogeneity):
    own = datasets.markov(CHAIN, documents=20, length=5, heterogeneity=heterogeneity).truth_by_document
    assert_allclose(own.sum(axis=-1), 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transition": [[0.9, 0.2], [0.5, 0.5]]}, r"1 of the 2 rows .* \(worst: 1\.1 after state 0\)"),
        ({"transition": [[1.1, -0.1], [0.5, 0.5]]}, r"1 of the 4 entries .* negative or not finite \(smallest: -0\.1\)"),
        ({"transition": [[np.nan, 1], [0.5, 0.5]]}, "1 of the 4 entries .* negative or not finite"),
        ({"transition": [[0.5, 0.5]]}, r"transition has shape \(1, 2\)"),
        ({"transition": [0.5, 0.5]}, r"transition has shape \(2,\)"),
        ({"transition": [[1.0]]}, r"transition has shape \(1, 1\)"),
        ({"transition": [[0.5, 0.5], [1]]}, "transition is no array of numbers"),
        ({"transition": "ab"}, "transition is no array of numbers"),
        ({"states": 1}, "states=1, lags=1: a chain needs at least 2 states"),
        ({"lags": 0}, "states=4, lags=0: .* or it is no chain"),
        ({"states": 100, "lags": 9}, r"100 states and 9 lags have 100\^10 transition probabilities"),
        ({"concentration": 0.0}, "concentration=0.0 lies outside 1e-06 to 1e.06"),
        ({"documents": 0}, "0 documents of 100 tokens, of which the first 1 are given, hold no transition"),
        ({"lags": 3, "length": 3}, "100 documents of 3 tokens, of which the first 3 are given.*length=4 or more"),
        ({"heterogeneity": -1}, r"heterogeneity=-1 lies outside 0 to 1e\+06"),
        ({"heterogeneity": np.nan}, "heterogeneity=nan lies outside"),
        (
            {"states": 100, "documents": 10_001, "heterogeneity": 1},
            "10,001 documents with 10,000 transition probabilities .* 100,010,000 numbers",
        ),
    ],
)
def test_what_is_no_chain_is_refused_with_numbers_and_advice(settings, message):
    with pytest.raises(SpecificationError, match=message):
        datasets.markov(**settings)


# --- sums -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [1, 2, 5, 18])
@pytest.mark.parametrize("reverse", [False, True])
def test_sums_are_written_to_a_fixed_width_and_are_true(digits, reverse):
    drawn = datasets.load("addition", digits=digits, documents=50, reverse=reverse)
    corpus, truth = drawn.corpus, drawn.truth
    assert truth.columns.tolist() == ["a", "b", "sum"]
    assert len(truth) == corpus.ndocuments == 50
    assert (np.diff(corpus.offsets) == 3 * digits + 3).all()
    for number in range(50):
        a, b, answer = re.split(r"[+=]", corpus.text(number))
        answer = answer[::-1] if reverse else answer
        assert int(a) + int(b) == int(answer)
        assert [int(a), int(b), int(answer)] == truth.iloc[number].tolist()


def test_sums_can_be_conditioned_on_the_question():
    corpus = datasets.addition(digits=3, documents=20, given=8).corpus
    assert corpus.nobs == 20 * 4
    assert datasets.addition(digits=3, documents=20, eos=True, given=8).corpus.nobs == 20 * 5


def test_every_digit_is_a_type_in_the_smallest_sample():
    one = datasets.addition(digits=1, documents=1).corpus.vocabulary
    assert one.types == tuple("+0123456789=")
    assert one.fingerprint == datasets.addition(digits=3).corpus.vocabulary.fingerprint


def test_sums_are_fixed_by_their_seed():
    one, again, other = (datasets.addition(documents=20, seed=seed) for seed in (0, 0, 1))
    assert one.corpus.fingerprint == again.corpus.fingerprint != other.corpus.fingerprint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"digits": 0}, "digits=0 is out of range"),
        ({"digits": 19}, "digits=19 is out of range: .* more than 18 digits"),
        ({"documents": 0}, "documents=0 leaves nothing to predict"),
    ],
)
def test_sums_out_of_range_are_refused(settings, message):
    with pytest.raises(SpecificationError, match=message):
        datasets.addition(**settings)
