"""Token tables: Parquet files with a row a token (doc, pos, tok), read by DuckDB within a memory limit.

`doc` is anything that can be sorted, `pos` an integer that orders the tokens of a document, `tok` a string, or an integer. A
document lies in one file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from statlm.errors import CorpusError, DamagedFile, MemoryLimitReached, NotWritten, SpecificationError
from statlm.numerics.types import Array
from statlm.text import building
from statlm.text.vocabulary import Vocabulary

BATCH = 1 << 20  # rows fetched at a time
TWICE = "statlm: a position stands twice"
NULL = "statlm: a missing value"


@contextmanager
def database(memory_limit: str, about: object) -> Iterator[Any]:
    """A DuckDB connection that spills to a temporary folder; its errors are turned into those of this package.

    Parameters
    ----------
    memory_limit : str
        Such as "500MB" or "4GB".
    about : object
        What is being read or written, for messages.

    Raises
    ------
    SpecificationError
        If duckdb or pyarrow is not installed, or `memory_limit` is no size.
    MemoryLimitReached, NotWritten, DamagedFile
        As the work goes on.
    """
    try:
        import duckdb
        import pyarrow  # noqa: F401  duckdb hands over its rows with it
    except ImportError as error:
        raise SpecificationError(
            f"Parquet token tables need {error.name}, which is not installed. Install it with: pip install 'statlm[distributed]'"
        ) from error
    with tempfile.TemporaryDirectory(prefix="statlm-") as spill:
        try:
            settings: dict[str, Any] = {"memory_limit": memory_limit, "temp_directory": spill}
            connection = duckdb.connect(config=settings)
        except duckdb.Error as error:
            raise SpecificationError(
                f"memory_limit={memory_limit!r} is no amount of memory. Use '500MB' or '4GB'."
            ) from error
        try:
            connection.execute("SET preserve_insertion_order = false")
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise MemoryLimitReached(
                f"{about}: the work does not fit into memory_limit={memory_limit!r} ({_first_line(error)}). Raise the limit, "
                "or cut the text into more shards."
            ) from error
        except duckdb.Error as error:
            raise _translated(error, about) from error
        finally:
            connection.close()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _translated(error: Exception, about: object) -> Exception:
    text = _first_line(error)
    if TWICE in text:
        return DamagedFile(
            f"{about}: a position (doc, pos) stands twice, so the order of the tokens is not known. A document lies in one "
            "file, with a different pos for each of its tokens."
        )
    if NULL in text:
        return DamagedFile(f"{about} has missing values in doc, pos or tok. Remove those rows, or fill them in.")
    if "No space left" in text or "max_temp_directory_size" in text:
        return NotWritten(
            f"{about}: there is no room on the disk, for the result or for what was spilled to the temporary folder ({text}). "
            "What stood there before is untouched. Make room, or set TMPDIR to a larger disk."
        )
    return DamagedFile(f"{about} cannot be read as Parquet: {text}")


def file_list(paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str]) -> list[str]:
    """The paths as a list of strings; the .parquet files of a folder by name.

    Raises
    ------
    CorpusError
        If there are none.
    """
    if isinstance(paths, (str, os.PathLike)):
        folder = Path(paths)
        paths = sorted(folder.glob("*.parquet")) if folder.is_dir() else [folder]
    found = [os.fspath(path) for path in paths]
    if not found:
        raise CorpusError("There is no .parquet file to read. Check the folder.")
    return found


def integers(connection: Any, path: str) -> bool:
    """Whether the tokens of a table are integers and not strings.

    Raises
    ------
    DamagedFile
        If it is no token table.
    """
    rows = connection.execute("DESCRIBE SELECT * FROM read_parquet($path)", {"path": path}).fetchall()
    kinds = {name: kind for name, kind, *_ in rows}
    if not {"doc", "pos", "tok"} <= set(kinds):
        raise DamagedFile(
            f"{path} has the columns {', '.join(kinds)} and lacks {', '.join(sorted({'doc', 'pos', 'tok'} - set(kinds)))}: a "
            "token table has a row a token with doc, pos and tok. Rename them."
        )
    if "INT" not in kinds["pos"] or not ("INT" in kinds["tok"] or kinds["tok"] == "VARCHAR"):
        raise DamagedFile(
            f"{path} has pos of type {kinds['pos']} and tok of type {kinds['tok']}. pos must be an integer and tok an integer "
            "or a string."
        )
    return "INT" in kinds["tok"]


def view_of_ids(connection: Any, path: str, vocabulary: Vocabulary) -> None:
    """Make the view ``ids`` (doc, pos, tok) of a table, with the ids of a vocabulary.

    Raises
    ------
    CorpusError
        If integer tokens are no ids of it, or mark bounds of documents.
    DamagedFile
        If the table is none, or has missing values.
    """
    import pyarrow as pa

    numeric = integers(connection, path)
    table = f"read_parquet({literal(path)})"
    missing = connection.sql(f"SELECT count(*) FROM {table} WHERE doc IS NULL OR pos IS NULL OR tok IS NULL").fetchall()[0][
        0
    ]
    if missing:
        raise DamagedFile(f"{path} has missing values in doc, pos or tok ({missing:,} rows). Remove them, or fill them in.")
    if numeric:
        low, high, marks = connection.execute(
            f"SELECT min(tok), max(tok), count(*) FILTER (tok IN ($bos, $pad, $eos)) FROM {table}",
            {"bos": vocabulary.bos, "pad": vocabulary.pad, "eos": vocabulary.eos},
        ).fetchone()
        if low is not None:
            building.check_ids(low, high, vocabulary)
        if marks:
            raise CorpusError(building.MARKS)
        chosen = f"SELECT doc, pos::BIGINT AS pos, tok::INTEGER AS tok FROM {table}"
    else:
        types = pa.table(
            {"name": pa.array(vocabulary.types, pa.string()), "id": pa.array(range(len(vocabulary.types)), pa.int32())}
        )
        connection.register("types", types)
        chosen = (
            f"SELECT doc, pos::BIGINT AS pos, coalesce(id, {vocabulary.unk})::INTEGER AS tok "
            f"FROM {table} LEFT JOIN types ON tok = name"
        )
    connection.execute(f"CREATE OR REPLACE TEMP VIEW ids AS {chosen}")


def literal(text: str) -> str:
    """A string as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def fetch(connection: Any, query: str, columns: int) -> list[Array]:
    """The integer columns of a query, fetched a bounded number of rows at a time."""
    parts: list[bytearray] = [bytearray() for _ in range(columns)]
    kinds: list[Any] = [np.dtype(np.int32)] * columns
    for batch in connection.sql(query).to_arrow_reader(BATCH):
        for i in range(columns):
            values = batch.column(i).to_numpy(zero_copy_only=False)
            kinds[i] = values.dtype
            parts[i] += values.tobytes()
    return [np.frombuffer(part, kind) for part, kind in zip(parts, kinds, strict=True)]


def read(
    paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    vocabulary: Vocabulary | None,
    eos: bool | None,
    unk: bool,
    min_count: int,
    given: int,
    memory_limit: str,
) -> building.Parts:
    """The parts of a corpus from token tables."""
    files = file_list(paths)
    lengths: list[Array] = []
    names: list[str] = []
    tokens: list[Array] = []
    with database(memory_limit, ", ".join(files[:3]) + (" ..." if len(files) > 3 else "")) as connection:
        if vocabulary is None:
            vocabulary = _vocabulary(connection, files, eos, unk, min_count)
        for path in files:
            view_of_ids(connection, path, vocabulary)
            documents = connection.sql("SELECT doc::VARCHAR, count(*) FROM ids GROUP BY doc ORDER BY doc").fetchall()
            ids, pos = fetch(connection, "SELECT tok, pos FROM ids ORDER BY doc, pos", 2)
            here = np.array([count for _, count in documents], np.int64)
            opens = np.zeros(len(ids), bool)
            opens[np.cumsum(here) - here] = True
            if (~opens[1:] & (pos[1:] == pos[:-1])).any():
                raise _translated(ValueError(TWICE), path)
            lengths.append(here)
            names += [name for name, _ in documents]
            tokens.append(ids.astype(vocabulary.dtype))
    if not sum(map(len, tokens)):
        raise CorpusError("The corpus is empty: there is no token in the tables to count.")
    return building.from_ids(np.concatenate(tokens), np.concatenate(lengths), vocabulary, given, names, None)


def _vocabulary(connection: Any, files: list[str], eos: bool | None, unk: bool, min_count: int) -> Vocabulary:
    """The types of tables, in the order in which `Corpus.from_tokens` numbers them."""
    kinds = {integers(connection, path) for path in files}
    if len(kinds) > 1:
        raise CorpusError("Some of the tables hold integers as tokens and some strings. Convert them first.")
    tables = f"read_parquet([{', '.join(map(literal, files))}])"
    found = connection.sql(f"SELECT tok, count(*) FROM {tables} WHERE tok IS NOT NULL GROUP BY tok").fetchall()
    if kinds == {True}:
        raise CorpusError(
            "The tokens of the tables are integers, which are ids of some vocabulary. Give it: from_parquet(paths, "
            "vocabulary=...); or write tokens as strings."
        )
    kept = sorted(token for token, count in found if count >= min_count)
    if eos is None:
        documents = sum(
            connection.sql(f"SELECT count(DISTINCT doc) FROM read_parquet({literal(f)})").fetchall()[0][0] for f in files
        )
        eos = documents > 1
    return Vocabulary(tuple(kept), eos, unk or len(kept) < len(found))
