"""A pretrained model is a distribution like any other: the same numbers as the library's, and all verbs."""

import numpy as np
import pytest

import statlm as slm
from statlm.errors import CorpusError, SpecificationError
from statlm.generation.generate import next_token_table
from statlm.testing import check_predictive

pytest.importorskip("transformers", reason="needs transformers: pip install 'statlm[hf]'")
torch = pytest.importorskip("torch", reason="needs torch")

from statlm.interop import huggingface as hf  # noqa: E402 - after the skips

TEXTS = ["the cat sat on the mat", "a dog; the bird said São João <|endoftext|> in the log", "the mat, the log and the cat"]


@pytest.fixture(scope="module")
def tiny(gpt2):
    return hf.load(gpt2, precision="float64")


def by_hand(network, ids, context, stride):
    """Log-probability of ids[1], ids[2], ..., each in the window that the convention says, one forward pass a token."""
    found = []
    for place in range(len(ids) - 1):
        start = 0 if place < context else stride * ((place - context) // stride + 1)
        with torch.inference_mode():
            logits = network(torch.tensor([ids[start : place + 1]])).logits[0, -1].double()
        found.append(float(torch.log_softmax(logits, -1)[ids[place + 1]]))
    return np.array(found)


def network_ids(corpus, document, begin=(0,)):
    numbers = corpus.vocabulary.tokenizer.numbers
    ids = corpus.tokens[corpus.offsets[document] : corpus.offsets[document + 1]]
    return [*begin, *numbers[ids].tolist()]


@pytest.mark.parametrize(("context", "stride"), [(32, None), (32, 1), (8, None), (8, 8), (5, 2)])
@pytest.mark.parametrize("eos", [False, True])
def test_every_token_is_scored_once_in_the_window_that_the_convention_says(gpt2, context, stride, eos):
    pretrained = hf.load(gpt2, precision="float64", context=context, stride=stride)
    corpus = pretrained.read(TEXTS, eos=eos)
    found = pretrained.on(corpus).loglike_obs()
    stride = stride or context // 2
    expected = [by_hand(pretrained.network, network_ids(corpus, d), context, stride) for d in range(len(TEXTS))]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=0, atol=1e-10)


def test_float32_is_close_to_float64(gpt2, tiny):
    single = hf.load(gpt2)
    corpus = single.read(TEXTS)
    np.testing.assert_allclose(single.on(corpus).loglike_obs(), tiny.on(tiny.read(TEXTS)).loglike_obs(), atol=2e-5)
    assert single.on(corpus).loglike_obs().dtype == np.float64


def test_the_laws_of_a_distribution(tiny):
    check_predictive(tiny.on(tiny.read(["the cat sat", "the mat, the"])))
    check_predictive(tiny.on(tiny.read(["the cat sat", "the mat, the"], eos=True)))


def test_rows_without_a_token_keep_their_probability(tiny):
    assert tiny.vocabulary.size == tiny.rows == tiny.network.config.vocab_size
    assert tiny.vocabulary.types[-1] == f"<row {tiny.rows - 1}>"
    total = np.exp(tiny.on(tiny.read(TEXTS)).logprobs(np.array([[tiny.vocabulary.bos]]))).sum()
    assert total == pytest.approx(1, abs=1e-12)


def test_ends_are_predicted_where_they_are_asked_for(tiny):
    without, with_ends = tiny.read(TEXTS), tiny.read(TEXTS, eos=True)
    assert with_ends.nobs == without.nobs + len(TEXTS)
    assert with_ends.nbytes == without.nbytes
    inside = with_ends.targets != with_ends.vocabulary.eos
    np.testing.assert_allclose(tiny.on(with_ends).loglike_obs()[inside], tiny.on(without).loglike_obs(), atol=1e-12)


def test_bytes_are_those_of_the_text(tiny):
    corpus = tiny.read(TEXTS)
    assert corpus.nbytes == sum(len(text.encode()) for text in TEXTS)
    assert [corpus.text(d) for d in range(3)] == TEXTS
    held = tiny.on(corpus)
    assert held.bits_per_byte == pytest.approx(-held.loglike / np.log(2) / corpus.nbytes)


def test_a_mark_typed_in_a_text_is_text(tiny):
    assert not (tiny.read(TEXTS).tokens == tiny.vocabulary.types.index("<|endoftext|>")).any()


def test_verbs_work(tiny):
    corpus = tiny.read([f"{a} {b}" for a in TEXTS for b in TEXTS[:2] * 2])
    held = tiny.on(corpus)
    low, high = held.perplexity_interval()
    assert low < held.perplexity < high
    table = held.augment()
    np.testing.assert_allclose(table.loglike, held.loglike_obs())
    assert (table.entropy > 0).all()
    assert table["rank"].between(1, tiny.rows).all()
    bigram = slm.NGram(n=2, pseudo_count=0.1).fit(corpus)
    compared = slm.compare({"pretrained": held, "bigram": bigram}, on=tiny.read(TEXTS))
    assert set(compared.model) == {"pretrained", "bigram"}
    assert slm.paired_test(held, bigram).nobs == corpus.nobs
    assert next_token_table(held, "the cat").probability.sum() == pytest.approx(1)


def test_a_text_is_scored_once(tiny, monkeypatch):
    calls = []
    monkeypatch.setattr(tiny.network, "forward", _counting(tiny.network.forward, calls))
    held = tiny.on(tiny.read(TEXTS[:1]))
    assert held.perplexity
    assert held.bits_per_byte
    assert held.perplexity_interval(dependence="iid")
    assert len(calls) == 1
    with pytest.raises(ValueError, match="read-only"):
        held.loglike_obs()[0] = 0


def _counting(forward, calls):
    import functools

    @functools.wraps(forward)
    def counted(*args, **settings):
        calls.append(1)
        return forward(*args, **settings)

    return counted


def test_batches_of_one_length_give_what_each_document_gives_alone(tiny):
    texts = [TEXTS[0], TEXTS[0][::-1], TEXTS[0][:12]] * 2
    together = tiny.on(tiny.read(texts)).loglike_obs()
    alone = [tiny.on(tiny.read([text])).loglike_obs() for text in texts]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-12)


# --- generation -------------------------------------------------------------------------------------------------------


def test_greedy_generation_equals_the_library_s(tiny):
    ids = network_ids(tiny.read(["the cat"]), 0)
    theirs = tiny.network.generate(
        torch.tensor([ids]), max_new_tokens=12, do_sample=False, attention_mask=torch.ones(1, len(ids)), pad_token_id=0
    )[0, len(ids) :].tolist()
    drawn = tiny.generate("the cat", max_tokens=12, greedy=True)
    assert tiny.vocabulary_with_ends.tokenizer.numbers[drawn.tokens[0]].tolist() == theirs


@pytest.mark.parametrize("folder", ["gpt2", "llama"])
def test_drawn_tokens_have_the_probability_that_evaluation_gives_them(folder, request):
    pretrained = hf.load(request.getfixturevalue(folder), precision="float64", context=12)
    drawn = pretrained.generate("the cat", max_tokens=30, samples=3, seed=2)
    vocabulary = pretrained.vocabulary_with_ends
    start = vocabulary.encode("the cat").ids
    documents = [np.concatenate([start, ids[ids != vocabulary.eos]]) for ids in drawn.tokens]
    corpus = slm.Corpus.from_tokens(documents, vocabulary=vocabulary).with_given(len(start))
    scored = pretrained.on(corpus).loglike_obs()
    inside = corpus.targets != vocabulary.eos
    np.testing.assert_allclose(
        drawn.table.loglike[drawn.table.token != "<eos>"], scored[inside], atol=1e-6
    )  # the library computes some norms in float32


def test_generation_ends_with_the_end_of_the_document(tiny):
    drawn = [tiny.generate("the", max_tokens=60, seed=seed, temperature=4.0) for seed in range(6)]
    ended = [d for d in drawn if d.tokens[0][-1] == tiny.vocabulary_with_ends.eos]
    assert ended
    assert all(len(d.tokens[0]) <= 60 and "endoftext" not in d.texts[0] for d in ended)


def test_an_evaluation_generates_as_the_model_does(tiny):
    held = tiny.on(tiny.read(TEXTS, eos=True))
    assert str(slm.generate(held, "the", max_tokens=9, seed=4)) == str(tiny.generate("the", max_tokens=9, seed=4))


def test_white_space_between_prompt_and_continuation_is_kept(spaced):
    pretrained = hf.load(spaced)
    vocabulary = pretrained.vocabulary_with_ends
    drawn = [pretrained.generate("the cat", max_tokens=12, seed=seed) for seed in range(20)]
    for one in drawn:
        ids = [*vocabulary.encode("the cat").ids, *one.tokens[0][one.tokens[0] != vocabulary.eos]]
        assert one.documents[0] == "the cat" + one.texts[0] == vocabulary.decode(ids)
    assert any(one.texts[0].startswith(" ") for one in drawn)


def test_bytes_tile_the_text_whatever_marks_words(spaced):
    pretrained = hf.load(spaced)
    texts = ["the cat São  João", "é", "\n the dog"]
    corpus = pretrained.read(texts)
    assert corpus.nbytes == sum(len(text.encode()) for text in texts)
    assert [corpus.text(d) for d in range(3)] == texts
    assert corpus.nunknown == 0
    assert pretrained.vocabulary.with_unk


# --- beginnings -------------------------------------------------------------------------------------------------------


def test_without_a_token_that_begins_a_document_the_first_is_given(no_bos):
    pretrained = hf.load(no_bos, precision="float64", context=6, stride=2)
    corpus = pretrained.read(TEXTS)
    assert corpus.given.tolist() == [1, 1, 1]
    held = pretrained.on(corpus)
    expected = [by_hand(pretrained.network, network_ids(corpus, d, ()), 6, 2) for d in range(3)]
    np.testing.assert_allclose(held.loglike_obs(), np.concatenate(expected), atol=1e-10)
    assert "the first token of each is given" in held.likelihood.convention()
    assert pretrained.generate("the cat", max_tokens=3).texts


def test_what_cannot_be_predicted_is_refused(no_bos):
    pretrained = hf.load(no_bos)
    corpus = slm.Corpus.from_texts(TEXTS, vocabulary=pretrained.vocabulary)
    with pytest.raises(CorpusError, match=r"3 documents begin with a token.*nothing stands before the first.*bos="):
        pretrained.on(corpus)
    with pytest.raises(CorpusError, match=r"says nothing before the first token. Give it a prompt"):
        pretrained.generate("")
    with pytest.raises(CorpusError, match=r"No document is longer than 1 token"):
        pretrained.read(["the"])
    assert pretrained.read(["the", "the cat"]).ndocuments == 1


def test_a_beginning_can_be_named(no_bos, gpt2):
    named = hf.load(no_bos, bos="<|endoftext|>")
    assert named.bos == 0
    assert not named.read(TEXTS).given.any()
    with pytest.raises(SpecificationError, match="bos='<s>' is no token of the tokenizer"):
        hf.load(gpt2, bos="<s>")


# --- other corpora ----------------------------------------------------------------------------------------------------


def test_the_text_of_another_corpus_is_cut_anew_and_what_is_given_stays_given(tiny):
    characters = slm.Corpus.from_texts(TEXTS, names=["one", "two", "three"]).with_given(7)
    corpus = tiny.read(characters)
    assert corpus.documents.name.tolist() == ["one", "two", "three"]
    assert corpus.nbytes == characters.nbytes
    assert [corpus.text(d) for d in range(3)] == TEXTS
    assert (corpus.given > 0).all()
    with_ends = tiny.read(characters, eos=True)
    assert with_ends.nobs == corpus.nobs + 3
    assert with_ends.text(0, eos=True) == TEXTS[0] + "<eos>"


def test_a_corpus_without_its_text_is_refused(tiny):
    with pytest.raises(CorpusError, match="do not keep its text"):
        tiny.read(slm.Corpus.from_texts(TEXTS, "word"))
    with pytest.raises(CorpusError, match="was made from tokens"):
        tiny.read(slm.Corpus.from_tokens([["a", "b"]]))
    with pytest.raises(SpecificationError, match="are of texts; a corpus has its own"):
        tiny.read(slm.Corpus.from_texts(TEXTS), given=2)


def test_other_vocabularies_and_unknown_tokens_are_refused(tiny, llama):
    with pytest.raises(CorpusError, match="another vocabulary"):
        tiny.on(slm.Corpus.from_texts(TEXTS))
    with pytest.raises(CorpusError, match="another vocabulary"):
        tiny.on(hf.load(llama).read(TEXTS))
    unknown = slm.Corpus.from_tokens([["the", "cät"]], vocabulary=tiny.vocabulary)
    with pytest.raises(CorpusError, match="1 of 2 tokens are not of the 281 types"):
        tiny.on(unknown)
    outside = np.array([[tiny.vocabulary.bos, tiny.vocabulary.unk]])
    with pytest.raises(CorpusError, match="A context holds <unk>"):
        tiny.on(tiny.read(TEXTS)).logprobs(outside)


def test_two_models_with_other_tokenizers_are_compared_by_bytes_and_documents(gpt2, llama):
    models = {"gpt2": hf.load(gpt2), "llama": hf.load(llama)}
    texts = [f"{a} {b}" for a in TEXTS for b in [*TEXTS, "the cat."]]
    held = {name: model.on(model.read(texts)) for name, model in models.items()}
    table = slm.compare_bytes(held).set_index("model")
    assert held["gpt2"].nobs != held["llama"].nobs
    for name, one in held.items():
        assert table.bits_per_byte[name] == pytest.approx(one.bits_per_byte)
    assert table.bytes.nunique() == 1
    assert np.isfinite(table.std_error.iloc[1])


def test_models_read_the_same_bytes_of_a_corpus_with_given_text(gpt2, no_bos):
    characters = slm.Corpus.from_texts([f"{a} {b}" for a in TEXTS for b in [*TEXTS, "the cat."]], eos=False).with_given(5)
    trigram = slm.NGram(n=3, pseudo_count=0.1).fit(characters)
    models = {"gpt2": hf.load(gpt2), "no bos": hf.load(no_bos)}
    held = {name: model.on(model.read(characters)) for name, model in models.items()} | {"trigram": trigram}
    assert len(slm.compare_bytes(held)) == 3


# --- settings and words -----------------------------------------------------------------------------------------------


def test_the_convention_is_said(tiny, gpt2):
    assert tiny.on(tiny.read(["the cat"])).likelihood.convention() is None
    assert "have been trained on this very text" in tiny.on(tiny.read(["the cat"])).likelihood.notes()[-1]
    short = hf.load(gpt2, context=8)
    held = short.on(short.read(TEXTS))
    assert "windows of 8 that advance by 4: each token is predicted from at least 4" in held.likelihood.convention()
    table = slm.compare({"tiny": held}, on=held.corpus)
    assert any("windows of 8" in note for note in table.attrs["notes"])


def test_strides(gpt2):
    pretrained = hf.load(gpt2, context=8)
    assert pretrained.strided(1).stride == 1
    with pytest.raises(SpecificationError, match="stride=9"):
        pretrained.strided(9)
    with pytest.raises(SpecificationError, match="stride=0"):
        hf.load(gpt2, stride=0)


def test_a_context_longer_than_the_model_reads_is_refused(gpt2):
    with pytest.raises(SpecificationError, match=r"context=33 is longer than .* can read: it was trained with 32 places"):
        hf.load(gpt2, context=33)
    assert hf.load(gpt2).context == 32
    with pytest.raises(SpecificationError, match="context=0"):
        hf.load(gpt2, context=0)


def test_precision_is_one_of_three(gpt2):
    with pytest.raises(SpecificationError, match="precision='half' is unknown"):
        hf.load(gpt2, precision="half")


def test_ends_need_a_token(made, gpt2_config):
    pretrained = hf.load(made("no-end", gpt2_config(eos_token_id=None), bos_token="<|endoftext|>"))
    with pytest.raises(SpecificationError, match="no token that ends a document"):
        pretrained.read(TEXTS, eos=True)
    assert pretrained.generate("the", max_tokens=3).texts


def test_its_name_is_that_of_the_folder(tiny):
    assert str(tiny) == "tiny-gpt2"
    assert repr(tiny).startswith("<Pretrained: tiny-gpt2, ")
    assert repr(tiny.on(tiny.read(TEXTS))).startswith("<Evaluation: tiny-gpt2 on <Corpus: 3 documents")
