"""Making a corpus: from sources of text, or from sequences that are tokens already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import CorpusError
from statlm.numerics.types import Array
from statlm.text import tokenizers as tk
from statlm.text import white_space
from statlm.text.encoding import Encoding, Tokenizer
from statlm.text.reading import CHUNK, Source, Splitter, pieces
from statlm.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Parts:
    """What a corpus is made of; see `statlm.Corpus` for the fields."""

    vocabulary: Vocabulary
    tokens: Array
    offsets: Array
    given: Array
    documents: pd.DataFrame
    token_bytes: Array | None
    token_chars: Array | None


def from_sources(
    sources: Sequence[Source],
    *,
    tokenizer: Any,
    split: str | Splitter | None,
    vocabulary: Vocabulary | None,
    eos: bool | None,
    unk: bool,
    min_count: int,
    max_size: int | None,
    given: int,
    covariates: pd.DataFrame | None,
) -> Parts:
    """Read sources a bounded piece at a time: once for words, else once to train the tokenizer and once to encode."""
    training = None if vocabulary is not None else tk.resolve(tokenizer, min_count, max_size)
    if isinstance(training, tk.Words):
        vocabulary, encoded = _cut_once(sources, split, training, eos, unk)
    else:
        if vocabulary is None:
            vocabulary = _train(sources, split, training, eos, unk)
        elif vocabulary.tokenizer is None:
            vocabulary.encode("")  # raises, with the reason
        encoded = _encode(sources, split, vocabulary)
    ids = _Growing(vocabulary.dtype)
    sizes = _Sizes(vocabulary)
    lengths: list[int] = []
    names: list[str] = []
    length = 0
    origin: list[int] = []  # source of each document
    number = 0
    for batch, found, ntokens in encoded:
        ends = np.array([last for _, last in batch]) & vocabulary.with_eos
        after = np.cumsum(ntokens)[ends]  # tokens of the batch before each <eos>
        here = np.insert(found.ids, after, vocabulary.eos) if ends.any() else found.ids
        columns = (np.insert(column, after, 0) if ends.any() else column for column in (found.nbytes, found.nchars))
        sizes.add(Encoding(here, *columns), ids)
        ids.add(here)
        for (i, last), count in zip(batch, ntokens.tolist(), strict=True):
            length += count + (last and vocabulary.with_eos)
            if last:
                if length == 0:
                    raise CorpusError(
                        f"Document {len(lengths) + 1:,} ({sources[i][0]}) is empty: it holds no token to predict. Remove "
                        "it, or use eos=True, where an empty document is the observation that it ends at once."
                    )
                number = number + 1 if origin and origin[-1] == i else 1
                lengths.append(length)
                origin.append(i)
                names.append(sources[i][0] if split is None else f"{sources[i][0]}:{number}")
                length = 0
    if covariates is not None and len(covariates) == len(sources):
        covariates = covariates.iloc[origin]
    table = _document_table(names, covariates)
    tokens = ids.array()
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    nbytes, nchars = sizes.arrays()
    if len(tokens) == vocabulary.with_eos * len(lengths):
        raise CorpusError("The corpus is empty: there is no token in it to count. Check the file, or its tokenizer.")
    return Parts(vocabulary, tokens, starts, _given(given, starts), table, nbytes, nchars)


Ends = list[tuple[int, bool]]  # number of the source of each piece, and whether a document ends with it


def _encode(
    sources: Sequence[Source], split: str | Splitter | None, vocabulary: Vocabulary
) -> Iterator[tuple[Ends, Encoding, Array]]:
    """Pieces encoded batch by batch, with the number of tokens of each."""
    for batch in _batches(sources, split):
        found, ntokens = vocabulary.encode_many([text for _, text, _ in batch])
        yield [(i, last) for i, _, last in batch], found, ntokens


def _cut_once(
    sources: Sequence[Source], split: str | Splitter | None, training: tk.Words, eos: bool | None, unk: bool
) -> tuple[Vocabulary, Iterator[tuple[Ends, Encoding, Array]]]:
    """The vocabulary of words, and what `_encode` gives, from one reading: chunks are numbered, and become tokens later."""
    cutter = white_space.Cutter()
    batches: list[Ends] = []
    cuts: list[white_space.Cut] = []
    counts = np.zeros(0, np.int64)
    for batch in _batches(sources, split):
        batches.append([(i, last) for i, _, last in batch])
        cuts.append(cutter.cut([text for _, text, _ in batch]))
        here = np.bincount(cuts[-1].code, minlength=len(counts))
        here[: len(counts)] += counts
        counts = here
    tokenizer = training.train_counts(dict(zip(cutter.distinct, counts.tolist(), strict=True)))
    ndocuments = sum(last for ends in batches for _, last in ends)
    vocabulary = _vocabulary(tokenizer, ndocuments, eos, unk or training.drops_types)
    found = vocabulary.number(tokenizer.encode_cuts(cutter, cuts))
    return vocabulary, ((ends, *each) for ends, each in zip(batches, found, strict=True))


def _batches(sources: Sequence[Source], split: str | Splitter | None) -> Iterator[list[tuple[int, str, bool]]]:
    """Pieces with the number of their source, and whether a document ends with them; about `CHUNK` characters at a time."""
    batch: list[tuple[int, str, bool]] = []
    size = 0
    for i, source in enumerate(sources):
        for text, last in pieces(source, split):
            batch.append((i, text, last))
            size += len(text) + 1
            if size >= CHUNK:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def from_sequences(
    sequences: Sequence[Any] | Array,
    *,
    vocabulary: Vocabulary | None,
    eos: bool | None,
    unk: bool,
    min_count: int,
    given: int,
    names: Sequence[str] | None,
    covariates: pd.DataFrame | None,
) -> Parts:
    """Documents that are sequences of strings, or of integer ids."""
    if isinstance(sequences, np.ndarray) and sequences.ndim == 1 and sequences.dtype.kind in "iu":
        sequences = [sequences]
    sequences = list(sequences)
    if any(isinstance(sequence, str) or np.ndim(sequence) == 0 for sequence in sequences):
        raise CorpusError(
            "from_tokens() wants a list of documents, each a list of tokens, and got single tokens. For one document wrap "
            "it: from_tokens([tokens]); for text use Corpus.from_text."
        )
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    if lengths.sum() == 0:
        raise CorpusError("The corpus is empty: there is no token in it to count.")
    flat = _flat(sequences)
    numeric = flat.dtype.kind in "iu"
    if vocabulary is None:
        codes, distinct = pd.factorize(flat, sort=True)
        counts = np.bincount(codes, minlength=len(distinct))
        ends = len(sequences) > 1 if eos is None else eos
        kept = counts >= min_count
        types = tuple(str(t) for t in distinct[kept])
        vocabulary = Vocabulary(types, ends, unk or not bool(kept.all()))
        ids = np.where(kept, np.cumsum(kept) - 1, vocabulary.unk)[codes]
    elif numeric:
        check_ids(flat.min(), flat.max(), vocabulary)
        ids = flat
    else:
        ids = vocabulary.ids_of(flat.tolist())
    labels = [str(i) for i in range(len(sequences))] if names is None else [str(name) for name in names]
    return from_ids(ids, lengths, vocabulary, given, labels, covariates)


MARKS = (
    "The data hold <bos>, <pad> or <eos> as tokens. These mark documents' bounds and are put in by the corpus: leave them out, "
    "and use eos=True for ends."
)


def check_ids(low: int, high: int, vocabulary: Vocabulary) -> None:
    """Raise CorpusError unless the smallest and the largest id are of the vocabulary."""
    if low < 0 or high >= vocabulary.nids:
        raise CorpusError(
            f"Ids run from {low:,} to {high:,}, but the vocabulary has ids 0 to {vocabulary.nids - 1:,}. Pass tokens as "
            "strings, or ids of this vocabulary."
        )


def from_ids(
    ids: Array, lengths: Array, vocabulary: Vocabulary, given: int, names: Sequence[str], covariates: pd.DataFrame | None
) -> Parts:
    """Documents of these lengths from their ids end to end; ends are put in where the vocabulary has them."""
    if np.isin(ids, (vocabulary.bos, vocabulary.pad)).any() or (ids == vocabulary.eos).any():
        raise CorpusError(MARKS)
    ends = vocabulary.with_eos
    offsets = np.concatenate([[0], np.cumsum(lengths + ends)]).astype(np.int64)
    tokens = np.full(offsets[-1], vocabulary.eos, vocabulary.dtype)
    place = np.ones(len(tokens), bool)
    if ends:
        place[offsets[1:] - 1] = False
    tokens[place] = ids
    if not ends and (lengths == 0).any():
        raise CorpusError(f"Document {int(np.argmin(lengths)) + 1:,} is empty: it holds no token to predict. Remove it.")
    table = _document_table(names, covariates, len(lengths))
    return Parts(vocabulary, tokens, offsets, _given(given, offsets), table, None, None)


def _flat(sequences: Sequence[Any]) -> Array:
    if all(isinstance(s, np.ndarray) and s.dtype.kind in "iu" for s in sequences):
        return np.concatenate(sequences).astype(np.int64)
    values = [token for sequence in sequences for token in sequence]
    if all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values):
        return np.asarray(values, np.int64)
    if all(isinstance(v, str) for v in values):
        return np.asarray(values, dtype=object)
    raise CorpusError(
        "Tokens must be all strings or all integers; the data mix them or hold something else (a missing value?). "
        "Convert them first, for example [[str(t) for t in document] for document in documents]."
    )


def _train(
    sources: Sequence[Source], split: str | Splitter | None, tokenizer: Any, eos: bool | None, unk: bool
) -> Vocabulary:
    ndocuments = 0

    def texts() -> Iterator[str]:
        nonlocal ndocuments
        ndocuments = 0
        for source in sources:
            for text, last in pieces(source, split):
                ndocuments += last
                if text:
                    yield text

    if isinstance(tokenizer, (tk.Characters, tk.BytePairs)):
        trained = tokenizer.train(texts())
        unk = unk or tokenizer.drops_types
    else:
        trained = tokenizer
        for _ in texts():
            pass
    return _vocabulary(trained, ndocuments, eos, unk)


def _vocabulary(trained: Tokenizer, ndocuments: int, eos: bool | None, unk: bool) -> Vocabulary:
    if ndocuments == 0 or not trained.types:
        raise CorpusError(
            "The corpus is empty: there is no text in it to learn from. Check the path, and that the file is not empty."
        )
    return Vocabulary(trained.types, ndocuments > 1 if eos is None else eos, unk, trained)


def _document_table(names: Sequence[str], covariates: pd.DataFrame | None, expected: int | None = None) -> pd.DataFrame:
    if expected is not None and len(names) != expected:
        raise CorpusError(f"There are {len(names):,} names for {expected:,} documents. Give one name a document.")
    table = pd.DataFrame({"name": pd.Series(list(names), dtype="str")})
    if covariates is not None:
        if len(covariates) != len(names):
            raise CorpusError(
                f"The table of covariates has {len(covariates):,} rows, but there are {len(names):,} documents. "
                "Give one row a document, in their order."
            )
        for column in covariates.columns:
            table[str(column)] = covariates[column].array  # categories keep their order
    return table


def joined(documents: pd.DataFrame, covariates: pd.DataFrame) -> pd.DataFrame:
    """The table of documents with these columns, by name where there is a column ``document``, else by order."""
    names = documents["name"]
    if "document" in covariates.columns:
        keys = covariates["document"].astype(str)
        if keys.duplicated().any():
            raise CorpusError(
                f"The table of covariates has several rows for the document {keys[keys.duplicated()].iloc[0]!r}. Give one row a "
                "document."
            )
        missing = names[~names.isin(keys)]
        if len(missing):
            raise CorpusError(
                f"{len(missing):,} of {len(names):,} documents have no row in the table of covariates (the first: "
                f"{missing.iloc[0]!r}). Add them, or leave these documents out: corpus.subset(...)."
            )
        covariates = covariates.drop(columns="document").iloc[pd.Index(keys).get_indexer(pd.Index(names))]
    table = _document_table(names.tolist(), covariates)
    old = [column for column in documents.columns if column not in table.columns]
    return pd.concat([table[["name"]], documents[old], table.drop(columns="name")], axis=1)


def _given(given: int, offsets: Array) -> Array:
    if given < 0:
        raise CorpusError(f"given={given}: the number of leading tokens to condition on cannot be negative.")
    lengths = np.diff(offsets)
    return np.minimum(given, lengths).astype(np.int64)


@dataclass
class _Growing:
    """An array that grows without being copied, so that reading needs no more memory than the result."""

    dtype: np.dtype[Any]
    buffer: bytearray = field(default_factory=bytearray)

    def add(self, values: Array) -> None:
        self.buffer += np.ascontiguousarray(values).astype(self.dtype).tobytes()

    def array(self) -> Array:
        return np.frombuffer(self.buffer, self.dtype)


@dataclass
class _Sizes:
    """Bytes and characters a token, kept only where they do not follow from its type."""

    vocabulary: Vocabulary
    nbytes: _Growing | None = None
    nchars: _Growing | None = None

    def add(self, found: Encoding, before: _Growing) -> None:
        by_type = self.vocabulary.type_sizes
        if self.nbytes is None and (by_type is None or (found.ids == self.vocabulary.unk).any()):
            self.nbytes, self.nchars = _Growing(np.dtype(np.uint16)), _Growing(np.dtype(np.uint16))
            if by_type is not None:
                so_far = before.array()
                self.nbytes.add(by_type[0][so_far])
                self.nchars.add(by_type[1][so_far])
                del so_far
        if self.nbytes is not None and self.nchars is not None:
            for column, values in ((self.nbytes, found.nbytes), (self.nchars, found.nchars)):
                if len(values) and values.max() > 65535:
                    raise CorpusError(
                        f"One token stands for {values.max():,} bytes of text; the limit is 65,535. The text is hardly "
                        "words: use tokenizer='char' or 'bpe'."
                    )
                column.add(values)

    def arrays(self) -> tuple[Array | None, Array | None]:
        if self.nbytes is None or self.nchars is None:
            return None, None
        return self.nbytes.array(), self.nchars.array()


def check_iterable(texts: Iterable[str]) -> list[str]:
    """The texts as a list; a single string is refused, since its characters would be taken for documents."""
    if isinstance(texts, str):
        raise CorpusError(
            "from_texts() wants a list of texts and got one string. Use from_text(text), or from_texts([text])."
        )
    return list(texts)
