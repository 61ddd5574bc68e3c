"""Words and byte pairs, by the Hugging Face library `tokenizers`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from statlm.numerics.ranges import concatenate_ranges
from statlm.numerics.types import Array
from statlm.text import white_space
from statlm.text.encoding import UNKNOWN, Encoding, code_points, utf8_width

REMEMBERED = 1 << 20  # distinct chunks whose tokens are kept


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
        self._numbers: dict[str, int] = dict(numbered)
        self._unknown: int = UNKNOWN if unknown is None else self._numbers.get(unknown, UNKNOWN)
        cuts_words = type(backend.pre_tokenizer).__name__ != "WhitespaceSplit" or backend.normalizer is not None
        self._whole = self._by_chunk and not cuts_words and self._unknown != UNKNOWN  # a chunk is a word as it stands
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
        cutter = white_space.Cutter()
        cut = cutter.cut(texts)
        return next(self.encode_cuts(cutter, [cut]))

    def encode_cuts(self, cutter: white_space.Cutter, cuts: Iterable[white_space.Cut]) -> Iterator[tuple[Encoding, Array]]:
        """What `encode_many` gives for texts that are cut at white space already; only where chunks are cut by themselves."""
        chunks = cutter.distinct
        tokens = self._tokens_of(chunks)
        ntokens = np.array([len(ids) for ids, _ in tokens], np.int32)
        first = np.cumsum(ntokens, dtype=np.int32) - ntokens
        ids = self._ours[np.array([i for found, _ in tokens for i in found], np.int64)]
        char_end = np.array([end for _, ends in tokens for end in ends], np.int32)
        byte_end = char_end
        if not all(chunk.isascii() for chunk in chunks):
            byte_end = np.array(
                [len(chunk[:end].encode()) for chunk, (_, ends) in zip(chunks, tokens, strict=True) for end in ends],
                np.int32,
            )
        whole = bool((ntokens == 1).all())
        for cut in cuts:
            count = ntokens[cut.code]
            at = np.searchsorted(cut.start, cut.bounds)  # chunks before each text
            if whole:
                which, begin, before, byte_begin = cut.code, cut.start, at, cut.byte_start
            else:
                opening = first[cut.code]
                which = concatenate_ranges(opening, opening + count)
                begin, byte_begin = np.repeat(cut.start, count), np.repeat(cut.byte_start, count)
                before = np.concatenate([[0], np.cumsum(count)])[at]
            nchars = _tiled(begin + char_end[which], before, cut.bounds)
            nbytes = nchars
            if cut.byte_start is not cut.start:
                nbytes = _tiled(byte_begin + byte_end[which], before, cut.byte_bounds)
            yield Encoding(ids[which], nbytes, nchars), np.diff(before)

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
            nbytes = np.diff(np.concatenate([[0], np.cumsum(utf8_width(points))])[ends], prepend=0)
        return Encoding(ids, nbytes, nchars)

    def _tokens_of(self, chunks: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """Ids and ends of the tokens of each chunk; the library is asked only about those that are new."""
        remembered = self._remembered
        new = [chunk for chunk in chunks if chunk not in remembered]
        if new:
            if len(remembered) + len(new) > REMEMBERED:
                remembered = self._remembered = {chunk: remembered[chunk] for chunk in chunks if chunk in remembered}
            if self._whole:
                for chunk in new:
                    remembered[chunk] = ([self._numbers.get(chunk, self._unknown)], [len(chunk)])
            else:
                for chunk, found in zip(new, self.backend.encode_batch(new, add_special_tokens=False), strict=True):
                    remembered[chunk] = (found.ids, [end for _, end in found.offsets])
        return [remembered[chunk] for chunk in chunks]

    def decode(self, ids: Sequence[int]) -> str:
        """Join the tokens; exact for byte pairs, words are joined by spaces."""
        return str(self.backend.decode([int(self._theirs[i]) for i in ids], skip_special_tokens=False))

    def state(self) -> dict[str, Any]:
        """The kind, and the library's own JSON."""
        return {"kind": self.name, "huggingface": json.loads(self.backend.to_str())}


def _tiled(ends: Array, before: Array, bounds: Array) -> Array:
    """Lengths of tokens that tile their texts: what lies between two of them goes with the later one, the rest with the last.

    Parameters
    ----------
    ends : (n,) integer array
        Where each token ends; changed in place.
    before : (texts + 1,) integer array
        Number of tokens before each text.
    bounds : (texts + 1,) integer array
        Where each text begins, one place after the end of the one before.
    """
    held = np.flatnonzero(np.diff(before))  # texts that have tokens
    ends[before[held + 1] - 1] = bounds[held + 1] - 1
    lengths = np.empty_like(ends)
    lengths[1:] = ends[1:] - ends[:-1]
    lengths[before[held]] = ends[before[held]] - bounds[held]
    return lengths


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
