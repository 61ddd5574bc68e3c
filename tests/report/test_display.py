import pytest

from statlm.text.corpus import Corpus
from statlm.text.display import is_byte_level, naming, visible
from statlm.text.tokenizers import BytePairs


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" ", "␣"),
        ("\n", "⏎"),
        ("\t", "⇥"),
        ("\r", "\\r"),
        ("\x00", "\\x00"),
        ("\u200b", "\\u200b"),
        ("\xa0", "\\xa0"),
        ("\u0301", "◌\u0301"),
        ("ção", "ção"),
        ("", ""),
        ("<bos>", "<bos>"),
    ],
)
def test_everything_invisible_is_made_visible(token, shown):
    assert visible(token) == shown


def test_byte_level_tokens_are_shown_as_the_text_they_stand_for():
    text = "não há razão — é o coração\n" * 3
    corpus = Corpus.from_text(text, BytePairs(size=280))
    shown = [visible(corpus.vocabulary.tokens[i], byte_level=True) for i in corpus.tokens]
    assert "Ġ" not in "".join(shown)
    whole = [s for s in shown if "\\x" not in s]
    assert "␣" in "".join(whole)
    assert is_byte_level(corpus.vocabulary.types)
    assert not is_byte_level(Corpus.from_text(text).vocabulary.types)


def test_half_a_character_is_shown_as_its_byte():
    assert visible("Ã", byte_level=True) == "\\xc3"
    assert visible("Ã£", byte_level=True) == "ã"


def test_a_space_between_words_of_a_context_stays_a_space():
    words = Corpus.from_text("to be or not to be", "word").vocabulary
    letters = Corpus.from_text("to be").vocabulary
    assert naming(words)("to be") == "to be"
    assert naming(letters)("o ") == "o␣"
