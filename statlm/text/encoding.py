"""What a tokenizer is and gives, and the Unicode that all of them share."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from statlm.errors import CorpusError
from statlm.numerics.types import Array

UNKNOWN = -1  # id of a token that the tokenizer lacks; the vocabulary gives it its final number


@dataclass(frozen=True, slots=True)
class Encoding:
    """Tokens of one stretch of text.

    Attributes
    ----------
    ids : (n,) integer array
        Ids of the types, `UNKNOWN` for a token that the tokenizer lacks.
    nbytes, nchars : (n,) integer arrays
        UTF-8 bytes and characters that each token stands for. They tile the text: white space that a word tokenizer drops
        is counted with the word after it, and at the end of the text with the last token.
    """

    ids: Array
    nbytes: Array
    nchars: Array


class Tokenizer(Protocol):
    """A trained tokenizer."""

    @property
    def name(self) -> str:
        """Kind: "char", "word" or "bpe"."""
        ...

    @property
    def types(self) -> tuple[str, ...]:
        """The types in the order of their ids."""
        ...

    def encode(self, text: str) -> Encoding:
        """Cut NFC text into tokens."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens."""
        ...

    def state(self) -> dict[str, Any]:
        """All that is needed to make it again, as JSON values."""
        ...


@runtime_checkable
class EncodesMany(Protocol):
    """A tokenizer that cuts many texts faster than one after the other."""

    def encode_many(self, texts: Sequence[str]) -> tuple[Encoding, Array]:
        """The tokens of all texts end to end, each cut as if alone, and the (texts,) number of tokens of each."""
        ...


class Training(Protocol):
    """How to make a tokenizer from text."""

    @property
    def drops_types(self) -> bool:
        """Whether rare types are left out, so that ``<unk>`` must be in the support."""
        ...

    def train(self, pieces: Iterable[str]) -> Tokenizer:
        """Train on an iterable of stretches of text."""
        ...


def code_points(text: str) -> Array:
    """(n,) uint32 Unicode code points of a string.

    Raises
    ------
    CorpusError
        If the text holds a lone surrogate, which no encoding of Unicode can write.
    """
    try:
        return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    except UnicodeEncodeError as error:
        raise CorpusError(
            f"Character {error.start:,} of the text is a lone surrogate (U+{ord(text[error.start]):04X}), which is no "
            "character of Unicode: the text was probably decoded with errors='surrogateescape'. Decode it again with "
            "its true encoding, for example Corpus.from_file(path, encoding='latin-1')."
        ) from error


def utf8_width(points: Array) -> Array:
    """(n,) bytes that UTF-8 takes for each code point."""
    width = np.ones(len(points), np.int64)
    for first_of_longer in (0x80, 0x800, 0x10000):
        width += points >= first_of_longer
    return width


def check_surrogates(text: str) -> None:
    """Raise CorpusError if a text holds a lone surrogate."""
    if not text.isascii():
        code_points(text)


def normalise(text: str) -> str:
    """Unicode normalisation form C; free of charge for text that has it already."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)
