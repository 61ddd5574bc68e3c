"""A pretrained network's tokenizer: its numbers are rows of the network, and its tokens tile the text."""

import pickle

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from statlm.errors import CorpusError
from statlm.text.pretrained_tokenizer import PretrainedTokenizer
from statlm.text.vocabulary import Vocabulary


def words(**settings):
    """the: 1, cat: 3, <unk>: 0, <s>: 2; number 4 has no token."""
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "the": 1, "<s>": 2, "cat": 3}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.decoder = decoders.Fuse()
    return PretrainedTokenizer(backend, 5, **settings)


def test_types_are_rows_in_their_order_then_unknown_then_end():
    plain, ended = words(), words(end=2)
    assert plain.types == ("the", "<s>", "cat", "<row 4>")
    assert plain.numbers.tolist() == [1, 2, 3, 4, 0]
    assert ended.types == ("the", "cat", "<row 4>")
    assert ended.numbers.tolist() == [1, 3, 4, 0, 2]
    assert words(marks=[0]).numbers.tolist() == [0, 1, 2, 3, 4]


def test_the_vocabulary_s_ids_are_places_in_the_numbers():
    tokenizer = words(end=2)
    vocabulary = Vocabulary(tokenizer.types, True, True, tokenizer)
    assert vocabulary.size == 5
    ids = [*vocabulary.encode("the dog cat").ids.tolist(), vocabulary.eos]
    assert tokenizer.numbers[ids].tolist() == [1, 0, 3, 2]


def test_tokens_tile_the_text():
    found, ntokens = words().encode_many(["the  cat ", "", "São the"])
    assert ntokens.tolist() == [2, 0, 2]
    assert found.nchars.tolist() == [3, 6, 3, 4]
    assert found.nbytes.tolist() == [3, 6, 4, 4]


def test_a_text_of_which_nothing_is_left_is_refused():
    with pytest.raises(CorpusError, match="makes no token of '  '"):
        words().encode("  ")
    with pytest.raises(CorpusError, match="lone surrogate"):
        words().encode("a\ud800")


def test_a_tokenizer_of_another_network_is_refused():
    backend = Tokenizer(models.WordLevel({"a": 0, "b": 7}))
    with pytest.raises(CorpusError, match="numbers tokens up to 7, and the network predicts 5"):
        PretrainedTokenizer(backend, 5)
    assert PretrainedTokenizer(backend, 5, marks=[7]).types == ("a", "<row 1>", "<row 2>", "<row 3>", "<row 4>")


def test_it_survives_files_and_processes():
    tokenizer = words(end=2)
    vocabulary = Vocabulary(tokenizer.types, True, True, tokenizer)
    again = Vocabulary.from_state(vocabulary.state())
    assert again.fingerprint == vocabulary.fingerprint
    for other in (again.tokenizer, pickle.loads(pickle.dumps(tokenizer))):
        assert other.encode("the cat").ids.tolist() == tokenizer.encode("the cat").ids.tolist()
        assert other.numbers.tolist() == tokenizer.numbers.tolist()


def test_the_library_s_tokenizer_is_left_as_it_was():
    backend = Tokenizer(models.WordLevel({"a": 0}))
    backend.enable_truncation(1)
    PretrainedTokenizer(backend, 2)
    assert backend.truncation is not None
    assert not backend.encode_special_tokens
