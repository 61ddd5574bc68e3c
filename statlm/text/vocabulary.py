"""The types of a language, numbered: which of them can be predicted, and which only mark a place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statlm.errors import CorpusError
from statlm.numerics.types import Array
from statlm.text.encoding import UNKNOWN, EncodesMany, Encoding, Tokenizer, normalise
from statlm.text.tokenizers import from_state

BOS, EOS, UNK, PAD = "<bos>", "<eos>", "<unk>", "<pad>"
RESERVED = frozenset((BOS, EOS, UNK, PAD))


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Types and their ids.

    The *support*, what a model spreads probability over, comes first: the ordinary types, then ``<unk>`` and ``<eos>``
    where the vocabulary has them. Ids from `size` on are never predicted: ``<bos>``, ``<pad>``, and whichever of
    ``<unk>`` and ``<eos>`` is not in the support.

    Parameters
    ----------
    types : tuple of str
        The ordinary types; the id of each is its position.
    with_eos : bool
        Whether documents end in ``<eos>``, which is then predicted like any other token.
    with_unk : bool
        Whether ``<unk>`` is in the support, with a probability of its own. Without it, a token that the vocabulary lacks
        lies outside of the support.
    tokenizer : Tokenizer or None
        What cuts text into these types; None for data that were tokens from the start.

    Raises
    ------
    CorpusError
        If a type stands twice, or has the name of a special token.

    Examples
    --------
    >>> states = Vocabulary(("a", "b"), with_eos=True)
    >>> states.size, states.eos, states.bos, states.ids_of(["b", "z"]).tolist() == [1, states.unk]
    (3, 2, 3, True)
    """

    types: tuple[str, ...]
    with_eos: bool = False
    with_unk: bool = False
    tokenizer: Tokenizer | None = None

    def __post_init__(self) -> None:
        if len(set(self.types)) < len(self.types):
            twice = next(t for t in self.types if self.types.count(t) > 1)
            raise CorpusError(f"The type {twice!r} stands twice in the vocabulary, so its id is ambiguous. Keep one.")
        if self.tokenizer is None and (taken := RESERVED.intersection(self.types)):
            raise CorpusError(
                f"{sorted(taken)} are names of special tokens and cannot be types of your own. Rename them in the data; "
                "ends of documents come with eos=True, unknown types with unk=True."
            )

    @cached_property
    def _special(self) -> dict[str, int]:
        inside = [UNK] * self.with_unk + [EOS] * self.with_eos
        order = inside + [s for s in (BOS, PAD, UNK, EOS) if s not in inside]
        return {token: len(self.types) + i for i, token in enumerate(order)}

    @property
    def size(self) -> int:
        """Number V of types in the support."""
        return len(self.types) + self.with_unk + self.with_eos

    @property
    def nids(self) -> int:
        """Number of ids, special ones included."""
        return len(self.types) + len(RESERVED)

    @property
    def bos(self) -> int:
        """Id of ``<bos>``, which stands before each document and is never predicted."""
        return self._special[BOS]

    @property
    def eos(self) -> int:
        """Id of ``<eos>``."""
        return self._special[EOS]

    @property
    def unk(self) -> int:
        """Id of ``<unk>``: below `size` if it is in the support."""
        return self._special[UNK]

    @property
    def pad(self) -> int:
        """Id of ``<pad>``, which fills the places of a context before its document's start."""
        return self._special[PAD]

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """The string of every id, support first, then the special tokens outside of it."""
        return self.types + tuple(self._special)

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return {**self._special, **{token: i for i, token in enumerate(self.types)}}

    @property
    def dtype(self) -> np.dtype[Any]:
        """Smallest unsigned integer type that holds every id."""
        return np.min_scalar_type(self.nids - 1)

    @cached_property
    def type_sizes(self) -> tuple[Array, Array] | None:
        """UTF-8 bytes and characters of each id, (nids,) each, where its type alone decides them (characters)."""
        if self.tokenizer is None or self.tokenizer.name != "char":
            return None
        special = [0] * (self.nids - len(self.types))
        nbytes = np.array([len(c.encode()) for c in self.types] + special)
        return nbytes, np.array([len(c) for c in self.types] + special)

    def ids_of(self, tokens: Iterable[str]) -> Array:
        """(n,) ids of tokens given as strings; ``<unk>`` for those that the vocabulary lacks."""
        unk = self.unk
        return np.fromiter((self._id_of.get(token, unk) for token in tokens), np.int64)

    def encode(self, text: str) -> Encoding:
        """Cut text into tokens and number them.

        Raises
        ------
        CorpusError
            If the vocabulary has no tokenizer.
        """
        if self.tokenizer is None:
            raise CorpusError(
                "This vocabulary was made from tokens and has no tokenizer, so it cannot cut a text. Pass lists of tokens: "
                'fit.predict([["a", "b"]]), Corpus.from_tokens(..., vocabulary=...).'
            )
        return self.encode_many([normalise(text)])[0]

    def encode_many(self, texts: Sequence[str]) -> tuple[Encoding, Array]:
        """The tokens of NFC texts, end to end, each text cut as if alone; and the (texts,) number of tokens of each."""
        assert self.tokenizer is not None
        if isinstance(self.tokenizer, EncodesMany):
            found, ntokens = self.tokenizer.encode_many(texts)
        else:
            parts = [self.tokenizer.encode(text) for text in texts]
            columns = [np.concatenate([getattr(part, c) for part in parts]) for c in ("ids", "nbytes", "nchars")]
            found, ntokens = Encoding(*columns), np.array([len(part.ids) for part in parts], np.int64)
        return next(self.number([(found, ntokens)]))

    def number(self, encoded: Iterable[tuple[Encoding, Array]]) -> Iterator[tuple[Encoding, Array]]:
        """What `encode_many` makes of the tokenizer's own encodings: tokens that it lacks get the id of ``<unk>``."""
        for found, ntokens in encoded:
            unknown = found.ids == UNKNOWN
            ids = np.where(unknown, self.unk, found.ids) if unknown.any() else found.ids
            yield Encoding(ids, found.nbytes, found.nchars), ntokens

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; special tokens appear by name, tokens without a tokenizer are joined by spaces."""
        ids = [int(i) for i in ids]
        if self.tokenizer is None:
            return " ".join(self.tokens[i] for i in ids)
        parts: list[str] = []
        run: list[int] = []
        for i in [*ids, -1]:
            if 0 <= i < len(self.types):
                run.append(i)
                continue
            if run:
                parts.append(self.tokenizer.decode(run))
                run = []
            if i >= 0:
                parts.append(self.tokens[i])
        return "".join(parts) if self.tokenizer.name != "word" else " ".join(parts)

    def one_hot(self, ids: Sequence[int] | Array) -> Any:
        """Indicator rows of token ids, an (n, size) sparse array."""
        import scipy.sparse as sparse

        columns = np.asarray(ids, np.int64)
        inside = np.flatnonzero(columns < self.size)
        return sparse.csr_array((np.ones(len(inside)), (inside, columns[inside])), shape=(len(columns), self.size))

    def from_one_hot(self, rows: Any) -> Array:
        """(n,) ids of indicator rows; the inverse of `one_hot` on the support."""
        return np.asarray(rows.argmax(axis=1)).ravel()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the types and their numbering."""
        text = json.dumps([self.types, self.with_eos, self.with_unk], ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def check_same(self, other: Vocabulary) -> None:
        """Raise CorpusError unless `other` numbers the same types in the same way."""
        if self is not other and self.fingerprint != other.fingerprint:
            raise CorpusError(
                f"The corpus has another vocabulary ({other.size:,} types) than the one the model was fitted to "
                f"({self.size:,} types), so its token ids mean other tokens. Make it with the model's: "
                "Corpus.from_text(text, vocabulary=train.vocabulary)."
            )

    def state(self) -> dict[str, Any]:
        """All that is needed to make it again, as JSON values."""
        return {
            "types": list(self.types),
            "with_eos": self.with_eos,
            "with_unk": self.with_unk,
            "tokenizer": None if self.tokenizer is None else self.tokenizer.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Vocabulary:
        """Make a vocabulary again from its `state`."""
        tokenizer = None if state["tokenizer"] is None else from_state(state["tokenizer"])
        return cls(tuple(state["types"]), state["with_eos"], state["with_unk"], tokenizer)
