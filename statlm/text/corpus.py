"""A corpus: documents of tokens, and which of the tokens are observations."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import CorpusError
from statlm.numerics.ranges import concatenate_ranges
from statlm.numerics.types import Array
from statlm.text import building
from statlm.text.cutting import Slices, check_share, cut_blocks, cut_runs, cut_tail, divide_documents
from statlm.text.encoding import Tokenizer, Training
from statlm.text.reading import Splitter, file_source, string_source, text_files
from statlm.text.vocabulary import Vocabulary

SPLIT_CONTEXT = 1024
COUNTED_AT_ONCE = 1 << 24


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """Documents of tokens over one vocabulary; frozen.

    Each document is read as ``<bos> t_1 ... t_n``, followed by ``<eos>`` where the vocabulary has it. One *observation* is
    one predicted token: every token of every document except the leading `given` ones, which are conditioned on.
    A document is the unit of independence: clusters, folds and bootstrap resample documents.

    Make one with `from_text`, `from_texts`, `from_file`, `from_files`, `from_tokens` or `from_parquet`.

    Parameters
    ----------
    vocabulary : Vocabulary
    tokens : (T,) unsigned integer array
        Ids of all documents end to end, ``<eos>`` included, ``<bos>`` not; read-only.
    offsets : (D + 1,) int64 array
        Document d is ``tokens[offsets[d]:offsets[d + 1]]``.
    given : (D,) int64 array
        How many leading tokens of each document are conditioned on.
    documents : DataFrame
        A row a document: its name, and covariates if there are any.
    token_bytes, token_chars : (T,) integer arrays or None
        Bytes and characters of text that each token stands for, where its type alone does not decide them.

    Raises
    ------
    CorpusError
        If there is no observation, or the support has fewer than two types.

    Examples
    --------
    >>> corpus = Corpus.from_tokens([["a", "b", "a"], ["b", "b"]], eos=True)
    >>> corpus.nobs, corpus.ndocuments, corpus.vocabulary.size
    (7, 2, 3)
    """

    vocabulary: Vocabulary
    tokens: Array
    offsets: Array
    given: Array
    documents: pd.DataFrame
    token_bytes: Array | None = None
    token_chars: Array | None = None

    def __post_init__(self) -> None:
        for array in (self.tokens, self.offsets, self.given, self.token_bytes, self.token_chars):
            if array is not None and array.flags.writeable:
                array.flags.writeable = False
        if self.vocabulary.size < 2:
            raise CorpusError(
                f"The vocabulary has a single type ({self.vocabulary.tokens[0]!r}): every model gives it probability 1, so "
                "there is nothing to estimate. Check the tokenizer, or use eos=True to model where documents end."
            )
        if self.nobs == 0:
            raise CorpusError(
                f"All {len(self.tokens):,} tokens of the {self.ndocuments:,} documents are given, so there is no "
                "observation left. Lower given=."
            )

    # --- making one ---------------------------------------------------------------------------------------------------

    @classmethod
    def from_text(
        cls,
        text: str,
        tokenizer: str | Training | Tokenizer | Any = "char",
        *,
        split: str | Splitter | None = None,
        vocabulary: Vocabulary | None = None,
        eos: bool | None = None,
        unk: bool = False,
        min_count: int = 1,
        max_size: int | None = None,
        given: int = 0,
        name: str = "text",
        covariates: pd.DataFrame | None = None,
    ) -> Corpus:
        """Corpus of one text.

        Parameters
        ----------
        text : str
        tokenizer : "char", "word", "bpe", or an object
            How to cut it: a name, a training (`Characters`, `Words`, `BytePairs`), a trained tokenizer, or one of the
            library ``tokenizers``. Ignored where `vocabulary` is given.
        split : None, "paragraph", "line" or callable
            What is a document. None: the whole text. Cutting a text states that the pieces are independent.
        vocabulary : Vocabulary, optional
            Use another corpus's types and tokenizer; tokens it lacks become ``<unk>``.
        eos : bool, optional
            Whether ends of documents are predicted. By default they are where there are several documents.
        unk : bool
            Whether ``<unk>`` gets a probability of its own though no training token is unknown.
        min_count, max_size : int
            Leave out rarer types; they become ``<unk>``, which is then in the support.
        given : int
            Condition on this many leading tokens of each document.
        name : str
            Name of the document, or of the text that documents are numbered within.
        covariates : DataFrame, optional
            A row a document, or one for the text that all of its documents share.

        Raises
        ------
        CorpusError
            If the text is empty or cannot be cut as asked.

        Examples
        --------
        >>> corpus = Corpus.from_text("to be or not to be")
        >>> corpus.nobs, corpus.vocabulary.size
        (18, 7)
        """
        return cls._of(
            [string_source(name, text)], tokenizer, split, vocabulary, eos, unk, min_count, max_size, given, covariates
        )

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        tokenizer: str | Training | Tokenizer | Any = "char",
        *,
        names: Sequence[str] | None = None,
        split: str | Splitter | None = None,
        vocabulary: Vocabulary | None = None,
        eos: bool | None = None,
        unk: bool = False,
        min_count: int = 1,
        max_size: int | None = None,
        given: int = 0,
        covariates: pd.DataFrame | None = None,
    ) -> Corpus:
        """Corpus of several texts, each a document unless `split` cuts it; parameters as of `from_text`.

        `covariates` has a row a text, which the documents that it is cut into share.
        """
        texts = building.check_iterable(texts)
        labels = [str(i) for i in range(len(texts))] if names is None else list(names)
        if len(labels) != len(texts):
            raise CorpusError(f"There are {len(labels):,} names for {len(texts):,} texts. Give one name a text.")
        sources = [string_source(name, text) for name, text in zip(labels, texts, strict=True)]
        return cls._of(sources, tokenizer, split, vocabulary, eos, unk, min_count, max_size, given, covariates)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *args: Any, **settings: Any) -> Corpus:
        """Corpus of one text file, read a piece at a time; see `from_files`."""
        return cls.from_files([path], *args, **settings)

    @classmethod
    def from_files(
        cls,
        paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
        tokenizer: str | Training | Tokenizer | Any = "char",
        *,
        encoding: str = "utf-8",
        split: str | Splitter | None = None,
        vocabulary: Vocabulary | None = None,
        eos: bool | None = None,
        unk: bool = False,
        min_count: int = 1,
        max_size: int | None = None,
        given: int = 0,
        covariates: pd.DataFrame | None = None,
    ) -> Corpus:
        r"""Corpus of text files (or of the .txt files of a folder), each a document unless `split` cuts it.

        Files are read a bounded piece at a time, so that memory holds the tokens and not the text: once for `Words`, else twice
        (types, then tokens). Line ends are read as ``\n``. Other parameters as of `from_text`.

        Raises
        ------
        CorpusError
            If a file cannot be read, is empty, is binary, or is not in `encoding`.
        """
        if isinstance(paths, (str, os.PathLike)):
            paths = text_files(Path(paths)) if Path(paths).is_dir() else [paths]
        sources = [file_source(path, encoding) for path in paths]
        return cls._of(sources, tokenizer, split, vocabulary, eos, unk, min_count, max_size, given, covariates)

    @classmethod
    def from_tokens(
        cls,
        sequences: Sequence[Any],
        *,
        vocabulary: Vocabulary | None = None,
        eos: bool | None = None,
        unk: bool = False,
        min_count: int = 1,
        given: int = 0,
        names: Sequence[str] | None = None,
        covariates: pd.DataFrame | None = None,
    ) -> Corpus:
        """Corpus of any sequences of states: strings, or integers.

        Parameters
        ----------
        sequences : sequence of sequences
            A document each. Integers are ids where `vocabulary` is given, and names of types otherwise.
        vocabulary, eos, unk, min_count, given, names, covariates
            As of `from_text`.

        Examples
        --------
        >>> weather = Corpus.from_tokens([["sun", "sun", "rain"], ["rain", "sun"]], given=1, eos=False)
        >>> weather.nobs, weather.vocabulary.types
        (3, ('rain', 'sun'))
        """
        parts = building.from_sequences(
            sequences,
            vocabulary=vocabulary,
            eos=eos,
            unk=unk,
            min_count=min_count,
            given=given,
            names=names,
            covariates=covariates,
        )
        return cls(**vars(parts))

    @classmethod
    def from_parquet(
        cls,
        paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
        *,
        vocabulary: Vocabulary | None = None,
        eos: bool | None = None,
        unk: bool = False,
        min_count: int = 1,
        given: int = 0,
        memory_limit: str = "1GB",
    ) -> Corpus:
        """Corpus of token tables: Parquet files (or those of a folder) with a row a token and the columns doc, pos, tok.

        Rows may stand in any order; documents are sorted by file, then by `doc`, and tokens by `pos`. A document lies in one
        file. The corpus itself is held in memory; `statlm.interop.parquet` counts tables that are larger than that.

        Parameters
        ----------
        paths : path, or sequence of paths
        vocabulary, eos, unk, min_count, given
            As of `from_tokens`: strings are types, integers are ids of `vocabulary`. Ends of documents are no rows.
        memory_limit : str
            What DuckDB may use to sort, such as "500MB"; beyond it, it uses the disk.

        Raises
        ------
        SpecificationError
            If duckdb or pyarrow is not installed: ``pip install 'statlm[distributed]'``.
        DamagedFile, CorpusError, MemoryLimitReached
            If a file is no token table, holds other tokens, or the limit is too low.
        """
        from statlm.text import token_tables

        parts = token_tables.read(
            paths,
            vocabulary=vocabulary,
            eos=eos,
            unk=unk,
            min_count=min_count,
            given=given,
            memory_limit=memory_limit,
        )
        return cls(**vars(parts))

    @classmethod
    def _of(
        cls,
        sources: Any,
        tokenizer: Any,
        split: Any,
        vocabulary: Vocabulary | None,
        eos: bool | None,
        unk: bool,
        min_count: int,
        max_size: int | None,
        given: int,
        covariates: pd.DataFrame | None,
    ) -> Corpus:
        parts = building.from_sources(
            sources,
            tokenizer=tokenizer,
            split=split,
            vocabulary=vocabulary,
            eos=eos,
            unk=unk,
            min_count=min_count,
            max_size=max_size,
            given=given,
            covariates=covariates,
        )
        return cls(**vars(parts))

    # --- sizes --------------------------------------------------------------------------------------------------------

    @property
    def nobs(self) -> int:
        """Number of observations: predicted tokens."""
        return len(self.tokens) - int(self.given.sum())

    @property
    def ndocuments(self) -> int:
        """Number of documents."""
        return len(self.given)

    @property
    def nbytes(self) -> int | None:
        """UTF-8 bytes of the observed text; None where the data are not text."""
        return self._total(0)

    @property
    def nchars(self) -> int | None:
        """Characters of the observed text; None where the data are not text."""
        return self._total(1)

    @property
    def nunknown(self) -> int:
        """Number of observations that are ``<unk>``."""
        return int(self.type_counts[self.vocabulary.unk])

    def _total(self, which: int) -> int | None:
        stored = (self.token_bytes, self.token_chars)[which]
        if stored is not None:
            return int(stored[self._observed].sum(dtype=np.int64))
        by_type = self.vocabulary.type_sizes
        # From counts of types: sizes written out for each character would take eight times the memory of the text.
        return None if by_type is None else int(by_type[which] @ self.type_counts)

    @cached_property
    def type_counts(self) -> Array:
        """(nids,) how often each type is observed, special ones included."""
        targets = self.targets
        counts = np.zeros(self.vocabulary.nids, np.int64)
        for start in range(0, len(targets), COUNTED_AT_ONCE):
            counts += np.bincount(targets[start : start + COUNTED_AT_ONCE], minlength=len(counts))
        return counts

    @cached_property
    def token_sizes(self) -> tuple[Array, Array] | None:
        """Bytes and characters that each token stands for, (T,) each; None where the data are not text."""
        if self.token_bytes is not None and self.token_chars is not None:
            return self.token_bytes, self.token_chars
        by_type = self.vocabulary.type_sizes
        return None if by_type is None else (by_type[0][self.tokens], by_type[1][self.tokens])

    # --- observations -------------------------------------------------------------------------------------------------

    @cached_property
    def _observed(self) -> Any:
        """What picks the observations from the tokens: everything, or a mask."""
        if not self.given.any():
            return slice(None)
        mask = np.ones(len(self.tokens), bool)
        mask[concatenate_ranges(self.offsets[:-1], self.offsets[:-1] + self.given)] = False
        return mask

    @property
    def targets(self) -> Array:
        """(nobs,) ids of the observed tokens."""
        observed: Array = self.tokens[self._observed]
        return observed

    @property
    def positions(self) -> Array:
        """(nobs,) place of each observation in its document, from 0."""
        lengths = np.diff(self.offsets)
        places = np.arange(len(self.tokens)) - np.repeat(self.offsets[:-1], lengths)
        observed: Array = places[self._observed]
        return observed

    @cached_property
    def document_index(self) -> Array:
        """(nobs,) document of each observation."""
        return np.repeat(np.arange(self.ndocuments), np.diff(self.offsets) - self.given)

    def context_columns(self, lags: int) -> list[Array]:
        """The tokens 1, ..., `lags` before each observation, (nobs,) each.

        ``<bos>`` stands before a document's first token and ``<pad>`` before that; a context never crosses a document's
        start.
        """
        columns = []
        starts = self.offsets[:-1]
        lengths = np.diff(self.offsets)
        for lag in range(1, lags + 1):
            column = np.full(len(self.tokens), self.vocabulary.pad, self.tokens.dtype)
            column[lag:] = self.tokens[:-lag]
            for i in range(min(lag, int(lengths.max()))):
                early = starts[lengths > i] + i
                column[early] = self.vocabulary.bos if i == lag - 1 else self.vocabulary.pad
            columns.append(column[self._observed])
        return columns

    def contexts(self, lags: int) -> Array:
        """(nobs, lags) context of each observation, oldest token first, as `Predictive.logprobs` takes them."""
        columns = self.context_columns(lags)[::-1]
        return np.stack(columns, axis=1) if columns else np.zeros((self.nobs, 0), self.tokens.dtype)

    def one_hot(self) -> Any:
        """Indicator rows of the observed tokens, a sparse (nobs, V) array; the response of the multinomial regression."""
        return self.vocabulary.one_hot(self.targets)

    def text(self, document: int, *, eos: bool = False) -> str:
        """Text of one document, as far as its tokens keep it.

        Parameters
        ----------
        document : int
            Its number; negative ones count from the end.
        eos : bool
            Whether to write out the mark ``<eos>`` where the document ends in it. The text has no such characters, so by default
            it is left out.

        Raises
        ------
        CorpusError
            If there is no such document.

        Examples
        --------
        >>> corpus = Corpus.from_texts(["abra", "cadabra"])
        >>> corpus.text(1), corpus.text(-1, eos=True)
        ('cadabra', 'cadabra<eos>')
        """
        if not -self.ndocuments <= document < self.ndocuments:
            raise CorpusError(f"There is no document {document}: there are {self.ndocuments:,} (numbered from 0).")
        number = document % self.ndocuments
        ids = self.tokens[self.offsets[number] : self.offsets[number + 1]]
        if self.vocabulary.with_eos and not eos and len(ids) and ids[-1] == self.vocabulary.eos:
            ids = ids[:-1]
        return self.vocabulary.decode(ids)

    # --- other corpora ------------------------------------------------------------------------------------------------

    def subset(self, documents: Sequence[int] | Array) -> Corpus:
        """The corpus of these documents, by number, repeats allowed: what a bootstrap draws."""
        index = np.asarray(documents)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        if len(index) == 0:
            raise CorpusError("The subset holds no document. Give at least one document number.")
        if index.min() < -self.ndocuments or index.max() >= self.ndocuments:
            raise CorpusError(
                f"Document numbers run from {index.min()} to {index.max()}, but there are {self.ndocuments} documents "
                "(numbered from 0)."
            )
        index = index % self.ndocuments
        return self._sliced(Slices(self.offsets[index], self.offsets[index + 1], self.given[index], index))

    def observations(self, index: Sequence[int] | Array, *, context: int) -> Corpus:
        """The corpus of these observations, by number, repeats allowed: what a block bootstrap draws.

        Neighbours stay together; each run of them becomes a document.

        Parameters
        ----------
        index : sequence of integers
        context : int
            Tokens before each run that it carries along as given, so that a model with that memory gives each observation the
            same probability as before.

        Examples
        --------
        >>> drawn = Corpus.from_text("abracadabra").observations([1, 2, 3, 8, 9], context=1)
        >>> [drawn.text(document) for document in range(drawn.ndocuments)], drawn.nobs
        (['abra', 'abr'], 5)
        """
        numbers = np.asarray(index, np.int64)
        if len(numbers) == 0 or numbers.min() < 0 or numbers.max() >= self.nobs:
            raise CorpusError(
                f"There are {self.nobs:,} observations (numbered from 0), and those asked for "
                + (f"run from {numbers.min():,} to {numbers.max():,}." if len(numbers) else "are none.")
            )
        places = np.arange(len(self.tokens))[self._observed][numbers]
        return self._sliced(cut_runs(places, self.document_index[numbers], self.offsets, context))

    def split(self, test: float = 0.1, *, seed: int | None = None, context: int = SPLIT_CONTEXT) -> tuple[Corpus, Corpus]:
        """Training and held-out corpus.

        Parameters
        ----------
        test : float
            Share held out: of the documents, at least one; of the tokens where there is a single document.
        seed : int, optional
            Draw the held-out documents at random. By default they are the last ones.
        context : int
            A single document is cut at its tail; the held-out part then gets up to this many of the tokens before it as
            given, so that its first observations have their true contexts.

        Returns
        -------
        train, test : Corpus

        Raises
        ------
        CorpusError
            If either part would be empty, or a single document should be cut at random.

        Examples
        --------
        >>> train, test = Corpus.from_text("abracadabra" * 10).split(test=0.1)
        >>> train.nobs, test.nobs, int(test.given[0])
        (99, 11, 99)
        """
        check_share(test)
        if self.ndocuments > 1:
            first, last = divide_documents(self.ndocuments, test, seed)
            return self.subset(first), self.subset(last)
        if seed is not None:
            raise CorpusError(
                "The corpus is one document, and drawing its tokens at random would break the contexts that are modelled. "
                "Leave out seed= to hold out its tail, or cut it first: corpus.blocks(length=...), split='paragraph'."
            )
        train, held = cut_tail(len(self.tokens), int(self.given[0]), test, context)
        return self._sliced(train), self._sliced(held)

    def blocks(self, length: int, *, context: int = 0) -> Corpus:
        """Cut documents into blocks of `length` observations that count as documents from then on.

        This states an assumption: that blocks are independent enough to be clusters.

        Parameters
        ----------
        length : int
            Observations a block; the last block of a document may be shorter.
        context : int
            Tokens before each block that it carries along as given, so that a model with that memory gives each
            observation the same probability as before the cut.
        """
        return self._sliced(cut_blocks(self.offsets, self.given, length, context))

    def batches(self, size: int, *, context: int) -> Iterator[Corpus]:
        """The same observations in order, in corpora of about `size` observations, each with `context` tokens before it."""
        cut = self.blocks(size, context=context)
        nobs = np.diff(cut.offsets) - cut.given
        batch = np.cumsum(nobs) // max(size, 1)
        for documents in np.split(np.arange(cut.ndocuments), np.flatnonzero(np.diff(batch)) + 1):
            yield cut.subset(documents)

    def with_given(self, given: int) -> Corpus:
        """The same documents, conditioned on their first `given` tokens; documents with nothing left are dropped."""
        lengths = np.diff(self.offsets)
        keep = np.flatnonzero(lengths > given)
        if len(keep) == 0:
            raise CorpusError(
                f"No document is longer than {given:,} tokens (the longest has {lengths.max():,}), so nothing is left to "
                "predict. Condition on fewer tokens, or use longer documents."
            )
        corpus = self if len(keep) == self.ndocuments else self.subset(keep)
        return replace(corpus, given=np.full(len(keep), given, np.int64))

    def with_covariates(self, covariates: pd.DataFrame) -> Corpus:
        """The same documents with these covariates, columns of `documents`; a column of the same name is replaced.

        Parameters
        ----------
        covariates : DataFrame
            A row a document, in their order; or, with a column ``document``, a row for each name, in any order.

        Raises
        ------
        CorpusError
            If a document has no row, or several.

        Examples
        --------
        >>> corpus = Corpus.from_texts(["abba", "baba"], names=["first", "second"])
        >>> corpus.with_covariates(pd.DataFrame({"document": ["second", "first"], "year": [1900, 1890]})).documents.year.tolist()
        [1890, 1900]
        """
        return replace(self, documents=building.joined(self.documents, covariates))

    def _sliced(self, slices: Slices) -> Corpus:
        """A document for each slice of the tokens."""
        slices = slices.with_observations()
        where = slices.index()
        return Corpus(
            self.vocabulary,
            self.tokens[where],
            slices.offsets(),
            slices.given,
            self.documents.iloc[slices.document].reset_index(drop=True),
            None if self.token_bytes is None else self.token_bytes[where],
            None if self.token_chars is None else self.token_chars[where],
        )

    # --- identity -----------------------------------------------------------------------------------------------------

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary, tokens, document bounds and given counts: equal where the observations are."""
        digest = hashlib.sha256(self.vocabulary.fingerprint.encode())
        for array in (self.tokens, self.offsets, self.given):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        def plural(n: int, noun: str) -> str:
            return f"{n:,} {noun}" + ("" if n == 1 else "s")

        text = "" if self.nbytes is None else f", {plural(self.nbytes, 'byte')}"
        return (
            f"<Corpus: {plural(self.ndocuments, 'document')}, {plural(self.nobs, 'observation')}{text}, "
            f"{plural(self.vocabulary.size, 'type')}>"
        )
