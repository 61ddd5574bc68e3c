"""Smoothed n-grams: speed and memory beside nltk and KenLM, and the held-out perplexity of every smoother.

    python benchmarks/smoothing.py speed [--tokens 20000000] [--n 5] [--nltk-tokens 100000]
    python benchmarks/smoothing.py perplexity [--corpus shakespeare-chars ...] [--max-n 10]

`speed` goes from a text file to all interpolated modified Kneser-Ney probabilities, and scores one million held-out tokens
one by one. lmplz (to an ARPA file, and to its intermediate format) and the package kenlm are run where they are installed.
`perplexity` reads the data sets of statlm.datasets; one that is not here is left out, and said so.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from corpora import resampled_speeches
from measure import answer, run_case, seconds

import statlm as slm

HELD_OUT = 1_000_000
SMOOTHERS = (
    "additive",
    "witten-bell",
    "absolute-discounting",
    "kneser-ney",
    "modified-kneser-ney",
    "katz",
    "jelinek-mercer",
    "pitman-yor",
)


def write_text(path: Path, ntokens: int, seed: int) -> None:
    """The generated corpus, a sentence a line."""
    vocabulary, tokens, offsets = resampled_speeches(ntokens, seed)
    words = np.array(vocabulary.tokens, dtype=object)
    with open(path, "w", encoding="utf-8") as file:
        for begin in range(0, len(offsets) - 1, 1000):
            part = offsets[begin : begin + 1001]
            text = words[tokens[part[0] : part[-1]]]
            text[part[1:] - part[0] - 1] = "\n"
            file.write(" ".join(text).replace(" \n ", "\n").rstrip(" "))


def case_statlm(folder: Path, n: int) -> None:
    """Text file to corpus to probabilities, words and punctuation apart; then held-out tokens one by one."""
    _read_fit_score("statlm", slm.Words(lowercase=True), folder, n)


def case_split(folder: Path, n: int) -> None:
    """The same, cut at white space only, which is all that lmplz does."""
    _read_fit_score("statlm, cut at spaces", slm.Words(punctuation="attached"), folder, n)


def _read_fit_score(tool: str, words: slm.Words, folder: Path, n: int) -> None:
    reading, train = seconds(lambda: slm.Corpus.from_file(folder / "train.txt", words, split="line", eos=True, unk=True))
    fitting, fit = seconds(lambda: slm.NGram(n, smoothing="modified-kneser-ney").fit(train))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    held = slm.Corpus.from_file(folder / "test.txt", vocabulary=train.vocabulary, split="line")
    model = fit.on(held)
    model.on(held.subset([0])).loglike_obs()  # the search keys are made at the first use
    scoring, loglike = seconds(model.loglike_obs)
    answer(
        tool=tool,
        tokens=train.nobs,
        seconds=reading + fitting,
        of_it_fitting=fitting,
        fit_gib=round(peak, 3),
        scored_a_second=held.nobs / scoring,
        perplexity=float(np.exp(-loglike.mean())),
    )


def case_nltk(folder: Path, n: int) -> None:
    """nltk.lm's interpolated Kneser-Ney, the nearest it has; a few tokens are scored, since each takes that long."""
    from nltk.lm import KneserNeyInterpolated
    from nltk.lm.preprocessing import padded_everygram_pipeline

    lines = (folder / "train.txt").read_text().splitlines()
    sentences = [line.split() for line in lines]

    def fit() -> KneserNeyInterpolated:
        model = KneserNeyInterpolated(n)
        model.fit(*padded_everygram_pipeline(n, sentences))
        return model

    fitted, model = seconds(fit)
    padded = ["<s>"] * (n - 1) + (folder / "test.txt").read_text().split()[:100]
    start, scored = time.perf_counter(), 0
    while scored < 100 and time.perf_counter() - start < 30:
        model.score(padded[scored + n - 1], padded[scored : scored + n - 1])
        scored += 1
    tokens = sum(len(s) + 1 for s in sentences)
    answer(tool="nltk", tokens=tokens, seconds=fitted, scored_a_second=scored / (time.perf_counter() - start))


def case_lmplz(folder: Path, n: int) -> None:
    """lmplz to an ARPA file."""
    _lmplz(folder, n, "lmplz", "--arpa", str(folder / "model.arpa"))


def case_intermediate(folder: Path, n: int) -> None:
    """lmplz without writing an ARPA file."""
    _lmplz(folder, n, "lmplz --intermediate", "--intermediate", str(folder / "model"))


def _lmplz(folder: Path, n: int, tool: str, *output: str) -> None:
    text = folder / "train.txt"
    command = ["lmplz", "-o", str(n), "-S", "4G", "-T", str(folder), "--discount_fallback", "--text", str(text), *output]
    taken, _ = seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    answer(tool=tool, tokens=len(text.read_text().split()), seconds=taken, child_gib=peak)


def case_kenlm(folder: Path, n: int) -> None:
    """The package kenlm scoring the held-out text, token by token, with lmplz's ARPA file."""
    import kenlm

    model = kenlm.Model(str(folder / "model.arpa"))
    lines = (folder / "test.txt").read_text().splitlines()
    scored, total = seconds(lambda: [[s[0] for s in model.full_scores(line)] for line in lines])
    logs = np.concatenate(total)
    answer(tool="kenlm", scored_a_second=len(logs) / scored, perplexity=float(10 ** -logs.mean()))


def speed(tokens: int, n: int, nltk_tokens: int) -> None:
    """Run all cases and print a table with ratios."""
    with tempfile.TemporaryDirectory() as made:
        large, small = Path(made) / "large", Path(made) / "small"
        for folder, size in ((large, tokens), (small, nltk_tokens)):
            folder.mkdir()
            write_text(folder / "train.txt", size, seed=1)
            write_text(folder / "test.txt", min(HELD_OUT, size), seed=2)
        plan = [("split", large), ("statlm", large), ("split", small)]
        plan += [("nltk", small)] if find_spec("nltk") else []
        plan += [("lmplz", large), ("intermediate", large)] if shutil.which("lmplz") else []
        plan += [("kenlm", large)] if shutil.which("lmplz") and find_spec("kenlm") else []
        rows = []
        for case, folder in plan:
            rows.append(run_case(__file__, case, "--folder", str(folder), "--n", str(n)))
            print(pd.DataFrame(rows).round(3).to_string(index=False), flush=True)
    found = {(row["tool"], row.get("tokens", 0) > 2 * nltk_tokens): row for row in rows}
    ours, few = rows[0], rows[2]
    if peer := found.get(("nltk", False)):
        print(
            f"nltk: fits in {peer['seconds'] / few['seconds']:,.1f} times statlm's time, scores "
            f"{few['scored_a_second'] / peer['scored_a_second']:,.0f} times slower, "
            f"{peer['peak_gib'] / few['peak_gib']:.1f} times its memory."
        )
    for tool in ("lmplz", "lmplz --intermediate"):
        if peer := found.get((tool, True)):
            memory = ours["peak_gib"] / max(peer["peak_gib"], peer["child_gib"])
            print(
                f"statlm takes {ours['seconds'] / peer['seconds']:.2f} of the time of {tool}, {memory:.1f} times its memory."
            )
    missing = [name for name, here in (("lmplz", shutil.which("lmplz")), ("kenlm", find_spec("kenlm"))) if not here]
    if missing:
        print(f"Not installed, left out: {', '.join(missing)}.")


def texts() -> dict[str, tuple[int, object]]:
    """Name, largest n and how to load each corpus."""
    words = slm.Words(lowercase=True)
    load = slm.datasets.load
    return {
        "shakespeare-chars": (10, lambda: load("shakespeare", tokenizer="char", split="line", eos=True, unk=True)),
        "shakespeare-words": (5, lambda: load("shakespeare", tokenizer=words, split="line", eos=True, unk=True)),
        "dom-casmurro-chars": (10, lambda: load("dom_casmurro", tokenizer="char", split="line", eos=True, unk=True)),
        "dom-casmurro-words": (5, lambda: load("dom_casmurro", tokenizer=words, split="line", eos=True, unk=True)),
        "sotu-words": (5, lambda: load("sotu", tokenizer=words, split="paragraph", eos=True, unk=True)),
    }


def perplexity(chosen: list[str] | None, max_n: int) -> None:
    """Held-out perplexity of each smoother by n: the last tenth of the documents."""
    for name, (largest, make) in texts().items():
        if chosen and name not in chosen:
            continue
        try:
            corpus = make()
        except slm.errors.DataUnavailable as error:
            print(f"{name}: left out. {error}")
            continue
        train, test = corpus.split(0.1)
        known = np.isin(test.tokens, np.unique(train.tokens))[test._observed]
        rows = {}
        for smoother in SMOOTHERS:
            found = []
            for n in range(1, min(largest, max_n) + 1):
                fit = slm.NGram(n, smoothing=smoother).fit(train)
                found.append(float(np.exp(-fit.on(test).loglike_obs()[known].mean())))
            rows[smoother] = found
            print(f"{name}: {smoother} done", file=sys.stderr, flush=True)
        table = pd.DataFrame(rows, index=pd.Index(range(1, min(largest, max_n) + 1), name="n")).T
        print(
            f"\n{name}: {train.nobs:,} tokens, held out {test.nobs:,} ({(~known).sum():,} of types not in training left out)"
        )
        print(table.round(3).to_string(), flush=True)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("speed", "perplexity"), default="speed")
    parser.add_argument("--tokens", type=int, default=20_000_000)
    parser.add_argument("--nltk-tokens", type=int, default=100_000)
    parser.add_argument("--n", type=int, default=5)
    parser.add_argument("--corpus", nargs="*")
    parser.add_argument("--max-n", type=int, default=10)
    parser.add_argument("--case")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.case:
        globals()[f"case_{asked.case}"](asked.folder, asked.n)
    elif asked.part == "speed":
        speed(asked.tokens, asked.n, asked.nltk_tokens)
    else:
        perplexity(asked.corpus, asked.max_n)


if __name__ == "__main__":
    main()
