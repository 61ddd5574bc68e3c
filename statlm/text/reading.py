"""From files and strings to stretches of text, each a bounded piece of one document, so that memory stays bounded."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from statlm.errors import CorpusError
from statlm.text.encoding import code_points, normalise

CHUNK = 1 << 22  # characters read at a time
LONGEST_RUN = 1 << 16  # a text with more characters than this and no space among them is not made of words
BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")

Splitter: TypeAlias = Callable[[str], Iterable[str]]
Source: TypeAlias = tuple[str, Callable[[], Iterator[str]]]  # a name, and a way to read it from its start


def string_source(name: str, text: str) -> Source:
    """A string as a source, read in chunks.

    Raises
    ------
    CorpusError
        While reading: if the text holds a lone surrogate.
    """

    def read() -> Iterator[str]:
        for i in range(0, len(text), CHUNK):
            chunk = text[i : i + CHUNK]
            code_points(chunk)  # refuses lone surrogates, whatever the tokenizer
            yield chunk

    return name, read


def file_source(path: str | os.PathLike[str], encoding: str = "utf-8") -> Source:
    """A text file as a source, decoded strictly as it is read.

    Raises
    ------
    CorpusError
        If the encoding is unknown; while reading, if the file cannot be opened, is binary, or is not in `encoding`.
    """
    path = Path(path)
    try:
        codec = codecs.lookup(encoding).name
    except LookupError as error:
        raise CorpusError(
            f"encoding={encoding!r} is no encoding that Python knows, so {path} cannot be decoded. Use 'utf-8', 'latin-1', "
            "'cp1252', 'utf-16', or another of Python's standard encodings."
        ) from error

    def read() -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8-sig" if codec == "utf-8" else codec)()
        at = 0
        held = ""  # a carriage return at the end of a chunk, whose line feed may open the next
        try:
            with open(path, "rb") as file:
                while block := file.read(CHUNK):
                    if (nul := block.find(b"\0")) >= 0 and not codec.startswith(("utf-16", "utf-32")):
                        raise CorpusError(
                            f"{path} holds a zero byte at position {at + nul:,}, so it is a binary file and not text. "
                            "Convert it to plain text first; for UTF-16 text pass encoding='utf-16'."
                        )
                    at += len(block)
                    text = held + _decoded(decoder, block, at, path, encoding)
                    held = "\r" if text.endswith("\r") else ""
                    yield text.removesuffix("\r").replace("\r\n", "\n")
                yield held + _decoded(decoder, b"", at, path, encoding)
        except OSError as error:
            raise CorpusError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error

    return str(path.name), read


def _decoded(decoder: codecs.IncrementalDecoder, block: bytes, end: int, path: Path, encoding: str) -> str:
    """Decode a block that ends at byte `end` of the file."""
    try:
        return decoder.decode(block, final=not block)
    except UnicodeDecodeError as error:
        # error.object is the block, after bytes that waited for it and without a byte order mark: only its end is known.
        position = end - len(error.object) + error.start
        raise CorpusError(
            f"{path} is not {encoding}: byte {error.object[error.start]:#04x} at position {position:,} cannot be "
            "decoded, and guessing would change the text that is modelled. If the file is Western European, pass "
            "encoding='latin-1' (on the command line, --encoding latin-1)."
        ) from error


def text_files(folder: Path) -> list[Path]:
    """The .txt files of a folder, by name.

    Raises
    ------
    CorpusError
        If there are none.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix == ".txt" and path.is_file())
    if not found:
        raise CorpusError(f"The folder {folder} holds no .txt file. Name the files themselves, or another folder.")
    return found


def pieces(source: Source, split: str | Splitter | None) -> Iterator[tuple[str, bool]]:
    """Stretches of NFC text with a flag that says whether a document ends with the stretch.

    Parameters
    ----------
    source : Source
    split : None, "paragraph", "line" or callable
        None makes the source one document; "paragraph" cuts at blank lines and "line" at line ends, dropping what
        separates; a callable gets the whole text and gives the documents.
    """
    _, read = source
    if split is None:
        for text in _at_safe_places(read()):
            yield text, False
        yield "", True
    elif split in ("paragraph", "line"):
        separator = BLANK_LINE if split == "paragraph" else re.compile(r"\n")
        rest = ""
        for chunk in read():
            text = rest + chunk
            # White space at the end waits: the separator that it may belong to can go on in the next chunk.
            settled = len(text.rstrip())
            *whole, rest = separator.split(text[:settled])
            rest += text[settled:]
            for document in whole:
                if document.strip():
                    yield normalise(document.strip("\n")), True
        for document in separator.split(rest):
            if document.strip():
                yield normalise(document.strip("\n")), True
    elif callable(split):
        for document in split("".join(read())):
            yield normalise(document), True
    else:
        raise CorpusError(f"split={split!r} is unknown. Use None, 'paragraph', 'line', or a function from text to texts.")


def _at_safe_places(chunks: Iterable[str]) -> Iterator[str]:
    """Cut again where no token and no character with its marks is cut through; a text of one chunk is left whole."""
    held = ""
    for chunk in chunks:
        if held and chunk and (cut := _last_safe_place(held)):
            yield normalise(held[:cut])
            held = held[cut:]
        held += chunk
    if held:
        yield normalise(held)


def _last_safe_place(text: str) -> int:
    """Where characters, words and byte pairs can be cut without changing one of them; 0 if nowhere.

    That is before a line end or a space that stands alone: a word tokenizer counts it with the word after it, and so does a
    byte-level one, whose pattern treats a run of white space in another way at its end.
    """
    for separator in "\n ":
        at = text.rfind(separator, 1, len(text) - 1)
        while at > 0:
            if not (text[at - 1].isspace() or text[at + 1].isspace()):
                return at
            at = text.rfind(separator, 1, at)
    if len(text) <= LONGEST_RUN:
        return 0
    # Memory must stay bounded also where there are no words: an ASCII character never joins with the one before it.
    at = len(text) - 1
    while at > 0 and not text[at].isascii():
        at -= 1
    return at
