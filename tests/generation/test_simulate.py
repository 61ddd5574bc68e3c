from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import statlm as slm
from statlm.errors import CorpusError, SpecificationError
from statlm.generation.simulate import LONGER, simulate

WEATHER = [
    ["sun", "sun", "rain", "sun", "rain", "rain", "sun", "snow"],
    ["rain", "snow", "snow", "sun"],
    ["sun", "rain", "rain"],
]


@dataclass(frozen=True)
class Remembering:
    """A model's distribution, declared to depend on everything: drawn from without a table of contexts."""

    likelihood: slm.Predictive
    memory: None = None

    @property
    def corpus(self):
        return self.likelihood.corpus

    def logprobs(self, contexts):
        return self.likelihood.logprobs(contexts)


def chain(eos=False, given=0, n=2):
    return slm.NGram(n=n).fit(slm.Corpus.from_tokens(WEATHER, eos=eos, given=given))


@pytest.fixture(scope="module", params=["table", "abreast"])
def way(request):
    """Both ways to draw: by a table of contexts, and all documents abreast."""
    return (lambda fit: fit) if request.param == "table" else (lambda fit: Remembering(fit.likelihood))


@pytest.mark.parametrize("given", [0, 1, 2])
def test_a_replicate_has_the_shape_and_the_given_tokens_of_the_corpus(way, given):
    fit = chain(given=given)
    replicate = simulate(way(fit), seed=1)
    assert replicate.vocabulary is fit.corpus.vocabulary
    assert_array_equal(replicate.offsets, fit.corpus.offsets)
    assert_array_equal(replicate.given, fit.corpus.given)
    assert replicate.tokens.dtype == fit.corpus.tokens.dtype
    assert replicate.documents.equals(fit.corpus.documents)
    for start, many in zip(fit.corpus.offsets[:-1], fit.corpus.given, strict=True):
        assert_array_equal(replicate.tokens[start : start + many], fit.corpus.tokens[start : start + many])
    assert not np.array_equal(replicate.tokens, fit.corpus.tokens)


def test_equal_seeds_give_equal_corpora(way):
    model = way(chain(eos=True))
    prints = [simulate(model, documents=20, seed=seed).fingerprint for seed in (4, 4, 5)]
    assert prints[0] == prints[1] != prints[2]


def test_every_draw_is_possible_under_the_model(way):
    fit = chain(eos=True, n=3)
    replicate = simulate(way(fit), documents=200, seed=2)
    assert np.isfinite(fit.on(replicate).loglike_obs()).all()


def test_refitting_recovers_the_transition_probabilities(way):
    fit = chain()
    refit = slm.NGram(n=2).fit(simulate(way(fit), documents=400, length=100, seed=3))
    probabilities, again = (
        model.predict([["sun"], ["rain"], ["snow"]]).set_index(["context", "token"]) for model in (fit, refit)
    )
    truth = probabilities["probability"]
    found = again["probability"][truth.index]
    visits = {c: refit.likelihood.counts_of([[fit.corpus.vocabulary.ids_of([c])[0]]]).sum() for c in ("sun", "rain", "snow")}
    n = truth.index.get_level_values("context").map(visits).to_numpy()
    errors = np.sqrt(truth * (1 - truth) / n)
    assert n.min() > 5_000
    assert (np.abs(found - truth) <= 5 * errors).all()  # 5: one in a million a cell if the draws are right


def test_first_tokens_have_their_own_distribution(way):
    fit = chain()
    replicate = simulate(way(fit), documents=9_000, length=1, seed=6)
    share = np.bincount(replicate.tokens, minlength=3) / 9_000
    truth = np.exp(fit.logprobs(np.array([[fit.corpus.vocabulary.bos]]))[0])
    assert_allclose(share, truth, atol=5 * np.sqrt(0.25 / 9_000))


def test_the_mean_log_likelihood_of_a_replicate_is_minus_the_models_entropy_rate(way):
    fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra" * 30))
    mean = fit.on(simulate(way(fit), documents=100, length=200, seed=8)).loglike_obs().mean()
    assert_allclose(mean, fit.loglike_obs().mean(), atol=0.02)  # 20,000 draws of standard deviation about 0.5: 5 errors


def test_documents_end_where_the_end_is_drawn(way):
    fit = chain(eos=True)
    replicate = simulate(way(fit), documents=500, seed=9)
    eos = fit.corpus.vocabulary.eos
    assert replicate.ndocuments == 500
    assert_array_equal(np.flatnonzero(replicate.tokens == eos), replicate.offsets[1:] - 1)
    assert len(np.unique(np.diff(replicate.offsets))) > 5


def test_a_document_that_reaches_its_length_without_an_end_is_cut_there(way):
    fit = chain(eos=True)
    replicate = simulate(way(fit), documents=500, length=4, seed=9)
    lengths, last = np.diff(replicate.offsets), replicate.tokens[replicate.offsets[1:] - 1]
    ended = last == fit.corpus.vocabulary.eos
    assert lengths.max() == 4
    assert (lengths[~ended] == 4).all()
    assert 0 < ended.sum() < 500


def test_an_end_that_never_comes_is_cut_at_ten_times_the_longest_document(way):
    fit = chain(eos=True)
    eos = fit.corpus.vocabulary.eos

    @dataclass(frozen=True)
    class Endless:
        corpus: slm.Corpus
        memory: int | None

        def logprobs(self, contexts):
            rows = fit.logprobs(contexts)
            rows[:, eos] = -np.inf  # every state of this chain has another one to go to
            return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))

    replicate = simulate(Endless(fit.corpus, way(fit).memory))
    assert_array_equal(np.diff(replicate.offsets), [LONGER * 9] * 3)  # the longest has 8 tokens and <eos>


def test_a_document_that_was_cut_before_its_end_stays_at_most_as_long(way):
    fit = slm.NGram(n=2).fit(slm.Corpus.from_tokens(WEATHER, eos=True).blocks(3))
    observed, drawn = np.diff(fit.corpus.offsets), np.diff(simulate(way(fit), seed=1).offsets)
    was_cut = fit.corpus.tokens[fit.corpus.offsets[1:] - 1] != fit.corpus.vocabulary.eos
    assert (drawn[was_cut] <= observed[was_cut]).all()


def test_other_numbers_of_documents_take_the_documents_of_reference_in_turn(way):
    fit = chain(given=1)
    replicate = simulate(way(fit), documents=7, seed=2)
    assert_array_equal(np.diff(replicate.offsets), [8, 4, 3, 8, 4, 3, 8])
    first = fit.corpus.tokens[fit.corpus.offsets[:-1]]
    assert_array_equal(replicate.tokens[replicate.offsets[:-1]], first[np.arange(7) % 3])
    assert replicate.documents["name"].tolist() == ["0", "1", "2", "0", "1", "2", "0"]


def test_length_is_that_of_every_document(way):
    replicate = simulate(way(chain(given=2)), length=50)
    assert_array_equal(np.diff(replicate.offsets), [50, 50, 50])
    assert replicate.nobs == 3 * 48


def test_another_corpus_can_give_the_shape(way):
    fit = chain()
    other = slm.Corpus.from_tokens([["snow"] * 5, ["rain"] * 6], vocabulary=fit.corpus.vocabulary, given=3)
    replicate = simulate(way(fit), like=other)
    assert_array_equal(replicate.offsets, [0, 5, 11])
    assert_array_equal(replicate.tokens[:3], other.tokens[:3])


def test_documents_that_are_given_in_full_are_copied(way):
    fit = chain(eos=True, given=4)  # the last has three tokens and <eos>
    replicate = simulate(way(fit), seed=3)
    assert_array_equal(replicate.tokens[replicate.offsets[-2] :], fit.corpus.tokens[fit.corpus.offsets[-2] :])
    assert replicate.given[-1] == 4


@pytest.mark.parametrize("n", [0, 1, 3, 8])
def test_any_memory_can_be_simulated(n):
    fit = slm.NGram(n=n, pseudo_count=0.1).fit(slm.Corpus.from_text("abracadabra"))
    assert simulate(fit, seed=1).nobs == 11


def test_long_given_contexts_count_as_far_as_the_memory_reaches():
    # With three lags the fourth letter is certain; the given tokens decide it.
    corpus = slm.Corpus.from_texts(["abcd", "bbce", "cbcf"], eos=False, given=3)
    replicate = simulate(slm.NGram(n=4).fit(corpus), seed=1)
    assert_array_equal(replicate.tokens, corpus.tokens)


def test_a_table_that_is_full_starts_anew(monkeypatch):
    fit = slm.NGram(n=3, pseudo_count=0.2).fit(slm.Corpus.from_text("abracadabra" * 5))
    whole = simulate(fit, length=500, seed=5).tokens
    monkeypatch.setattr("statlm.generation.simulate.TABLE_SIZE", 20)
    assert_array_equal(simulate(fit, length=500, seed=5).tokens, whole)


def test_few_contexts_at_a_time_are_asked_of_a_model_with_many_types(monkeypatch):
    fit = slm.NGram(n=3, pseudo_count=0.2).fit(slm.Corpus.from_text("abracadabra" * 5))
    asked = []

    @dataclass(frozen=True)
    class Counting:
        corpus: slm.Corpus
        memory: int

        def logprobs(self, contexts):
            asked.append(len(contexts))
            return fit.logprobs(contexts)

    monkeypatch.setattr("statlm.generation.simulate.BLOCK", 3 * fit.corpus.vocabulary.size)
    replicate = simulate(Counting(fit.corpus, 2), documents=100, length=30, seed=5)
    assert replicate.nobs == 3_000
    assert max(asked) == 3
    assert sum(asked) <= 25 + 5 + 1  # each context once: pairs, <bos> and a letter, <pad> and <bos>


def test_a_fit_simulates_as_its_likelihood_does():
    fit = chain()
    assert fit.simulate(seed=3).fingerprint == simulate(fit.likelihood, seed=3).fingerprint


# --- what cannot be answered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("documents", 0, r"documents=0 draws no corpus\. Choose a whole number, 1 or more\."),
        ("documents", 2.5, r"documents=2\.5 draws no corpus"),
        ("length", 0, r"length=0 draws no token\. Choose a whole number, 1 or more\."),
        ("length", True, r"length=True draws no token"),
        ("seed", -1, r"seed=-1 starts no random numbers"),
    ],
)
def test_a_setting_without_meaning_is_refused(setting, value, message):
    with pytest.raises(SpecificationError, match=message):
        simulate(chain(), **{setting: value})


def test_a_length_that_the_given_tokens_fill_is_refused():
    message = r"length=2 leaves nothing to draw in 3 of 3 documents, .* up to 2 given tokens\. Choose length=3 or more\."
    with pytest.raises(SpecificationError, match=message):
        simulate(chain(given=2), length=2)


def test_a_corpus_of_other_types_cannot_give_the_shape():
    with pytest.raises(CorpusError, match="another vocabulary"):
        simulate(chain(), like=slm.Corpus.from_tokens([["a", "b"]]))
