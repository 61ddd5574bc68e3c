"""The n-gram is the maximum-likelihood estimate of a saturated multinomial: laws and hand counts."""

from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import CorpusError, NoEstimate, SpecificationError, UnseenContextWarning

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(TEXTS)


def hand_loglike(texts, n, ends=True):
    """Log-likelihood of an n-gram MLE, counted with a dictionary."""
    pairs, contexts = Counter(), Counter()
    for text in texts:
        tokens = ["^"] * (n - 1) + list(text) + ["$"] * ends
        # Positions before <bos> are padding of their own kind, so that a context knows how early it is.
        for i in range(n - 1, len(tokens)):
            context = tuple(tokens[max(0, i - n + 1) : i])
            pairs[context, tokens[i]] += 1
            contexts[context] += 1
    return sum(count * np.log(count / contexts[context]) for (context, _), count in pairs.items())


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_loglike_equals_counting_by_hand(corpus, n):
    assert_allclose(slm.NGram(n).fit(corpus).loglike, hand_loglike(TEXTS, n), rtol=1e-13)


def test_bigram_probabilities_are_shares(corpus):
    table = slm.NGram(2).fit(corpus).predict(["a"]).set_index("token").probability
    after_a = Counter(b for text in TEXTS for a, b in zip(text, [*text[1:], "<eos>"], strict=True) if a == "a")
    assert_allclose([table[token] for token in after_a], [c / after_a.total() for c in after_a.values()], rtol=1e-14)
    assert_allclose(table.sum(), 1.0, rtol=1e-14)


def test_degrees_of_freedom_count_contexts_seen_times_types_seen_minus_one(corpus):
    fit = slm.NGram(2).fit(corpus)
    contexts = {a for text in TEXTS for a in ["<bos>", *text]}
    types = {a for text in TEXTS for a in text} | {"<eos>"}
    assert fit.dof == len(contexts) * (len(types) - 1)


def test_types_that_training_never_saw_add_no_degrees_of_freedom():
    alphabet = slm.Vocabulary(("a", "b", "c", "d"))
    corpus = slm.Corpus.from_tokens([["a", "b", "a"]], vocabulary=alphabet)
    assert slm.NGram(1).fit(corpus).dof == 1


def test_maximum_likelihood_has_score_zero(corpus):
    score = slm.NGram(3).fit(corpus).score()
    assert_allclose(score.T @ np.ones((corpus.nobs, 1)), 0.0, atol=1e-10)


def test_a_larger_n_never_fits_worse(corpus):
    logliks = [slm.NGram(n).fit(corpus).loglike for n in range(7)]
    assert (np.diff(logliks) >= -1e-9).all()


def test_uniform_spreads_over_the_support(corpus):
    fit = slm.NGram(0).fit(corpus)
    assert_allclose(fit.perplexity, corpus.vocabulary.size)
    assert fit.dof == 0
    assert len(fit.params) == 0


def test_pseudo_count_is_the_dirichlet_posterior_mean(corpus):
    a = 0.5
    fit = slm.NGram(2, pseudo_count=a).fit(corpus)
    plain = slm.NGram(2).fit(corpus).likelihood
    contexts = corpus.contexts(1)
    counts = plain.counts_of(contexts)
    expected = (counts + a) / (counts.sum(1, keepdims=True) + a * corpus.vocabulary.size)
    assert_allclose(np.exp(fit.logprobs(contexts)), expected, rtol=1e-13)


def test_the_pseudo_count_estimate_tends_to_maximum_likelihood(corpus):
    contexts = np.concatenate([corpus.contexts(2), [[0, corpus.vocabulary.size - 1]]])  # the last is unseen
    near = np.exp(slm.NGram(3, pseudo_count=1e-12).fit(corpus).logprobs(contexts))
    assert_allclose(near, np.exp(slm.NGram(3).fit(corpus).logprobs(contexts)), atol=1e-9)


def test_an_unseen_continuation_makes_the_held_out_perplexity_infinite(corpus):
    other = slm.Corpus.from_texts(["bb"], vocabulary=corpus.vocabulary)
    held = slm.NGram(2).fit(corpus).on(other)
    assert held.loglike == -np.inf
    assert held.perplexity == np.inf
    with pytest.raises(NoEstimate, match=r"perplexity is infinite: 1 of 3 observations"):
        held.perplexity_interval()


def test_unknown_tokens_have_probability_zero_without_unk(corpus):
    other = slm.Corpus.from_texts(["zab"], vocabulary=corpus.vocabulary)
    assert other.nunknown == 1
    assert np.isneginf(slm.NGram(1, pseudo_count=1).fit(corpus).on(other).loglike_obs()).tolist() == [
        True,
        False,
        False,
        False,
    ]


def test_unk_in_the_support_has_parameters():
    corpus = slm.Corpus.from_tokens([["a", "a", "b", "rare", "b", "a"]], min_count=2)
    table = slm.NGram(1).fit(corpus).predict([[]]).set_index("token").probability
    assert_allclose(table["<unk>"], 1 / 6)


def test_an_unseen_context_has_no_interval_and_is_said_so(corpus):
    fit = slm.NGram(3).fit(corpus)
    with pytest.warns(UnseenContextWarning, match="Training never saw the context 'dd'"):
        table = fit.predict(["dd"])
    assert_allclose(table.probability, 1 / corpus.vocabulary.size)
    with pytest.raises(NoEstimate, match="no interval for what was never observed"):
        fit.predict(["dd"], interval=0.95)


def test_a_cell_with_a_count_of_zero_gets_an_exact_interval_and_no_standard_error(corpus):
    row = slm.NGram(1).fit(slm.Corpus.from_tokens([["a"] * 30], vocabulary=corpus.vocabulary)).predict([""], interval=0.95)
    zero = row.set_index("token").loc["b"]
    assert np.isnan(zero.std_error)
    assert zero.method == "clopper-pearson (on the boundary)"
    assert_allclose(zero.conf_high, 1 - 0.025 ** (1 / 31), rtol=1e-9)


@pytest.mark.parametrize("n", [2, 3])
def test_the_information_equality_holds_for_the_saturated_model(corpus, n):
    fit = slm.NGram(n).fit(corpus)
    assert_allclose(fit.std_errors("opg"), fit.std_errors("nonrobust"), rtol=1e-9)
    assert_allclose(fit.std_errors("HC0"), fit.std_errors("nonrobust"), rtol=1e-9)


def test_standard_errors_of_probabilities_are_those_of_shares(corpus):
    fit = slm.NGram(2).fit(corpus)
    counts = fit.likelihood.counts_of(corpus.contexts(1)).sum(1)
    errors = fit.predict(["a"], interval=0.95).set_index("token")
    n = counts[corpus.context_columns(1)[0] == corpus.vocabulary.ids_of(["a"])[0]][0]
    inside = errors[errors.std_error.notna()]
    assert_allclose(inside.std_error, np.sqrt(inside.probability * (1 - inside.probability) / n), rtol=1e-12)


def test_vcov_diagonal_is_the_square_of_the_standard_errors():
    fit = slm.NGram(2).fit(slm.Corpus.from_texts(TEXTS * 3))
    for cov in ("nonrobust", "opg", "HC0", "cluster", slm.HAC(lags=2)):
        assert_allclose(np.sqrt(np.diag(fit.vcov(cov))), fit.std_errors(cov), rtol=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 17}, "n=17 is not an n-gram length"),
        ({"n": -1}, "n=-1 is not"),
        ({"n": 2.5}, "n=2.5 is not"),
        ({"n": True}, "n=True is not"),
        ({"n": 2, "pseudo_count": -1}, "pseudo_count=-1 is not a prior count"),
        ({"n": 2, "pseudo_count": float("nan")}, "pseudo_count=nan is not"),
        ({"n": 2, "smoothing": "magic"}, "There is no smoothing 'magic'"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SpecificationError, match=message):
        slm.NGram(**settings)


def test_n_longer_than_every_document_is_refused():
    corpus = slm.Corpus.from_texts(["ab", "ba"], eos=False)
    with pytest.raises(SpecificationError, match=r"n=3 is longer than the longest document \(2 tokens\)"):
        slm.NGram(3).fit(corpus)


def test_another_vocabulary_is_refused(corpus):
    with pytest.raises(CorpusError, match="has another vocabulary"):
        slm.NGram(1).fit(corpus).on(slm.Corpus.from_text("xyz"))


def test_parameters_outside_the_simplex_are_refused(corpus):
    fit = slm.NGram(1).fit(corpus)
    with pytest.raises(SpecificationError, match="These are not probabilities"):
        fit.at(np.full(len(fit.params), 0.9))
    with pytest.raises(SpecificationError, match="params has shape"):
        fit.at(np.ones(2))


def test_packed_and_ranked_keys_count_alike():
    generator = np.random.default_rng(0)
    small = generator.integers(0, 6, 5000)
    few = slm.Corpus.from_tokens([small], eos=False)
    types = tuple(str(i) for i in range(60_000))
    wide = slm.Corpus.from_tokens([small * 9_999], vocabulary=slm.Vocabulary(types))  # the same data, 16-bit ids
    for n in (2, 5, 8):
        assert_allclose(slm.NGram(n).fit(wide).loglike, slm.NGram(n).fit(few).loglike, rtol=1e-12)
        assert_allclose(slm.NGram(n).fit(wide).loglike_obs(), slm.NGram(n).fit(few).loglike_obs(), rtol=1e-12)
