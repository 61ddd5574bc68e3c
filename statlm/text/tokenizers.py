"""What cuts a text into tokens: characters, words, or byte pairs of a given size.

A tokenizer is trained on text (`Characters`, `Words` and `BytePairs` say how) or loaded; trained, it numbers its types
and says of every token how many bytes and characters of the text it stands for, so that bits per byte are exact
whatever the unit. Text is put into Unicode form NFC first: the same letter is then the same token however it was typed.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from statlm.errors import CorpusError, SpecificationError
from statlm.numerics.ranges import concatenate_ranges
from statlm.numerics.types import Array
from statlm.text import white_space

REMEMBERED = 1 << 20  # distinct chunks whose tokens are kept
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


# --- characters ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Characters:
    """One token a Unicode character (code point, after NFC).

    Parameters
    ----------
    min_count : int
        Characters seen less often are left out and become ``<unk>``.
    max_size : int or None
        Keep at most this many, the most frequent.

    Examples
    --------
    >>> Characters().train(["banana"]).types
    ('a', 'b', 'n')
    """

    min_count: int = 1
    max_size: int | None = None

    def __post_init__(self) -> None:
        _check_limits(self.min_count, self.max_size)

    @property
    def drops_types(self) -> bool:
        """Whether rare characters are left out."""
        return self.min_count > 1 or self.max_size is not None

    def train(self, pieces: Iterable[str]) -> CharacterTokenizer:
        """Count characters and number them by code point."""
        counts = np.zeros(0x110000, np.int64)
        for piece in pieces:
            found = np.bincount(code_points(piece))
            counts[: len(found)] += found
        kept = np.flatnonzero(counts >= self.min_count)
        if self.max_size is not None and len(kept) > self.max_size:
            kept = np.sort(kept[np.argsort(-counts[kept], kind="stable")[: self.max_size]])
        return CharacterTokenizer(tuple(chr(c) for c in kept))


@dataclass(frozen=True, eq=False)
class CharacterTokenizer:
    """Characters as tokens; decoding is exact."""

    types: tuple[str, ...]
    name: str = "char"

    @cached_property
    def _id_of_code_point(self) -> Array:
        table = np.full(0x110000, UNKNOWN, np.int32)
        table[[ord(c) for c in self.types]] = np.arange(len(self.types))
        return table

    def encode(self, text: str) -> Encoding:
        """Cut text into characters; one table look-up each."""
        points = code_points(text)
        nbytes = np.ones(len(points), np.uint8)
        for first_of_longer in (0x80, 0x800, 0x10000):  # where UTF-8 takes one byte more
            nbytes += points >= first_of_longer
        return Encoding(self._id_of_code_point[points], nbytes, np.ones(len(points), np.uint8))

    def encode_many(self, texts: Sequence[str]) -> tuple[Encoding, Array]:
        """The characters of all texts end to end, and the number of each."""
        return self.encode("".join(texts)), np.fromiter(map(len, texts), np.int64, len(texts))

    def decode(self, ids: Sequence[int]) -> str:
        """Join the characters."""
        return "".join([self.types[i] for i in ids])

    def state(self) -> dict[str, Any]:
        """The kind and the characters."""
        return {"kind": self.name, "types": list(self.types)}


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


# --- words and byte pairs, by the Hugging Face tokenizers library ----------------------------------------------------


@dataclass(frozen=True)
class Words:
    """One token a word or a run of punctuation; white space is not modelled.

    Parameters
    ----------
    lowercase : bool
        Whether "The" and "the" are one type.
    punctuation : "apart" or "attached"
        Apart, a run of punctuation is a token of its own. Attached, text is cut at white space only, as programs for text
        that was tokenised before do (KenLM, SRILM).
    min_count : int
        Words seen less often are left out and become ``<unk>``.
    max_size : int or None
        Keep at most this many words, the most frequent.

    Notes
    -----
    White space (and case, if folded) cannot be restored, so bits per byte of a word model leave out what it costs to
    write them: compare such a model with other word models, not with characters.
    """

    lowercase: bool = False
    min_count: int = 1
    max_size: int | None = None
    punctuation: str = "apart"

    def __post_init__(self) -> None:
        _check_limits(self.min_count, self.max_size)
        if self.punctuation not in ("apart", "attached"):
            raise SpecificationError(
                f"punctuation={self.punctuation!r} is unknown. Use 'apart' (a token of its own) or 'attached' (cut at white "
                "space only)."
            )

    @property
    def drops_types(self) -> bool:
        """Whether rare words are left out."""
        return self.min_count > 1 or self.max_size is not None

    def train(self, pieces: Iterable[str]) -> HuggingFaceTokenizer:
        """Count words; the most frequent gets id 0."""
        import tokenizers
        from tokenizers import models, normalizers, pre_tokenizers

        attached = self.punctuation == "attached"
        cutter = pre_tokenizers.WhitespaceSplit() if attached else pre_tokenizers.Whitespace()
        folding = normalizers.Lowercase() if self.lowercase else None
        counts: Counter[str] = Counter()
        for chunk, count in white_space.count(pieces).items():
            _check_surrogates(chunk)
            for word, _ in cutter.pre_tokenize_str(folding.normalize_str(chunk) if folding else chunk):
                counts[word] += count
        kept = sorted((word for word, count in counts.items() if count >= self.min_count), key=lambda w: (-counts[w], w))
        unknown = " <unk>" if attached else "<unk>"  # a name that no text can hold as a word
        numbered = {word: i for i, word in enumerate([unknown, *kept[: self.max_size]])}
        backend = tokenizers.Tokenizer(models.WordLevel(numbered, unk_token=unknown))
        backend.pre_tokenizer = cutter
        if folding:
            backend.normalizer = folding
        return HuggingFaceTokenizer(backend, "word")


@dataclass(frozen=True)
class BytePairs:
    """Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019): any text, exactly, no unknowns.

    Parameters
    ----------
    size : int
        Number of types, at least the 256 bytes.
    """

    size: int = 1000

    def __post_init__(self) -> None:
        if self.size < 256:
            raise SpecificationError(
                f"A byte-level tokenizer of size {self.size} cannot be made: the 256 bytes alone are 256 types. "
                "Choose size=256 or more."
            )

    @property
    def drops_types(self) -> bool:
        """Never: every byte is a type."""
        return False

    def train(self, pieces: Iterable[str]) -> HuggingFaceTokenizer:
        """Merge the most frequent pairs until there are `size` types."""
        import tokenizers
        from tokenizers import decoders, models, pre_tokenizers, trainers

        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        backend.train_from_iterator(
            pieces,
            trainers.BpeTrainer(
                vocab_size=self.size,
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                special_tokens=[],
                show_progress=False,
            ),
        )
        return HuggingFaceTokenizer(backend, "bpe")


class HuggingFaceTokenizer:
    """A tokenizer of the Hugging Face library, its unknown token left to the vocabulary.

    Parameters
    ----------
    backend : tokenizers.Tokenizer
        Trained, or loaded with ``tokenizers.Tokenizer.from_file``.
    name : str
        "word", "bpe", or another name for a tokenizer of your own.
    """

    def __init__(self, backend: Any, name: str = "custom") -> None:
        backend.encode_special_tokens = True  # "<unk>" typed in a text is text; does not survive saving, so set here
        self.backend = backend
        self.name = name
        numbered = sorted(backend.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
        unknown = getattr(backend.model, "unk_token", None)
        self.types = tuple(token for token, _ in numbered if token != unknown)
        ours = np.full(numbered[-1][1] + 1 if numbered else 0, UNKNOWN, np.int32)
        ours[[i for token, i in numbered if token != unknown]] = np.arange(len(self.types))
        self._ours = ours
        self._theirs = np.flatnonzero(ours != UNKNOWN)
        self._by_chunk = _acts_within_chunks(backend, unknown)
        self._remembered: dict[str, tuple[list[int], list[int]]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return HuggingFaceTokenizer, (self.backend, self.name)  # without what is only remembered

    def encode(self, text: str) -> Encoding:
        """Cut text into tokens.

        Raises
        ------
        CorpusError
            If the text holds a lone surrogate.
        """
        return self.encode_many([text])[0] if self._by_chunk else self._encode(text)

    def encode_many(self, texts: Sequence[str]) -> tuple[Encoding, Array]:
        """The tokens of all texts end to end, each cut as if alone, and the number of tokens of each.

        Raises
        ------
        CorpusError
            If a text holds a lone surrogate.
        """
        if not self._by_chunk:
            found = [self._encode(text) for text in texts]
            columns = [np.concatenate([getattr(f, c) for f in found]) for c in ("ids", "nbytes", "nchars")]
            return Encoding(*columns), np.array([len(f.ids) for f in found], np.int64)
        joined = "\n".join(texts)
        if joined.isascii():
            points, width = np.frombuffer(joined.encode(), np.uint8), None
        else:
            for text in texts:
                _check_surrogates(text)
            points = code_points(joined)
            width = _utf8_width(points)
        chunks = white_space.cut(joined, points)
        bounds = white_space.bounds(texts)
        tokens = self._tokens_of(chunks.distinct)
        ntokens = np.array([len(ids) for ids, _ in tokens], np.int64)
        first = np.cumsum(ntokens) - ntokens
        theirs = np.array([i for ids, _ in tokens for i in ids], np.int64)
        end_in_chunk = np.array([end for _, ends in tokens for end in ends], np.int64)
        begin, count = first[chunks.code], ntokens[chunks.code]
        which = concatenate_ranges(begin, begin + count)
        ends = end_in_chunk[which] + np.repeat(chunks.start, count)
        before = np.concatenate([[0], np.cumsum(count)])[np.searchsorted(chunks.start, bounds)]  # tokens before each text
        held = np.flatnonzero(np.diff(before))  # texts that have tokens
        ends[before[held + 1] - 1] = bounds[held + 1] - 1  # white space at the end goes with the last token
        starts = np.concatenate([[0], ends[:-1]])
        starts[before[held]] = bounds[held]
        nchars = ends - starts
        if width is None:
            nbytes = nchars
        else:
            place = np.concatenate([[0], np.cumsum(width)])
            nbytes = place[ends] - place[starts]
        return Encoding(self._ours[theirs[which]], nbytes, nchars), np.diff(before)

    def _encode(self, text: str) -> Encoding:
        points = None if text.isascii() else code_points(text)
        found = self.backend.encode(text, add_special_tokens=False)
        ids = self._ours[np.asarray(found.ids, np.int64)] if found.ids else np.zeros(0, np.int32)
        ends = np.asarray([end for _, end in found.offsets], np.int64)
        if len(ends):
            ends[-1] = len(text)
        nchars = np.diff(ends, prepend=0)
        if self.name == "bpe":
            # Each character of a byte-level token stands for one byte, also where a token ends inside a character.
            nbytes = np.asarray([len(token) for token in found.tokens], np.int64)
        elif points is None:
            nbytes = nchars
        else:
            nbytes = np.diff(np.concatenate([[0], np.cumsum(_utf8_width(points))])[ends], prepend=0)
        return Encoding(ids, nbytes, nchars)

    def _tokens_of(self, chunks: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """Ids and ends of the tokens of each chunk; the library is asked only about those that are new."""
        remembered = self._remembered
        new = [chunk for chunk in chunks if chunk not in remembered]
        if new:
            if len(remembered) + len(new) > REMEMBERED:
                remembered = self._remembered = {chunk: remembered[chunk] for chunk in chunks if chunk in remembered}
            for chunk, found in zip(new, self.backend.encode_batch(new, add_special_tokens=False), strict=True):
                remembered[chunk] = (found.ids, [end for _, end in found.offsets])
        return [remembered[chunk] for chunk in chunks]

    def decode(self, ids: Sequence[int]) -> str:
        """Join the tokens; exact for byte pairs, words are joined by spaces."""
        return str(self.backend.decode([int(self._theirs[i]) for i in ids], skip_special_tokens=False))

    def state(self) -> dict[str, Any]:
        """The kind, and the library's own JSON."""
        return {"kind": self.name, "huggingface": json.loads(self.backend.to_str())}


def _acts_within_chunks(backend: Any, unknown: str | None) -> bool:
    """Whether a library tokenizer treats each stretch without white space by itself: words, whole or cut at punctuation."""
    kinds = [type(part).__name__ for part in (backend.model, backend.pre_tokenizer, backend.normalizer)]
    added = {token.content for token in backend.get_added_tokens_decoder().values()}
    return (
        kinds[0] == "WordLevel"
        and kinds[1] in ("Whitespace", "WhitespaceSplit")
        and kinds[2] in ("NoneType", "Lowercase")
        and added <= {unknown}
        and backend.truncation is None
        and backend.padding is None
    )


def _utf8_width(points: Array) -> Array:
    """(n,) bytes that UTF-8 takes for each code point."""
    width = np.ones(len(points), np.int64)
    for first_of_longer in (0x80, 0x800, 0x10000):
        width += points >= first_of_longer
    return width


def _check_surrogates(text: str) -> None:
    """Raise CorpusError if a text holds a lone surrogate."""
    if not text.isascii():
        code_points(text)


def from_state(state: dict[str, Any]) -> Tokenizer:
    """Make a tokenizer again from its `state`."""
    if state["kind"] == "char":
        return CharacterTokenizer(tuple(state["types"]))
    import tokenizers

    return HuggingFaceTokenizer(tokenizers.Tokenizer.from_str(json.dumps(state["huggingface"])), state["kind"])


def resolve(tokenizer: str | Training | Tokenizer | Any, min_count: int = 1, max_size: int | None = None) -> Any:
    """The training or the tokenizer meant by a name ("char", "word", "bpe"), an object, or a library tokenizer."""
    if isinstance(tokenizer, str):
        if tokenizer == "char":
            return Characters(min_count, max_size)
        if tokenizer == "word":
            return Words(min_count=min_count, max_size=max_size)
        if tokenizer == "bpe":
            if min_count != 1:
                raise SpecificationError("min_count has no meaning for byte pairs: no type is left out. Drop it.")
            return BytePairs() if max_size is None else BytePairs(max_size)
        raise SpecificationError(
            f"There is no tokenizer {tokenizer!r}. Use 'char', 'word', 'bpe', or an object such as "
            "BytePairs(size=2000) or a tokenizers.Tokenizer."
        )
    if min_count != 1 or max_size is not None:
        raise SpecificationError(
            f"min_count={min_count}, max_size={max_size} would have no effect: a tokenizer given as an object decides for "
            "itself which types it keeps. Give them to it, as in Words(min_count=2), or name the tokenizer: 'word'."
        )
    if type(tokenizer).__module__.split(".")[0] == "tokenizers":
        return HuggingFaceTokenizer(tokenizer, "custom")
    return tokenizer


def normalise(text: str) -> str:
    """Unicode normalisation form C; free of charge for text that has it already."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _check_limits(min_count: int, max_size: int | None) -> None:
    if min_count < 1:
        raise SpecificationError(f"min_count={min_count} keeps types that never occur. Choose 1 or more.")
    if max_size is not None and max_size < 1:
        raise SpecificationError(f"max_size={max_size} leaves no type. Choose 1 or more.")
