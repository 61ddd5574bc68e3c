r"""ARPA files of back-off n-grams, as KenLM, SRILM and others write and read them.

Probabilities and back-off weights are base-10 logarithms. ``<s>`` is this package's ``<bos>``, ``</s>`` its ``<eos>``, and
``<unk>`` is in the support.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from statlm.errors import DamagedFile, NoEstimate, SpecificationError
from statlm.likelihood import Predictive, underlying
from statlm.numerics.backoff_table import BackoffTable
from statlm.numerics.backoff_tree import table_from_ngrams
from statlm.numerics.document_stream import document_stream
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.vocabulary import Vocabulary
from statlm.text.writing import written_whole

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
IMPOSSIBLE = -99.0  # log10 of probability 0, as all programs write it


@dataclass(frozen=True, eq=False)
class ArpaModel:
    """The distribution that an ARPA file holds; a `Predictive` once it stands on a corpus.

    Parameters
    ----------
    vocabulary : Vocabulary
        Types in the order of the file. Make corpora with it: ``Corpus.from_tokens(sentences, vocabulary=model.vocabulary)``.
    table : BackoffTable
    standing : Corpus or None
        The observations; see `on`.
    """

    vocabulary: Vocabulary
    table: BackoffTable
    standing: Corpus | None = None

    @property
    def corpus(self) -> Corpus:
        """The observations.

        Raises
        ------
        NoEstimate
            If the model stands on none.
        """
        if self.standing is None:
            raise NoEstimate(
                "An ARPA file holds no text, so there is nothing to score. Put the model on a corpus: model.on(corpus)."
            )
        return self.standing

    @property
    def n(self) -> int:
        """Length of the longest n-grams."""
        return self.table.n

    @property
    def memory(self) -> int:
        """How many tokens back the model looks."""
        return self.table.n - 1

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        corpus = self.corpus
        stream, observations = document_stream(corpus.tokens, corpus.offsets, corpus.given, corpus.vocabulary.bos)
        with np.errstate(divide="ignore"):
            result: Array = np.log(self.table.score(stream)[observations])
        return result

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token after contexts of token ids, nats."""
        with np.errstate(divide="ignore"):
            result: Array = np.log(self.table.distributions(np.atleast_2d(np.asarray(contexts, np.int64))))
        return result

    def on(self, corpus: Corpus) -> ArpaModel:
        """The same probabilities on a corpus of its vocabulary."""
        self.vocabulary.check_same(corpus.vocabulary)
        return replace(self, standing=corpus)


class HasTable(Protocol):
    """A model whose probabilities are a back-off table."""

    table: BackoffTable


def read(path: str | os.PathLike[str]) -> ArpaModel:
    r"""Read an ARPA file, gzip-compressed or not.

    Parameters
    ----------
    path : path
        Compression is seen from the content, not from the name.

    Returns
    -------
    ArpaModel

    Raises
    ------
    DamagedFile
        If the file is no ARPA file, was cut short or is malformed; the message names the line.

    Notes
    -----
    n-grams whose suffix or context a program has pruned get what they back off to, with weight 1, so that all scores are
    those of the file. Without ``<unk>``, unknown tokens have probability 0. The rows of a distribution sum to one as exactly
    as the digits of the file allow.

    Examples
    --------
    >>> import statlm as slm, tempfile
    >>> train = slm.Corpus.from_texts(["a rose is a rose", "is a rose"], "word", unk=True)
    >>> fit = slm.NGram(n=2, smoothing="kneser-ney").fit(train)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(fit, folder + "/rose.arpa.gz")
    ...     again = read(folder + "/rose.arpa.gz")
    >>> held = slm.Corpus.from_tokens([["a", "tulip"]], vocabulary=again.vocabulary)
    >>> same = fit.on(slm.Corpus.from_texts(["a tulip"], vocabulary=train.vocabulary))
    >>> bool(np.allclose(again.on(held).loglike_obs(), same.loglike_obs()))
    True
    """
    path = Path(path)
    try:
        with _open(path) as file:
            return _parse(_Lines(file, path))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedFile(
            f"{path} was cut short or changed: its compressed data are broken ({error}). Copy it again."
        ) from error
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{path} is not UTF-8 text ({error}), so it is no ARPA file. Convert it first.") from error
    except OSError as error:
        what = error.strerror or error
        raise DamagedFile(f"{path} cannot be read: {what}. Check the path and its permissions.") from error


def write(model: Predictive | HasTable | Any, path: str | os.PathLike[str], *, rename: dict[str, str] | None = None) -> None:
    """Write a smoothed n-gram as an ARPA file, gzip-compressed if the name ends in ``.gz``.

    Parameters
    ----------
    model : Fit, InterpolatedNGram, MixtureNGram or ArpaModel
    path : path
        The file is written whole or not at all.
    rename : dict, optional
        Names for types that the format cannot hold: those with white space, such as ``{" ": "_"}`` for characters.

    Raises
    ------
    SpecificationError
        If the model is no back-off n-gram, the vocabulary has no ends of documents, or a type cannot be written.
    NotWritten
        If there is no room, say. What stood at `path` before is untouched.
    """
    model = underlying(model)
    table = getattr(model, "table", None)
    if not isinstance(table, BackoffTable):
        raise SpecificationError(
            f"A {type(model).__name__} has no back-off weights, so it cannot be an ARPA file. Fit with a smoothing such as "
            "NGram(n, smoothing='modified-kneser-ney')."
        )
    vocabulary = model.vocabulary if isinstance(model, ArpaModel) else model.corpus.vocabulary
    names = _names(vocabulary, rename or {})
    with written_whole(path) as part, _create(part, Path(path).suffix == ".gz") as file:
        _write(file, table, vocabulary, names)


def _create(path: Path, compressed: bool) -> IO[str]:
    return gzip.open(path, "wt", encoding="utf-8") if compressed else open(path, "w", encoding="utf-8")


# --- writing ----------------------------------------------------------------------------------------------------------


def _names(vocabulary: Vocabulary, rename: dict[str, str]) -> Array:
    if not vocabulary.with_eos:
        raise SpecificationError(
            "The vocabulary has no ends of documents, which an ARPA file needs as </s>. Make the corpus with eos=True."
        )
    names = [rename.get(token, token) for token in vocabulary.tokens]
    names[vocabulary.bos], names[vocabulary.eos], names[vocabulary.unk] = START, END, UNKNOWN
    for i, name in enumerate(names[: len(vocabulary.types)]):
        if name in (START, END, UNKNOWN) or len(name.split()) != 1 or name != name.strip():
            raise SpecificationError(
                f"The type {vocabulary.types[i]!r} cannot stand in an ARPA file, which separates tokens by spaces and "
                "reserves <s>, </s> and <unk>. Give it another name: write(model, path, rename={' ': '_'})."
            )
    if len(set(names)) < len(names):
        raise SpecificationError("rename gives two types the same name, so the file could not be read again. Choose others.")
    return np.array(names, dtype=object)


def _write(file: IO[str], table: BackoffTable, vocabulary: Vocabulary, names: Array) -> None:
    listed = [*range(vocabulary.size), vocabulary.bos]
    file.write("\\data\\\n")
    for m in range(1, table.n + 1):
        file.write(f"ngram {m}={len(listed) if m == 1 else table.index.size(m)}\n")
    for m in range(1, table.n + 1):
        file.write(f"\n\\{m}-grams:\n")
        rows = np.array(listed) if m == 1 else np.arange(table.index.size(m))
        for begin in range(0, len(rows), 100_000):
            part = rows[begin : begin + 100_000]
            p = _log10(table.probability[m - 1][part])
            if m == 1:
                p[part == vocabulary.bos] = IMPOSSIBLE
            texts = [" ".join(row) for row in names[table.index.tokens(m, part)]]
            if m < table.n:
                weights = _log10(table.backoff[m - 1][part])
                file.writelines(f"{a:.9g}\t{t}\t{b:.9g}\n" for a, t, b in zip(p, texts, weights, strict=True))
            else:
                file.writelines(f"{a:.9g}\t{t}\n" for a, t in zip(p, texts, strict=True))
    file.write("\n\\end\\\n")


def _log10(values: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log10(values), IMPOSSIBLE)


# --- reading ----------------------------------------------------------------------------------------------------------


def _open(path: Path) -> IO[str]:
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8") if compressed else open(path, encoding="utf-8", newline="\n")


class _Lines:
    """The lines of a file with their numbers, for messages."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self.file, self.path, self.number = file, path, 0

    def __iter__(self) -> Iterator[str]:
        for line in self.file:
            self.number += 1
            yield line.rstrip("\r\n")

    def damaged(self, what: str) -> DamagedFile:
        return DamagedFile(f"{self.path}, line {self.number:,}: {what}")


def _parse(lines: _Lines) -> ArpaModel:
    reader = iter(lines)
    counts = _header(lines, reader)
    vocabulary: Vocabulary | None = None
    ids: dict[str, int] = {}
    tokens: list[Array] = []
    probability: list[Array] = []
    backoff: list[Array] = []
    for m, expected in enumerate(counts, start=1):
        texts, p, weights = _section(lines, reader, m, expected, last=m == len(counts))
        if vocabulary is None:
            vocabulary, ids = _vocabulary(lines, texts)
        try:
            flat = np.fromiter((ids[token] for text in texts for token in text.split(" ")), np.int64, m * len(texts))
        except KeyError as error:
            raise lines.damaged(f"one of the {m}-grams above holds {error}, which is not among the 1-grams.") from None
        tokens.append(flat.reshape(-1, m))
        probability.append(10.0 ** np.array(p))
        backoff.append(10.0 ** np.array(weights))
    for line in reader:
        if line.strip() == "\\end\\":
            break
        if line.strip():
            raise lines.damaged(f"expected \\end\\ after the {len(counts)}-grams, found {line[:60]!r}.")
    else:
        raise lines.damaged("the file ends without \\end\\: it was cut short. Copy or write it again.")
    assert vocabulary is not None
    marks = (vocabulary.bos, vocabulary.pad)
    unigrams, weight_of = np.zeros(vocabulary.nids), np.ones(vocabulary.nids)
    unigrams[tokens[0][:, 0]], weight_of[tokens[0][:, 0]] = probability[0], backoff[0]
    unigrams[list(marks)] = 0.0
    probability[0], backoff[0] = unigrams, weight_of
    table = table_from_ngrams(tokens[1:], probability, backoff[:-1], marks, vocabulary.nids, vocabulary.size)
    return ArpaModel(vocabulary, table)


def _header(lines: _Lines, reader: Iterator[str]) -> list[int]:
    for line in reader:
        if line.strip() == "\\data\\":
            break
        if line.startswith("\\"):
            raise lines.damaged(f"found {line[:60]!r} before \\data\\, so this is no ARPA file.")
    else:
        raise lines.damaged("there is no \\data\\ line, so this is no ARPA file.")
    counts: list[int] = []
    for line in reader:
        if not line.strip():
            if counts:
                return counts
            continue
        name, _, count = line.strip().partition("=")
        if name != f"ngram {len(counts) + 1}" or not count.strip().isdigit():
            raise lines.damaged(f"expected 'ngram {len(counts) + 1}=' and a count, found {line[:60]!r}.")
        counts.append(int(count))
    raise lines.damaged("the file ends after its header: it was cut short. Copy or write it again.")


def _section(
    lines: _Lines, reader: Iterator[str], m: int, expected: int, last: bool
) -> tuple[list[str], list[float], list[float]]:
    for line in reader:
        if line.strip() == f"\\{m}-grams:":
            break
        if line.strip():
            raise lines.damaged(f"expected \\{m}-grams:, found {line[:60]!r}.")
    else:
        raise lines.damaged(f"the file ends before the {m}-grams: it was cut short. Copy or write it again.")
    texts: list[str] = []
    p: list[float] = []
    weights: list[float] = []
    while len(texts) < expected:
        line = next(reader, "\\end\\")
        if line == "\\end\\":
            raise lines.damaged(
                f"{expected:,} {m}-grams were announced and there are {len(texts):,}: the file was cut short."
            )
        fields = line.split("\t") if "\t" in line else _by_spaces(line, m)
        try:
            log10 = float(fields[0])
            weight = float(fields[2]) if len(fields) > 2 else 0.0
            text = fields[1]
        except (ValueError, IndexError):
            raise lines.damaged(
                f"expected a log10 probability, {m} tokens and perhaps a back-off weight, separated by tabs, found "
                f"{line[:60]!r}."
            ) from None
        if text.count(" ") != m - 1 or len(fields) > 3:
            raise lines.damaged(f"expected {m} tokens separated by single spaces, found {text[:60]!r}.")
        if not log10 <= 0 or not np.isfinite(weight) or (last and weight != 0):
            raise lines.damaged(f"{log10:g} with back-off {weight:g} is no probability of a {m}-gram: {line[:60]!r}.")
        texts.append(text)
        p.append(-np.inf if log10 <= IMPOSSIBLE else log10)
        weights.append(weight)
    return texts, p, weights


def _by_spaces(line: str, m: int) -> list[str]:
    """Fields of a line that separates everything by spaces, as some programs do."""
    parts = line.split()
    return [*parts[:1], " ".join(parts[1 : m + 1]), *parts[m + 1 :]]


def _vocabulary(lines: _Lines, texts: list[str]) -> tuple[Vocabulary, dict[str, int]]:
    types = [text for text in texts if text not in (START, END, UNKNOWN)]
    if len(set(texts)) < len(texts):
        twice = next(text for i, text in enumerate(texts) if text in texts[:i])
        raise lines.damaged(f"the 1-gram {twice!r} stands twice.")
    if END not in texts:
        raise lines.damaged("there is no </s> among the 1-grams, so no sentence could end.")
    vocabulary = Vocabulary(tuple(types), with_eos=True, with_unk=UNKNOWN in texts)
    ids = {token: i for i, token in enumerate(types)}
    return vocabulary, ids | {START: vocabulary.bos, END: vocabulary.eos, UNKNOWN: vocabulary.unk}
