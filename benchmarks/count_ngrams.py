"""Counting at scale: 20 million tokens at n = 5, beside nltk on a part of them and KenLM where its lmplz is on PATH.

    python benchmarks/count_ngrams.py [--tokens 20000000] [--n 5] [--nltk-tokens 300000]

All times are for data in the form that each tool takes: ids for statlm, lists of strings for nltk, a text file for lmplz (which
also estimates its smoothing in that time).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from corpora import resampled_speeches
from measure import answer, run_case, seconds

import statlm as slm


def make_corpus(ntokens: int) -> slm.Corpus:
    """The generated corpus, a sentence a document."""
    vocabulary, tokens, offsets = resampled_speeches(ntokens, seed=1)
    names = pd.DataFrame({"name": pd.RangeIndex(len(offsets) - 1)})
    return slm.Corpus(vocabulary, tokens, offsets, np.zeros(len(offsets) - 1, np.int64), names)


def case_statlm(ntokens: int, n: int) -> None:
    """Count, and score the training text token by token."""
    corpus = make_corpus(ntokens)
    fit_seconds, fit = seconds(lambda: slm.NGram(n).fit(corpus))
    score_seconds, total = seconds(lambda: fit.loglike)
    answer(
        tokens=corpus.nobs,
        seconds=fit_seconds,
        score_seconds=score_seconds,
        distinct=fit.likelihood.table.ncells,
        per_token=total / corpus.nobs,
    )


def case_nltk(ntokens: int, n: int) -> None:
    """Count with nltk.lm, and score the same tokens."""
    from nltk.lm import MLE
    from nltk.lm.preprocessing import padded_everygram_pipeline

    corpus = make_corpus(ntokens)
    types = corpus.vocabulary.tokens
    sentences = [
        [types[i] for i in corpus.tokens[a : b - 1]] for a, b in zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)
    ]

    def fit() -> MLE:
        model = MLE(n)
        model.fit(*padded_everygram_pipeline(n, sentences))
        return model

    def score(model: MLE) -> float:
        total = 0.0
        for sentence in sentences:
            padded = ["<s>"] * (n - 1) + sentence + ["</s>"]
            for i in range(n - 1, len(padded)):
                total += model.logscore(padded[i], padded[i - n + 1 : i]) * np.log(2)
        return total

    fit_seconds, model = seconds(fit)
    score_seconds, total = seconds(lambda: score(model))
    answer(tokens=corpus.nobs, seconds=fit_seconds, score_seconds=score_seconds, per_token=total / corpus.nobs)


def case_kenlm(ntokens: int, n: int) -> None:
    """Estimate with KenLM's lmplz from a text file, to its intermediate format."""
    corpus = make_corpus(ntokens)
    types = np.array([f"w{i}" for i in range(corpus.vocabulary.nids)], dtype=object)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text"
        with open(text, "w", encoding="utf-8") as file:
            for a, b in zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True):
                file.write(" ".join(types[corpus.tokens[a : b - 1]]) + "\n")
        command = ["lmplz", "-o", str(n), "-S", "4G", "-T", folder, "--text", str(text), "--intermediate", folder + "/out"]
        taken, _ = seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    answer(tokens=corpus.nobs, seconds=taken, score_seconds=float("nan"), per_token=float("nan"))


def main() -> None:
    """Run all cases and print a table with ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=20_000_000)
    parser.add_argument("--nltk-tokens", type=int, default=300_000)
    parser.add_argument("--n", type=int, default=5)
    parser.add_argument("--case")
    asked = parser.parse_args()
    if asked.case:
        globals()[f"case_{asked.case}"](asked.tokens, asked.n)
        return
    plan = [("statlm", asked.tokens), ("statlm", asked.nltk_tokens), ("nltk", asked.nltk_tokens)]
    if shutil.which("lmplz"):
        plan.append(("kenlm", asked.tokens))
    rows = [{"tool": tool} | run_case(__file__, tool, "--tokens", str(tokens), "--n", str(asked.n)) for tool, tokens in plan]
    table = pd.DataFrame(rows)
    table["tokens_per_second"] = table.tokens / table.seconds
    print(table.round(3).to_string(index=False))
    ours, theirs = rows[1], rows[2]
    print(
        f"On {ours['tokens']:,} tokens statlm counts {theirs['seconds'] / ours['seconds']:,.0f} times as fast as nltk and scores "
        f"{theirs['score_seconds'] / ours['score_seconds']:,.0f} times as fast; log-likelihood a token {ours['per_token']:.6f} "
        f"and {theirs['per_token']:.6f} nats."
    )
    if len(rows) > 3:
        print(f"On {rows[0]['tokens']:,} tokens statlm takes {rows[0]['seconds'] / rows[3]['seconds']:.2f} of lmplz's time.")
    else:
        print("lmplz is not on PATH: KenLM is left out.")


if __name__ == "__main__":
    main()
