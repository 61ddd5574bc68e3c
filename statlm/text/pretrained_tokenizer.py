"""The tokenizer of a pretrained network, its tokens numbered by what the network predicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from statlm.errors import CorpusError
from statlm.numerics.types import Array
from statlm.text.encoding import UNKNOWN, Encoding, check_surrogates, code_points, utf8_width


class PretrainedTokenizer:
    """A tokenizer of the library `tokenizers`, with a type for every row of a network's output.

    Networks often have more rows than the tokenizer has tokens. Such a row has a probability all the same, and so a type with
    a name of its own; leaving it out would be another distribution.

    Parameters
    ----------
    backend : tokenizers.Tokenizer
        Copied, so that what is set here is not set elsewhere.
    rows : int
        Number V of tokens that the network predicts.
    end : int, optional
        The row of the token that ends a document: no type then, but the vocabulary's ``<eos>``.
    marks : sequence of int
        Numbers of tokens with a meaning of their own (beginning, end): no ``<unk>``, even where the tokenizer says so, and
        perhaps no row.

    Attributes
    ----------
    types : tuple of str
    unknown : int or None
        The row of the token for what the tokenizer lacks: no type, but the vocabulary's ``<unk>``.
    numbers : (V,) int64 array
        The row of each token of the support: the types, ``<unk>``, ``<eos>``.

    Raises
    ------
    CorpusError
        If the tokenizer has tokens that the network does not predict.
    """

    name = "pretrained"

    def __init__(self, backend: Any, rows: int, end: int | None = None, marks: Sequence[int] = ()) -> None:
        state = json.loads(backend.to_str()) | {"truncation": None, "padding": None}
        self.backend = type(backend).from_str(json.dumps(state))
        self.backend.encode_special_tokens = True  # "<|endoftext|>" typed in a text is text
        numbered = self.backend.get_vocab(with_added_tokens=True)
        last = max((row for row in numbered.values() if row not in marks), default=0)
        if last >= rows:
            raise CorpusError(
                f"The tokenizer numbers tokens up to {last:,}, and the network predicts {rows:,}: they do not belong together, "
                "and its numbers would mean other tokens. Use the tokenizer that the network was trained with."
            )
        self.rows, self.end, self.marks = rows, end, tuple(marks)
        lacking = numbered.get(getattr(self.backend.model, "unk_token", None) or "")
        self.unknown = None if lacking == end or lacking in self.marks else lacking
        inside = [row for row in range(rows) if row not in (self.unknown, end)]
        last_ones = [row for row in (self.unknown, end) if row is not None]
        self.numbers = np.array(inside + last_ones, np.int64)
        token_of = {row: token for token, row in numbered.items()}
        self.types = tuple(token_of.get(row, f"<row {row}>") for row in inside)
        self._ours = np.full(rows, UNKNOWN, np.int64)
        self._ours[inside] = np.arange(len(inside))
        self._byte_level = '"ByteLevel"' in json.dumps(state.get("pre_tokenizer"))

    def __reduce__(self) -> tuple[Any, ...]:
        return PretrainedTokenizer, (self.backend, self.rows, self.end, self.marks)

    def encode(self, text: str) -> Encoding:
        """Cut text into tokens.

        Raises
        ------
        CorpusError
            If the text holds a lone surrogate.
        """
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> tuple[Encoding, Array]:
        """The tokens of all texts end to end, each cut as if alone, and the number of tokens of each."""
        for text in texts:
            check_surrogates(text)
        parts = [
            self._measured(text, found)
            for text, found in zip(texts, self.backend.encode_batch(list(texts), add_special_tokens=False), strict=True)
        ]
        columns = (np.concatenate([part[i] for part in parts]) if parts else np.zeros(0, np.int64) for i in range(3))
        return Encoding(*columns), np.array([len(part[0]) for part in parts], np.int64)

    def _measured(self, text: str, found: Any) -> tuple[Array, Array, Array]:
        """Ids, bytes and characters of the tokens of one text, which tile it."""
        ids = self._ours[np.asarray(found.ids, np.int64)] if found.ids else np.zeros(0, np.int64)
        if text and not len(ids):
            raise CorpusError(
                f"The tokenizer makes no token of {text[:40]!r}, so the text behind it would not be counted. Leave it out."
            )
        ends = np.maximum.accumulate(np.asarray([end for _, end in found.offsets], np.int64))
        if len(ends):
            ends[-1] = len(text)
        nchars = np.diff(ends, prepend=0)
        size = len(text.encode())
        if self._byte_level:  # a character of the token stands for a byte, also where a token ends inside a character
            nbytes = np.asarray([len(token) for token in found.tokens], np.int64)
            if nbytes.sum() == size:
                return ids, nbytes, nchars
        if size == len(text):
            return ids, nchars, nchars
        place = np.concatenate([[0], np.cumsum(utf8_width(code_points(text)))])
        return ids, np.diff(place[ends], prepend=0), nchars

    def decode(self, ids: Sequence[int]) -> str:
        """Join the tokens, as the library does."""
        return str(self.backend.decode([int(self.numbers[i]) for i in ids], skip_special_tokens=False))

    def state(self) -> dict[str, Any]:
        """The library's own JSON, and how the network numbers tokens."""
        return {
            "kind": self.name,
            "huggingface": json.loads(self.backend.to_str()),
            "rows": self.rows,
            "end": self.end,
            "marks": list(self.marks),
        }
