"""What cuts a text into tokens: characters, words, or byte pairs of a given size.

A tokenizer is trained on text (`Characters`, `Words` and `BytePairs` say how) or loaded; trained, it numbers its types
and says of every token how many bytes and characters of the text it stands for, so that bits per byte are exact
whatever the unit. Text is put into Unicode form NFC first: the same letter is then the same token however it was typed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statlm.errors import SpecificationError
from statlm.numerics.types import Array
from statlm.text import white_space
from statlm.text.encoding import UNKNOWN, Encoding, Tokenizer, Training, check_surrogates, code_points
from statlm.text.library_tokenizer import HuggingFaceTokenizer
from statlm.text.pretrained_tokenizer import PretrainedTokenizer

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
        return self.train_counts(white_space.count(pieces))

    def train_counts(self, chunks: Mapping[str, int]) -> HuggingFaceTokenizer:
        """What `train` makes of text in which each stretch without white space occurs so often."""
        import tokenizers
        from tokenizers import models, normalizers, pre_tokenizers

        attached = self.punctuation == "attached"
        cutter = pre_tokenizers.WhitespaceSplit() if attached else pre_tokenizers.Whitespace()
        folding = normalizers.Lowercase() if self.lowercase else None
        counts: Counter[str] = Counter()
        for chunk, count in chunks.items():
            check_surrogates(chunk)
            whole = folding.normalize_str(chunk) if folding else chunk
            if attached and not folding:
                counts[whole] = count
            else:
                for word, _ in cutter.pre_tokenize_str(whole):
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


def from_state(state: dict[str, Any]) -> Tokenizer:
    """Make a tokenizer again from its `state`."""
    if state["kind"] == "char":
        return CharacterTokenizer(tuple(state["types"]))
    import tokenizers

    backend = tokenizers.Tokenizer.from_str(json.dumps(state["huggingface"]))
    if state["kind"] == "pretrained":
        return PretrainedTokenizer(backend, state["rows"], state["end"], state["marks"])
    return HuggingFaceTokenizer(backend, state["kind"])


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


def _check_limits(min_count: int, max_size: int | None) -> None:
    if min_count < 1:
        raise SpecificationError(f"min_count={min_count} keeps types that never occur. Choose 1 or more.")
    if max_size is not None and max_size < 1:
        raise SpecificationError(f"max_size={max_size} leaves no type. Choose 1 or more.")
