"""Counting a token table within a memory limit, beside counting the same tokens in memory.

    python benchmarks/parquet_counts.py [--tokens 20000000] [--n 3] [--memory-limit 500MB] [--shards 4]

Each case runs in a process of its own, and its peak memory includes Python and its libraries. The last one sums the shards and
checks that all counts of all lengths equal those in memory.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from corpora import resampled_speeches
from measure import answer, run_case, seconds

import statlm as slm
from statlm.interop import parquet
from statlm.models.ngram.stream import count_corpus


def make_corpus(tokens: int) -> slm.Corpus:
    vocabulary, ids, offsets = resampled_speeches(tokens, seed=1)
    names = pd.DataFrame({"name": pd.RangeIndex(len(offsets) - 1)})
    return slm.Corpus(vocabulary, ids, offsets, np.zeros(len(offsets) - 1, np.int64), names)


def case_write(folder: Path, asked: argparse.Namespace) -> None:
    """Shards of documents, and the vocabulary by the seed that makes the corpus."""
    corpus = make_corpus(asked.tokens)
    parts = np.array_split(np.arange(corpus.ndocuments), asked.shards)

    def write() -> None:
        for i, part in enumerate(parts):
            parquet.write_tokens(corpus.subset(part), folder / f"tokens{i}")

    taken, _ = seconds(write)
    answer(seconds=taken, tokens=corpus.nobs)


def case_count(folder: Path, asked: argparse.Namespace) -> None:
    """Count the shards, one after the other, within the limit."""
    vocabulary = resampled_speeches(10_000, seed=1)[0]
    shards = sorted(folder.glob("tokens*"))

    def count() -> None:
        for i, shard in enumerate(shards):
            parquet.count_shard(shard, folder / f"{i}.parquet", asked.n, vocabulary, memory_limit=asked.memory_limit)

    taken, _ = seconds(count)
    answer(seconds=taken)


def case_merge(folder: Path, asked: argparse.Namespace) -> None:
    """Sum the shards."""
    vocabulary = resampled_speeches(10_000, seed=1)[0]
    taken, merged = seconds(lambda: parquet.merge_counts(folder, vocabulary, memory_limit=asked.memory_limit))
    answer(seconds=taken, tokens=merged.nobs, windows=len(merged.counts))


def case_memory(folder: Path, asked: argparse.Namespace) -> None:
    """Count the same tokens in memory."""
    corpus = make_corpus(asked.tokens)
    taken, _ = seconds(lambda: count_corpus(corpus, asked.n))
    answer(seconds=taken, tokens=corpus.nobs)


def case_equal(folder: Path, asked: argparse.Namespace) -> None:
    """Whether the counts are the same, and the models."""
    corpus = make_corpus(asked.tokens)
    expected = count_corpus(corpus, asked.n)
    merged = parquet.merge_counts(folder, corpus.vocabulary, memory_limit=asked.memory_limit)
    found = merged.ngram_counts(asked.n)
    same = all(np.array_equal(a, b) for a, b in zip(found.raw, expected.raw, strict=True))
    same &= all(np.array_equal(a, b) for a, b in zip(found.continuation, expected.continuation, strict=True))
    held = corpus.subset(np.arange(1000))
    model = slm.NGram(asked.n, smoothing="modified-kneser-ney")
    scored = model.fit_counts(merged, on=held).loglike_obs()
    same_model = np.array_equal(scored, model.fit(corpus).on(held).loglike_obs())
    answer(same_counts=bool(same), same_kneser_ney=bool(same_model))


def main() -> None:
    """Run all cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=20_000_000)
    parser.add_argument("--n", type=int, default=3)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--memory-limit", default="500MB")
    parser.add_argument("--case")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.case:
        globals()[f"case_{asked.case}"](asked.folder, asked)
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"--tokens={asked.tokens}", f"--n={asked.n}", f"--shards={asked.shards}"]
        settings += [f"--memory-limit={asked.memory_limit}", f"--folder={folder}"]
        for case in ("write", "count", "merge", "memory", "equal"):
            print({"case": case} | run_case(__file__, case, *settings), flush=True)


if __name__ == "__main__":
    main()
