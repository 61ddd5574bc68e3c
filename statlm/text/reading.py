"""From files and strings to stretches of text, each a bounded piece of one document, so that memory stays bounded."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from statlm.errors import CorpusError
from statlm.text.tokenizers import normalise

CHUNK = 1 << 22  # characters read at a time
BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")

Splitter: TypeAlias = Callable[[str], Iterable[str]]
Source: TypeAlias = tuple[str, Callable[[], Iterator[str]]]  # a name, and a way to read it from its start


def string_source(name: str, text: str) -> Source:
    """A string as a source, read in chunks."""

    def read() -> Iterator[str]:
        for i in range(0, len(text), CHUNK):
            yield text[i : i + CHUNK]

    return name, read


def file_source(path: str | os.PathLike[str], encoding: str = "utf-8") -> Source:
    """A text file as a source, decoded strictly as it is read.

    Raises
    ------
    CorpusError
        While reading: if the file cannot be opened, is binary, or is not in `encoding`.
    """
    path = Path(path)

    def read() -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)()
        at = 0
        held = ""  # a carriage return at the end of a chunk, whose line feed may open the next
        try:
            with open(path, "rb") as file:
                while block := file.read(CHUNK):
                    if (nul := block.find(b"\0")) >= 0 and not encoding.lower().startswith(("utf-16", "utf-32")):
                        raise CorpusError(
                            f"{path} holds a zero byte at position {at + nul:,}, so it is a binary file and not text. "
                            "Convert it to plain text first; for UTF-16 text pass encoding='utf-16'."
                        )
                    waiting = len(decoder.getstate()[0])
                    text = held + _decoded(decoder, block, at - waiting, path, encoding)
                    held = "\r" if text.endswith("\r") else ""
                    at += len(block)
                    yield text.removesuffix("\r").replace("\r\n", "\n")
                yield held + _decoded(decoder, b"", at - len(decoder.getstate()[0]), path, encoding)
        except OSError as error:
            raise CorpusError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error

    return str(path.name), read


def _decoded(decoder: codecs.IncrementalDecoder, block: bytes, at: int, path: Path, encoding: str) -> str:
    try:
        return decoder.decode(block, final=not block)
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not {encoding}: byte {error.object[error.start]:#04x} at position {at + error.start:,} cannot be "
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
            *whole, rest = separator.split(rest + chunk)
            for document in whole:
                if document.strip():
                    yield normalise(document), True
        # The last blank line may have been split over two chunks, so the remainder is cut once more.
        for document in separator.split(rest):
            if document.strip():
                yield normalise(document.strip("\n")), True
    elif callable(split):
        for document in split("".join(read())):
            yield normalise(document), True
    else:
        raise CorpusError(f"split={split!r} is unknown. Use None, 'paragraph', 'line', or a function from text to texts.")


def _at_safe_places(chunks: Iterable[str]) -> Iterator[str]:
    """Cut again after the last line end, or else before the last ASCII character: never inside a character's marks."""
    rest = ""
    for chunk in chunks:
        text = rest + chunk
        cut = text.rfind("\n") + 1
        if cut == 0:
            cut = len(text) - 1
            while cut > 0 and not text[cut].isascii():
                cut -= 1
        if cut > 0:
            yield normalise(text[:cut])
        rest = text[cut:]
    if rest:
        yield normalise(rest)
