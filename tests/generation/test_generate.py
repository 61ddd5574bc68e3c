from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chisquare

import statlm as slm
from statlm.errors import CorpusError, SpecificationError
from statlm.generation.generate import generate, next_token_table

VERSE = """shall i compare thee to a summers day
thou art more lovely and more temperate
rough winds do shake the darling buds of may
and summers lease hath all too short a date"""


@dataclass(frozen=True)
class Urn:
    """Polya's urn: a token is drawn in proportion to 1 + how often the document has had it. Remembers everything."""

    corpus: slm.Corpus
    memory: None = None

    def logprobs(self, contexts):
        size = self.corpus.vocabulary.size
        counts = 1.0 + np.stack([(contexts == token).sum(axis=1) for token in range(size)], axis=1)
        return np.log(counts / counts.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def letters():
    return slm.NGram(n=3).fit(slm.Corpus.from_text(VERSE, split="line"))


@pytest.fixture(scope="module")
def abra():
    return slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))


def document(model, start, tokens):
    """The corpus of one document, its start given."""
    ids = np.append(start, tokens).astype(model.corpus.vocabulary.dtype)
    offsets = np.array([0, len(ids)])
    return slm.Corpus(model.corpus.vocabulary, ids, offsets, np.array([len(start)]), pd.DataFrame({"name": ["drawn"]}))


def test_a_generation_has_a_row_a_drawn_token(letters):
    drawn = generate(letters, "sh", samples=3, max_tokens=30, seed=1)
    lengths = [len(tokens) for tokens in drawn.tokens]
    assert drawn.table.columns.tolist() == ["sample", "position", "token", "loglike", "sampler_loglike"]
    assert len(drawn.texts) == len(drawn.documents) == 3
    assert_array_equal(drawn.table["sample"], np.repeat([0, 1, 2], lengths))
    assert_array_equal(drawn.table["position"], np.concatenate([2 + np.arange(n) for n in lengths]))
    assert drawn.table["token"].tolist() == [letters.corpus.vocabulary.tokens[i] for tokens in drawn.tokens for i in tokens]
    assert drawn.loglike.shape == drawn.sampler_loglike.shape == (3,)


def test_the_log_likelihood_is_that_of_the_drawn_document(letters):
    drawn = generate(letters, "th", samples=4, seed=2, temperature=0.8, top_k=3)
    start = letters.corpus.vocabulary.ids_of("th")
    for sample, tokens in enumerate(drawn.tokens):
        expected = letters.on(document(letters, start, tokens)).loglike_obs()
        rows = drawn.table[drawn.table["sample"] == sample]
        assert expected.shape == (len(tokens),)
        assert_allclose(rows["loglike"], expected, rtol=1e-12)
        assert_allclose(drawn.loglike[sample], expected.sum(), rtol=1e-12)


def test_without_truncation_the_sampler_is_the_model(letters):
    table = generate(letters, samples=5, seed=3).table
    assert_allclose(table["sampler_loglike"], table["loglike"], rtol=1e-12, atol=1e-14)


def test_the_samplers_log_likelihood_is_renormalised_over_what_was_kept(abra):
    table = generate(abra, "a", max_tokens=50, top_k=2, seed=4).table
    after_a = np.append(True, table["token"].to_numpy()[:-1] == "a")
    # After "a" the model has b 1/2, c 1/4, d 1/4; the two kept are b and c.
    expected = np.log(np.where(table["token"] == "b", 2 / 3, 1 / 3))
    assert set(table["token"][after_a]) == {"b", "c"}
    assert_allclose(table["sampler_loglike"][after_a], expected[after_a], rtol=1e-12)


def test_draws_have_the_frequencies_of_the_model(abra):
    first = generate(abra, "a", max_tokens=1, samples=20_000, seed=5).table["token"].value_counts()
    assert set(first.index) == {"b", "c", "d"}
    assert chisquare(first[["b", "c", "d"]], 20_000 * np.array([0.5, 0.25, 0.25])).pvalue > 0.001


@pytest.mark.parametrize("settings", [{"greedy": True}, {"temperature": 0}, {"temperature": 1e-9, "top_k": 1}, {"top_k": 1}])
def test_greedy_by_any_name_takes_the_most_probable_token(abra, settings):
    assert str(generate(abra, "c", max_tokens=6, **settings)) == "cabrabr"


def test_greedy_wins_over_the_other_settings(abra):
    drawn = generate(abra, "c", max_tokens=6, greedy=True, temperature=5.0, samples=2)
    assert drawn.texts == ["abrabr", "abrabr"]
    assert_array_equal(drawn.sampler_loglike, [0.0, 0.0])


def test_equal_seeds_give_equal_samples(letters):
    one, same, other = (generate(letters, samples=3, seed=seed) for seed in (7, 7, 8))
    assert one.texts == same.texts
    pd.testing.assert_frame_equal(one.table, same.table)
    assert one.texts != other.texts


def test_the_first_sample_does_not_depend_on_how_many_are_drawn(letters):
    assert generate(letters, seed=9).texts == generate(letters, seed=9, samples=40).texts[:1]


def test_samples_are_the_same_however_many_are_drawn_abreast(letters, monkeypatch):
    together = generate(letters, samples=11, seed=10)
    monkeypatch.setattr("statlm.generation.generate.BLOCK", 4 * letters.corpus.vocabulary.size)
    apart = generate(letters, samples=11, seed=10)
    pd.testing.assert_frame_equal(together.table, apart.table)


def test_a_sample_ends_at_the_end_of_the_document(letters):
    drawn = generate(letters, samples=50, max_tokens=400, seed=11)
    eos = letters.corpus.vocabulary.eos
    assert all(tokens[-1] == eos or len(tokens) == 400 for tokens in drawn.tokens)
    assert sum(tokens[-1] == eos for tokens in drawn.tokens) > 40
    assert not any((tokens[:-1] == eos).any() for tokens in drawn.tokens)
    assert not any("<eos>" in text for text in drawn.texts)


def test_without_ends_a_sample_has_max_tokens(abra):
    assert [len(tokens) for tokens in generate(abra, samples=4, max_tokens=13).tokens] == [13] * 4


@pytest.mark.parametrize("stop", ["r", ["r"], ["r", "d"], [4]])
def test_a_sample_ends_at_a_stop_token_and_keeps_it(abra, stop):
    drawn = generate(abra, "a", samples=30, max_tokens=60, seed=12, stop=stop)
    ends = {"r", "d"} if stop == ["r", "d"] else {"r"}
    assert {text[-1] for text in drawn.texts} == ends
    assert not any(ends & set(text[:-1]) for text in drawn.texts)


def test_a_byte_pair_is_a_stop_by_its_text():
    fit = slm.NGram(n=2).fit(slm.Corpus.from_text("to be\nor not\nto be\n" * 20, slm.BytePairs(size=256)))
    drawn = generate(fit, "to", samples=5, stop="\n", seed=1)
    assert all(text.endswith("\n") and text.count("\n") == 1 for text in drawn.texts)
    assert all(whole == "to" + text for whole, text in zip(drawn.documents, drawn.texts, strict=True))


def test_a_prompt_is_the_beginning_of_a_document(letters):
    # Every line begins with s, t, r or a; without <bos> before the prompt the unseen context would be uniform.
    assert {text[0] for text in generate(letters, samples=100, max_tokens=1).texts} == set("stra")


@pytest.mark.parametrize("prompt", ["ab", ["a", "b"], [0, 1], np.array([0, 1]), ("a", "b")])
def test_a_prompt_is_text_or_tokens_or_ids(abra, prompt):
    drawn = generate(abra, prompt, max_tokens=5, seed=13)
    assert drawn.prompt == "ab"
    assert str(drawn) == "ab" + drawn.texts[0]


def test_models_of_states_are_continued_without_a_tokenizer():
    fit = slm.NGram(n=2).fit(slm.Corpus.from_tokens([["sun", "rain", "sun"], ["rain", "sun"]]))
    drawn = generate(fit, ["sun"], max_tokens=1, greedy=True)
    assert drawn.table["token"].tolist() == ["<eos>"]
    assert (drawn.texts, str(drawn)) == ([""], "sun")
    assert str(generate(fit, greedy=True, max_tokens=1)) == "rain"  # both begin one document: the lower id
    assert str(generate(fit, ["rain"], greedy=True)) == "rain sun"


def test_words_are_joined_by_spaces():
    fit = slm.NGram(n=3).fit(slm.Corpus.from_text("to be or not to be", slm.Words()))
    assert str(generate(fit, "to be", max_tokens=2, greedy=True)) == "to be or not"


def test_a_model_that_remembers_everything_gets_the_whole_context(abra):
    urn = Urn(abra.corpus)
    drawn = generate(urn, "ab", samples=3, max_tokens=40, seed=14)
    for sample, tokens in enumerate(drawn.tokens):
        counts = np.array([2.0, 2.0, 1.0, 1.0, 1.0])
        expected = []
        for token in tokens:
            expected.append(np.log(counts[token] / counts.sum()))
            counts[token] += 1
        assert_allclose(drawn.table["loglike"][drawn.table["sample"] == sample], expected, rtol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_any_memory_can_be_continued(n):
    fit = slm.NGram(n=n, pseudo_count=0.5).fit(slm.Corpus.from_text("abracadabra"))
    assert len(generate(fit, "abr", max_tokens=9).tokens[0]) == 9


def test_an_unknown_token_is_a_context_where_it_has_a_probability():
    fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra", min_count=2))
    assert generate(fit, "xyz", max_tokens=3).prompt == "xyz"
    assert "<unk>" in generate(fit, "a", max_tokens=200, seed=1).texts[0]


def test_a_fit_continues_as_its_likelihood_does(letters):
    assert letters.generate("a", seed=3).texts == generate(letters.likelihood, "a", seed=3).texts


def test_printing_shows_every_sample(abra):
    drawn = generate(abra, "a", samples=2, max_tokens=4, seed=0)
    assert str(drawn) == f"[0] a{drawn.texts[0]}\n\n[1] a{drawn.texts[1]}"
    assert repr(drawn) == "<Generation: 2 samples, 8 tokens, after 'a'>"
    assert repr(generate(abra, "a", max_tokens=1)) == "<Generation: 1 sample, 1 token, after 'a'>"


# --- the table of one step --------------------------------------------------------------------------------------------


def test_the_table_of_one_step_shows_each_stage(abra):
    table = next_token_table(abra, "a", temperature=0.5, top_k=2, top_p=0.7)
    assert table.columns.tolist() == ["token", "probability", "after_temperature", "after_top_k", "after_top_p"]
    assert table["token"].tolist() == ["b", "c", "d", "a", "r"]
    assert_allclose(table["probability"], [1 / 2, 1 / 4, 1 / 4, 0, 0], rtol=1e-12)
    assert_allclose(table["after_temperature"], [4 / 6, 1 / 6, 1 / 6, 0, 0], rtol=1e-12)
    assert_allclose(table["after_top_k"], [4 / 5, 1 / 5, 0, 0, 0], rtol=1e-12)
    assert_allclose(table["after_top_p"], [1, 0, 0, 0, 0], rtol=1e-12)


def test_the_table_of_one_step_is_what_generate_draws_from(letters):
    settings = {"temperature": 1.3, "top_k": 6, "top_p": 0.9}
    expected = next_token_table(letters, "th", **settings).set_index("token")["after_top_p"]
    drawn = generate(letters, "th", max_tokens=1, samples=200, **settings).table
    assert_allclose(np.exp(drawn["sampler_loglike"]), expected[drawn["token"]], rtol=1e-12)


# --- what cannot be answered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("temperature", -1, r"temperature=-1 divides no log-probability"),
        ("temperature", float("nan"), r"temperature=nan divides no log-probability"),
        ("top_k", 0, r"top_k=0 leaves no token to draw"),
        ("top_p", 0.0, r"top_p=0\.0 is not a share"),
        ("top_p", 1.5, r"top_p=1\.5 is not a share"),
        ("max_tokens", 0, r"max_tokens=0 draws no token\. Choose a whole number, 1 or more\."),
        ("max_tokens", 2.5, r"max_tokens=2\.5 draws no token"),
        ("samples", 0, r"samples=0 asks for no continuation\. Choose a whole number, 1 or more\."),
        ("seed", -1, r"seed=-1 starts no random numbers that can be drawn again\. Choose a whole number, 0 or more\."),
        ("seed", None, r"seed=None starts no random numbers"),
        (
            "stop",
            "ab",
            r"stop='ab' is not one token that the model predicts, so no draw can be it\. Choose tokens of .* 5, or cut",
        ),
        ("stop", "", r"stop='' is not one token"),
        ("stop", "z", r"stop='z' is not one token"),
        ("stop", ["a", "<bos>"], r"stop='<bos>' is not one token"),
        ("stop", 99, r"stop=99 is not one token"),
    ],
)
def test_a_setting_without_meaning_is_refused(abra, setting, value, message):
    with pytest.raises(SpecificationError, match=message):
        generate(abra, "a", **{setting: value})


def test_a_stop_that_the_vocabulary_lacks_is_not_taken_for_the_unknown_token():
    fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra", min_count=2))
    with pytest.raises(SpecificationError, match="stop='z' is not one token"):
        generate(fit, "a", stop="z")
    assert generate(fit, "a", stop="<unk>", max_tokens=500).texts[0].endswith("<unk>")


def test_a_prompt_with_tokens_that_the_vocabulary_lacks_is_refused_by_name(abra):
    message = (
        r"The prompt holds 'x', 'é', which the vocabulary of 5 types lacks, .* or train on a corpus made with unk=True\."
    )
    with pytest.raises(CorpusError, match=message):
        generate(abra, "axbe\u0301x")  # e and a combining accent are one letter
    with pytest.raises(CorpusError, match="The prompt holds 'z', which"):
        next_token_table(abra, ["a", "z"])
    with pytest.raises(CorpusError, match="The prompt holds 't', 'u', 'v', 'w', 'x' and 2 more, which"):
        generate(abra, "tuvwxyz")
    words = slm.NGram(n=2).fit(slm.Corpus.from_text("to be or not to be", slm.Words()))
    with pytest.raises(CorpusError, match="The prompt holds 'was', which"):
        generate(words, "to was be")


def test_a_prompt_beyond_the_end_of_its_document_is_refused(letters):
    with pytest.raises(CorpusError, match=r"The prompt holds <eos>, .* nothing to continue\. Leave it out\."):
        generate(letters, ["t", "<eos>"])


@pytest.mark.parametrize("prompt", [None, 3, ["a", 1], [0.5], [None]])
def test_a_prompt_that_is_no_text_and_no_tokens_is_refused(abra, prompt):
    with pytest.raises(
        CorpusError, match=r"A prompt is a text, a list of tokens, or a list of ids; got .* Write for example"
    ):
        generate(abra, prompt)


def test_a_text_prompt_needs_a_tokenizer():
    fit = slm.NGram(n=1).fit(slm.Corpus.from_tokens([["sun", "rain"]]))
    with pytest.raises(CorpusError, match="has no tokenizer, so it cannot cut a text"):
        generate(fit, "sun")
