"""Texts larger than memory: token tables in Parquet, counted by DuckDB within a memory limit, shard by shard.

A token table has a row a token with the columns ``doc``, ``pos`` and ``tok``. Shards are counted apart, on as many machines as
there are, and their counts summed: the result is that of the whole text to the last digit, if no document lies in two shards.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from statlm.errors import DamagedFile, SpecificationError
from statlm.text.corpus import Corpus
from statlm.text.token_tables import database, fetch, file_list, literal, view_of_ids
from statlm.text.vocabulary import Vocabulary
from statlm.text.window_counts import WindowCounts
from statlm.text.writing import written_whole

MAX_N = 16
CHUNK = 1 << 20


def write_tokens(corpus: Corpus, path: str | os.PathLike[str]) -> None:
    """Write a corpus as a token table: a row a token, ids of its vocabulary, without the ends of documents.

    Parameters
    ----------
    corpus : Corpus
    path : path
        The file is written whole or not at all.

    Raises
    ------
    SpecificationError
        If pyarrow is not installed.
    NotWritten
        If there is no room, say.
    """
    with database("1GB", path), written_whole(path) as part:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("doc", pa.int64()), ("pos", pa.int64()), ("tok", pa.int32())])
        with pq.ParquetWriter(part, schema) as writer:
            for begin in range(0, len(corpus.tokens), CHUNK):
                here = np.arange(begin, min(begin + CHUNK, len(corpus.tokens)))
                doc = np.searchsorted(corpus.offsets, here, side="right") - 1
                tokens = corpus.tokens[here]
                kept = tokens != corpus.vocabulary.eos
                columns = (doc[kept], (here - corpus.offsets[doc])[kept], tokens[kept].astype(np.int32))
                writer.write_table(pa.table(dict(zip(("doc", "pos", "tok"), map(pa.array, columns), strict=True)), schema))


def count_shard(
    tokens: str | os.PathLike[str],
    path: str | os.PathLike[str],
    n: int,
    vocabulary: Vocabulary,
    *,
    memory_limit: str = "1GB",
) -> None:
    """Count the windows of a token table, and write them to a Parquet file that `merge_counts` reads.

    Parameters
    ----------
    tokens : path
        A token table: strings, or ids of the vocabulary. Ends of documents are no rows; they are counted where the vocabulary
        has them.
    path : path
        What is written, whole or not at all.
    n : int
        Length of the longest n-grams, 1 to 16.
    vocabulary : Vocabulary
        Strings that it lacks are ``<unk>``.
    memory_limit : str
        What DuckDB may use, such as "500MB"; beyond it, it uses the disk.

    Raises
    ------
    SpecificationError
        If duckdb or pyarrow is not installed, or a setting is none.
    DamagedFile, CorpusError
        If the file is no token table, or holds other tokens.
    MemoryLimitReached, NotWritten
        If the limit or the disk is too small. What stood at `path` before is untouched.
    """
    if not 1 <= n <= MAX_N:
        raise SpecificationError(f"n={n!r} is not an n-gram length. Choose a whole number from 1 to {MAX_N}.")
    table = os.fspath(tokens)
    with database(memory_limit, table) as connection, written_whole(path) as part:
        view_of_ids(connection, table, vocabulary)
        if vocabulary.with_eos:
            connection.execute(
                "CREATE TEMP VIEW text AS SELECT * FROM ids UNION ALL "
                f"SELECT doc, max(pos) + 1, {vocabulary.eos} FROM ids GROUP BY doc"
            )
        else:
            connection.execute("CREATE TEMP VIEW text AS SELECT * FROM ids")
        settings = {"n": str(n), "fingerprint": vocabulary.fingerprint}
        described = ", ".join(f"{key}: {literal(value)}" for key, value in settings.items())
        connection.execute(
            f"COPY ({_windows(n, vocabulary)} UNION ALL BY NAME {_arrival()}) TO {literal(os.fspath(part))} "
            f"(FORMAT parquet, KV_METADATA {{{described}}})"
        )


def _windows(n: int, vocabulary: Vocabulary) -> str:
    """Distinct windows t1 (most recent), ..., tn with their count."""
    before = [
        f"CASE WHEN place > {k} THEN lag(tok, {k}) OVER w WHEN place = {k} THEN {vocabulary.bos} ELSE {vocabulary.pad} END"
        for k in range(1, n)
    ]
    twice = "CASE WHEN lag(pos) OVER w = pos THEN error('statlm: a position stands twice')::INTEGER ELSE tok END"
    columns = ", ".join(f"({c})::INTEGER AS t{k}" for k, c in enumerate([twice, *before], start=1))
    return (
        f"SELECT {', '.join(f't{k}' for k in range(1, n + 1))}, count(*) AS count FROM (SELECT {columns} FROM "
        "(SELECT *, row_number() OVER (PARTITION BY doc ORDER BY pos) AS place FROM text) "
        "WINDOW w AS (PARTITION BY doc ORDER BY pos)) GROUP BY ALL"
    )


def _arrival() -> str:
    """Types with the rank of their first occurrence."""
    return (
        "SELECT tok AS t1, row_number() OVER (ORDER BY doc, pos) AS first FROM "
        "(SELECT tok, doc, min(pos) AS pos FROM text JOIN (SELECT tok, min(doc) AS doc FROM text GROUP BY tok) "
        "USING (tok, doc) GROUP BY tok, doc)"
    )


def merge_counts(
    paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str], vocabulary: Vocabulary, *, memory_limit: str = "1GB"
) -> WindowCounts:
    """Sum the counts of shards; fit models to them with ``NGram(n, ...).fit_counts(counts, on=held_out)``.

    Parameters
    ----------
    paths : path, or sequence of paths
        What `count_shard` wrote, or a folder of it.
    vocabulary : Vocabulary
        The one that they were counted with.
    memory_limit : str
        What DuckDB may use. The result is held in memory beside it.

    Returns
    -------
    WindowCounts

    Raises
    ------
    DamagedFile
        If a file holds no such counts, or those of another vocabulary or n.
    """
    files = file_list(paths)
    with database(memory_limit, ", ".join(files[:3]) + (" ..." if len(files) > 3 else "")) as connection:
        n = _check(connection, files, vocabulary)
        columns = ", ".join(f"t{k}" for k in range(1, n + 1))
        listed = f"read_parquet([{', '.join(map(literal, files))}])"
        *windows, counts = fetch(
            connection,
            f"SELECT {columns}, sum(count)::BIGINT FROM {listed} WHERE count IS NOT NULL GROUP BY {columns} ORDER BY {columns}",
            n + 1,
        )
        arrival = np.full(vocabulary.nids, np.iinfo(np.int64).max)
        for place, path in enumerate(files):
            types, first = fetch(
                connection, f"SELECT t1, first::BIGINT FROM read_parquet({literal(path)}) WHERE first IS NOT NULL", 2
            )
            new = arrival[types] == np.iinfo(np.int64).max
            arrival[types[new]] = first[new] + place * vocabulary.nids
    return WindowCounts(vocabulary, tuple(windows), counts, arrival)


def _check(connection: Any, files: list[str], vocabulary: Vocabulary) -> int:
    """The n of the counts in files."""
    found = set()
    for path in files:
        rows = connection.sql(f"SELECT key, value FROM parquet_kv_metadata({literal(path)})").fetchall()
        settings = {bytes(key).decode(): bytes(value).decode() for key, value in rows}
        if not {"n", "fingerprint"} <= set(settings):
            raise DamagedFile(f"{path} holds no counts that count_shard() wrote. Count the shard again.")
        if settings["fingerprint"] != vocabulary.fingerprint:
            raise DamagedFile(
                f"{path} was counted with another vocabulary, so its ids mean other tokens. Count the shard again with this one."
            )
        found.add(int(settings["n"]))
    if len(found) > 1:
        raise DamagedFile(
            f"The shards were counted for different lengths, n = {', '.join(map(str, sorted(found)))}, and cannot be summed. "
            "Count them again with one n."
        )
    return found.pop()
