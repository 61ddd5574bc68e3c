import pickle
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import statlm.text.library_tokenizer as library_tokenizer
from statlm.errors import CorpusError, SpecificationError
from statlm.text.corpus import Corpus
from statlm.text.encoding import UNKNOWN, code_points, normalise
from statlm.text.library_tokenizer import HuggingFaceTokenizer
from statlm.text.tokenizers import BytePairs, Characters, Words, from_state, resolve

TRAINING = "The café of São João:\nnaïve 日本語, Ελλάδα… “quoted”\tend 😀👍🏽 e.\n" * 3
unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(normalise)
SOMETHING = "São  João\n\n— 日本語 and a\u0301\u0323 mark, İstanbul 👍🏽 \u2003 end \n"


def library_byte_pairs():
    """A byte-level tokenizer as a user would bring it, with special tokens and a prefix space."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<eos>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
    backend.train_from_iterator([TRAINING], trainer)
    return backend


TOKENIZERS = {
    "char": Characters().train([TRAINING]),
    "word": Words().train([TRAINING]),
    "lowercase": Words(lowercase=True).train([TRAINING]),
    "attached": Words(punctuation="attached").train([TRAINING]),
    "bpe": BytePairs(400).train([TRAINING]),
    "custom": resolve(library_byte_pairs()),
}


@given(unicode_text)
@example(SOMETHING)
def test_characters_round_trip_any_unicode(text):
    tokenizer = Characters().train([text])
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@given(unicode_text)
@example(SOMETHING)
def test_byte_pairs_round_trip_text_that_training_never_saw(text):
    found = TOKENIZERS["bpe"].encode(text)
    assert (found.ids != UNKNOWN).all()
    assert TOKENIZERS["bpe"].decode(found.ids) == text


@given(unicode_text.filter(bool))
@example(SOMETHING)
@example("<unk>")
def test_characters_equal_the_library_character_tokenizer_token_for_token(text):
    library = Tokenizer(models.WordLevel())  # without special tokens, which it would cut out of a text that has them
    library.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    library.train_from_iterator([text], trainers.WordLevelTrainer(special_tokens=[], show_progress=False))
    ours = Characters().train([text])
    assert [ours.types[i] for i in ours.encode(text).ids] == library.encode(text).tokens


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=unicode_text.filter(lambda text: text.split()))
@example(text=SOMETHING)
@example(text="\U0001f600")
def test_bytes_and_characters_tile_the_text(name, text):
    found = TOKENIZERS[name].encode(text)
    assert found.ids.shape == found.nbytes.shape == found.nchars.shape
    assert found.nchars.sum() == len(text)
    assert found.nbytes.sum() == len(text.encode())
    assert found.nchars.min() >= 0
    ends, nbytes = np.cumsum(found.nchars, dtype=int), np.cumsum(found.nbytes, dtype=int)
    for end, before in zip(ends, nbytes, strict=True):
        # A byte-level token may end inside a character; every other ends where its characters do.
        least = len(text[: end - 1].encode()) + 1 if name == "bpe" else len(text[:end].encode())
        assert least <= before <= len(text[:end].encode())


def test_a_word_counts_the_white_space_before_it_and_the_last_one_also_what_follows():
    found = TOKENIZERS["word"].encode(" café\n of ")
    assert found.nchars.tolist() == [5, 5]
    assert found.nbytes.tolist() == [6, 5]


# --- words are cut chunk by chunk, as the library cuts the whole text -------------------------------------------------

SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
awkward_text = st.text(
    st.one_of(
        st.sampled_from(SPACES + "aAéİßΣσς\u0307\u0301.,!—_’1٣\U0001f600\u200d"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)
WORDS = [Words(), Words(lowercase=True), Words(punctuation="attached"), Words(lowercase=True, punctuation="attached")]


def library_words(how, texts):
    """The library's own word tokenizer, trained on the same texts."""
    unknown = " <unk>" if how.punctuation == "attached" else "<unk>"
    backend = Tokenizer(models.WordLevel(unk_token=unknown))
    if how.lowercase:
        backend.normalizer = normalizers.Lowercase()
    attached = how.punctuation == "attached"
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit() if attached else pre_tokenizers.Whitespace()
    size = 2**31 if how.max_size is None else how.max_size + 1
    trainer = trainers.WordLevelTrainer(
        vocab_size=size, min_frequency=how.min_count, special_tokens=[unknown], show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    return HuggingFaceTokenizer(backend, "word")


@pytest.mark.parametrize("how", WORDS, ids=str)
@given(training=st.lists(awkward_text, max_size=4), texts=st.lists(awkward_text, min_size=1, max_size=4))
@example(training=[TRAINING], texts=[SOMETHING, "", " \n", "a\x1cb\x85c <unk> <eos>"])
def test_words_are_those_of_the_library(how, training, texts):
    ours, library = how.train(training), library_words(how, training)
    assert ours.types == library.types
    found, ntokens = ours.encode_many(texts)
    expected = [library._encode(text) for text in texts]
    assert ntokens.tolist() == [len(e.ids) for e in expected]
    for column in ("ids", "nbytes", "nchars"):
        assert getattr(found, column).tolist() == [x for e in expected for x in getattr(e, column).tolist()]


@pytest.mark.parametrize("how", [Words(min_count=2), Words(max_size=3), Words(min_count=2, max_size=1)], ids=str)
def test_the_words_that_are_kept_are_those_of_the_library(how):
    texts = ["b a b c d", "é é D c", "a, b."]
    assert how.train(texts).types == library_words(how, texts).types


@pytest.mark.parametrize("name", TOKENIZERS)
@given(texts=st.lists(unicode_text, min_size=1, max_size=5))
def test_many_texts_are_cut_as_each_alone(name, texts):
    found, ntokens = TOKENIZERS[name].encode_many(texts)
    alone = [TOKENIZERS[name].encode(text) for text in texts]
    assert ntokens.tolist() == [len(a.ids) for a in alone]
    for column in ("ids", "nbytes", "nchars"):
        assert getattr(found, column).tolist() == [x for a in alone for x in getattr(a, column).tolist()]


def test_what_is_remembered_of_words_is_bounded_and_not_carried_along(monkeypatch):
    monkeypatch.setattr(library_tokenizer, "REMEMBERED", 3)
    tokenizer = Words().train(["a b c d e"])
    assert [tokenizer.encode(text).ids.tolist() for text in ("a b c", "d a", "b e")] == [[0, 1, 2], [3, 0], [1, 4]]
    assert len(tokenizer._remembered) <= 3
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again._remembered == {}
    assert again.encode("e a").ids.tolist() == [4, 0]


def test_a_library_tokenizer_that_reaches_across_white_space_is_left_to_the_library():
    backend = Words().train(["a b"]).backend
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("b"), "isolated")
    assert HuggingFaceTokenizer(backend, "word").encode("a b").nchars.tolist() == [2, 1]


def test_punctuation_attached_cuts_at_white_space_only():
    corpus = Corpus.from_text("to be , or not-to-be. <unk> that's", Words(punctuation="attached"))
    assert sorted(corpus.vocabulary.types) == [",", "<unk>", "be", "not-to-be.", "or", "that's", "to"]
    assert corpus.nunknown == 0
    assert corpus.vocabulary.encode("to see").ids.tolist()[1] == corpus.vocabulary.unk
    assert from_state(corpus.vocabulary.tokenizer.state()).encode("be , x").ids.tolist()[2] == UNKNOWN


@pytest.mark.parametrize("split", [None, "line"])
@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_a_corpus_does_not_depend_on_how_many_pieces_are_cut_at_a_time(monkeypatch, split, tokenizer):
    text = SOMETHING + TRAINING + "\n  \n" + SOMETHING
    whole = Corpus.from_text(text, tokenizer, split=split, eos=True)
    monkeypatch.setattr("statlm.text.building.CHUNK", 1)
    monkeypatch.setattr("statlm.text.white_space.BATCH", 1)
    cut = Corpus.from_text(text, tokenizer, split=split, eos=True)
    assert cut.fingerprint == whole.fingerprint
    assert cut.token_sizes[0].tolist() == whole.token_sizes[0].tolist()
    assert cut.documents.equals(whole.documents)


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_the_same_letter_typed_in_two_ways_is_one_token(tokenizer):
    composed, decomposed = "café à la crème", unicodedata.normalize("NFD", "café à la crème")
    assert composed != decomposed
    one, other = (Corpus.from_text(text, tokenizer) for text in (composed, decomposed))
    assert one.fingerprint == other.fingerprint
    assert one.nbytes == other.nbytes == len(composed.encode())


def test_normal_form_of_a_prompt_is_that_of_the_training_text():
    corpus = Corpus.from_text("café")
    assert corpus.vocabulary.encode("cafe\u0301").ids.tolist() == corpus.tokens.tolist()


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_names_of_special_tokens_typed_in_a_text_stay_text(tokenizer):
    texts = ["a <eos> b <unk> c", "<bos><pad> d <eos>"]
    corpus = Corpus.from_texts(texts, tokenizer, eos=True, unk=True)
    assert corpus.nunknown == 0
    assert np.flatnonzero(corpus.tokens == corpus.vocabulary.eos).tolist() == (corpus.offsets[1:] - 1).tolist()
    again = from_state(corpus.vocabulary.tokenizer.state())
    for number, text in enumerate(texts):
        own = corpus.tokens[corpus.offsets[number] : corpus.offsets[number + 1] - 1]
        assert again.encode(text).ids.tolist() == own.tolist()
        if tokenizer != "word":
            assert corpus.text(number) == text


def test_special_tokens_of_a_library_tokenizer_are_not_read_from_the_text():
    tokenizer = resolve(library_byte_pairs())
    found = tokenizer.encode("a<eos>b<unk>")
    assert len(found.ids) > 4
    assert not {"<eos>", "<unk>"}.intersection(tokenizer.types[i] for i in found.ids)
    assert tokenizer.decode(found.ids) == "a<eos>b<unk>"


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_made_again_from_its_state_cuts_alike(name):
    again = from_state(TOKENIZERS[name].state())
    assert again.types == TOKENIZERS[name].types
    found, expected = again.encode(SOMETHING), TOKENIZERS[name].encode(SOMETHING)
    for column in ("ids", "nbytes", "nchars"):
        assert getattr(found, column).tolist() == getattr(expected, column).tolist()


def test_rare_types_are_left_out_and_become_unknown():
    assert Characters(min_count=3).train(["ccbbbaaaa"]).types == ("a", "b")
    assert Characters(max_size=1).train(["ccbbbaaaa"]).types == ("a",)
    corpus = Corpus.from_text("one two two three three three", "word", min_count=2)
    assert set(corpus.vocabulary.types) == {"two", "three"}
    assert corpus.nunknown == 1
    assert corpus.vocabulary.unk < corpus.vocabulary.size
    assert set(Words(max_size=1).train(["b a a"]).types) == {"a"}


def test_word_types_can_be_folded_to_lower_case():
    assert set(Words(lowercase=True).train(["The the THE end"]).types) == {"the", "end"}
    assert set(Words().train(["The the end"]).types) == {"The", "the", "end"}


def test_byte_pairs_have_the_size_asked_for():
    assert len(BytePairs(300).train([TRAINING]).types) == 300
    assert len(Corpus.from_text(TRAINING, "bpe", max_size=280).vocabulary.types) == 280


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BytePairs(255), "size 255 cannot be made: the 256 bytes alone are 256 types"),
        (lambda: Characters(min_count=0), "min_count=0 keeps types that never occur"),
        (lambda: Words(max_size=0), "max_size=0 leaves no type"),
        (lambda: Words(punctuation="on"), "punctuation='on' is unknown"),
        (lambda: resolve("letters"), "There is no tokenizer 'letters'. Use 'char', 'word', 'bpe'"),
        (lambda: resolve("bpe", min_count=2), "min_count has no meaning for byte pairs"),
        (lambda: resolve(Words(), min_count=2), r"min_count=2, max_size=None would have no effect"),
        (lambda: resolve(Characters(), max_size=9), r"min_count=1, max_size=9 would have no effect"),
    ],
)
def test_settings_without_meaning_are_refused(make, message):
    with pytest.raises(SpecificationError, match=message):
        make()


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_lone_surrogates_are_refused_by_every_tokenizer(tokenizer):
    with pytest.raises(CorpusError, match=r"Character 3 of the text is a lone surrogate \(U\+DC80\)"):
        Corpus.from_text("abc\udc80d", tokenizer)
    with pytest.raises(CorpusError, match="Character 1 of the text is a lone surrogate"):
        TOKENIZERS[tokenizer].encode("a\udc80")


def test_code_points_are_those_of_python():
    assert code_points("aé日😀").tolist() == [ord(c) for c in "aé日😀"]
