import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import statlm.report.augment as module
from statlm.models.ngram import NGram
from statlm.report.augment import augment
from statlm.text.corpus import Corpus
from statlm.text.tokenizers import BytePairs, Words

PORTUGUESE = 'Não há razão.\n\nA emoção — e o coração — não têm pão; João põe "ções".\n\nOlá,  mãe!\tÉ já?'
SETTINGS = {"char": "char", "word": "word", "lowercase": Words(lowercase=True), "bpe": BytePairs(size=280)}


class Endless:
    """A distribution that depends on all the tokens before: memory None. Mixes uniform with counts so far."""

    memory = None

    def __init__(self, corpus, memory=None):
        self.corpus = corpus
        self.memory = memory

    def logprobs(self, contexts):
        size = self.corpus.vocabulary.size
        if self.memory is not None:
            contexts = contexts[:, max(contexts.shape[1] - self.memory, 0) :]
        seen = np.stack([(contexts == w).sum(axis=1) for w in range(size)], axis=1)
        return np.log((seen + 0.5) / (seen + 0.5).sum(axis=1, keepdims=True))

    def loglike_obs(self):
        longest = int(self.corpus.positions.max()) + 1
        targets = self.corpus.targets.astype(int)
        return self.logprobs(self.corpus.contexts(longest))[np.arange(len(targets)), targets]

    def on(self, corpus):
        return Endless(corpus, self.memory)


def brute_force(model):
    """Entropy (bits) and rank of each observation, one context at a time."""
    corpus = model.corpus
    width = int(corpus.positions.max()) + 1 if model.memory is None else model.memory
    entropies, ranks = [], []
    for context, target, own in zip(corpus.contexts(width), corpus.targets, model.loglike_obs(), strict=True):
        logp = model.logprobs(context[None, :])[0]
        p = np.exp(logp)
        entropies.append(-sum(q * np.log2(q) for q in p if q > 0))
        mine = logp[target] if target < len(logp) else own
        ranks.append(1 + sum(1 for other in logp if other > mine))
    return np.array(entropies), np.array(ranks)


def models():
    corpus = Corpus.from_texts(["abracadabra", "cabra da barra", "a"])
    states = Corpus.from_tokens([["x", "y", "x", "x"], ["y", "z"]], given=1)
    train, test = Corpus.from_text("abracadabra" * 4 + "bardo").split(test=0.3)
    other = Corpus.from_text("zebra", vocabulary=train.vocabulary)  # z is unknown, outside the support
    return {
        "unigram": NGram(n=1).fit(corpus),
        "bigram": NGram(n=2).fit(corpus),
        "trigram": NGram(n=3, pseudo_count=0.3).fit(corpus),
        "uniform": NGram(n=0).fit(corpus),
        "states": NGram(n=2).fit(states),
        "held out": NGram(n=2).fit(train).on(test),
        "unknown": NGram(n=2).fit(train).on(other),
        "endless": Endless(corpus),
        "endless, given": Endless(states),
        "long memory": Endless(corpus, memory=20),
    }


@pytest.fixture(params=list(models()))
def model(request):
    return models()[request.param]


def test_columns_and_one_row_an_observation(model):
    table = augment(model)
    assert len(table) == model.corpus.nobs
    spans = ["start", "stop"] if model.corpus.token_sizes is not None else []
    assert list(table.columns) == [
        *["document", "position", *spans, "token", "loglike", "surprisal", "entropy", "rank", "correct"]
    ]


def test_loglike_is_that_of_the_model_and_surprisal_is_the_same_in_bits(model):
    table = augment(model)
    assert_array_equal(table.loglike, model.loglike_obs())
    assert_allclose(table.surprisal, -model.loglike_obs() / np.log(2), rtol=1e-14)
    assert not np.signbit(table.surprisal).any()


def test_entropy_and_rank_agree_with_brute_force(model):
    table = augment(model)
    entropy, rank = brute_force(model)
    assert_allclose(table.entropy, entropy, atol=1e-12)
    assert_array_equal(table["rank"], rank)
    assert_array_equal(table.correct, rank == 1)


def test_chunks_concatenate_to_the_whole(model, monkeypatch):
    whole = augment(model)
    monkeypatch.setattr(module, "CHUNK", 40)
    monkeypatch.setattr(module, "BLOCK", 7)
    pd.testing.assert_frame_equal(augment(model), whole)


def test_no_chunk_is_larger_than_its_bound(monkeypatch):
    corpus = Corpus.from_text("abracadabra" * 30)
    model = Endless(corpus)
    monkeypatch.setattr(module, "CHUNK", 2_000)
    sizes = []
    logprobs = model.logprobs
    model.logprobs = lambda contexts: (sizes.append(contexts.size), logprobs(contexts))[1]
    augment(model)
    # The first entry is loglike_obs() of the toy itself.
    assert max(sizes[1:]) <= 2_000
    assert len(sizes) > 10


@pytest.mark.parametrize("name", SETTINGS)
def test_spans_tile_the_text_and_give_back_its_slices(name):
    corpus = Corpus.from_text(PORTUGUESE, SETTINGS[name], split="paragraph")
    table = augment(NGram(n=1).fit(corpus))
    for text, document in zip(PORTUGUESE.split("\n\n"), corpus.documents["name"], strict=True):
        rows = table[table.document == document]
        assert rows.start.iloc[0] == 0
        assert rows.stop.iloc[-1] == len(text)
        assert_array_equal(rows.start.iloc[1:], rows.stop.iloc[:-1])
        slices = [text[a:b] for a, b in zip(rows.start, rows.stop, strict=True)]
        assert "".join(slices) == text
        assert rows.token.iloc[-1] == "<eos>"
        assert slices[-1] == ""
        if name == "char":
            assert slices[:-1] == rows.token.tolist()[:-1]
        if name == "word":
            assert [s.strip() for s in slices[:-1]] == rows.token.tolist()[:-1]
        if name == "lowercase":
            assert [s.strip().lower() for s in slices[:-1]] == rows.token.tolist()[:-1]


def test_a_letter_typed_with_a_combining_accent_has_the_span_of_its_nfc_form():
    corpus = Corpus.from_text("a\u0303o", eos=False)
    table = augment(NGram(n=1).fit(corpus))
    assert table.token.tolist() == ["ã", "o"]
    assert table.stop.tolist() == [1, 2]


def test_given_tokens_shift_the_spans_and_have_no_row():
    corpus = Corpus.from_texts(["João põe", "pão mãe"]).with_given(3)
    table = augment(NGram(n=1).fit(corpus))
    first = table[table.document == "0"]
    assert first.position.tolist() == [3, 4, 5, 6, 7, 8]
    assert ["João põe"[a:b] for a, b in zip(first.start, first.stop, strict=True)] == [*"o põe", ""]


def test_on_the_training_text_the_mean_surprisal_of_a_saturated_model_is_its_mean_entropy():
    table = augment(NGram(n=2).fit(Corpus.from_text("abracadabra barbara")))
    assert_allclose(table.surprisal.mean(), table.entropy.mean(), rtol=1e-12)


def test_ties_share_the_best_rank():
    table = augment(NGram(n=0).fit(Corpus.from_text("abc")))
    assert table["rank"].tolist() == [1, 1, 1]


def test_documents_are_named():
    corpus = Corpus.from_texts(["ab", "ba"], names=["first", "second"])
    table = augment(NGram(n=1).fit(corpus))
    assert table.document.tolist() == ["first"] * 3 + ["second"] * 3
