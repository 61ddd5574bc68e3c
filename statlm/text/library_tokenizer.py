"""Words and byte pairs, by the Hugging Face library `tokenizers`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from statlm.numerics.ranges import concatenate_ranges
from statlm.numerics.types import Array
from statlm.text import white_space
from statlm.text.encoding import UNKNOWN, Encoding, check_surrogates, code_points, utf8_width

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
                check_surrogates(text)
            points = code_points(joined)
            width = utf8_width(points)
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
            nbytes = np.diff(np.concatenate([[0], np.cumsum(utf8_width(points))])[ends], prepend=0)
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
