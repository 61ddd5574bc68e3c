"""Make figures.json and text.json.gz of this folder from what KenLM says.

    python make_reference.py FOLDER

FOLDER holds, made with KenLM's tools, for NAME-N in words-2, words-3, words-4 and chars-5,

    lmplz -o N --discount_fallback --arpa NAME-N.arpa < TRAIN ; gzip NAME-N.arpa
    query -v word NAME-N.arpa < TEST | gzip > NAME-N.query.gz

where TRAIN and TEST are train.txt and test.txt for words, chars.txt and chars.test.txt (characters separated by spaces) for
chars. Without FOLDER, a text is invented and lmplz and query must be on PATH. The text is kept whole, the figures are a
sample of the n-grams of each length with the sums over all of them, and the score of each token of the first sentences.
"""

from __future__ import annotations

import gzip
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CASES = {"words": (2, 3, 4), "chars": (5,)}
TEXTS = {"words": ("train.txt", "test.txt"), "chars": ("chars.txt", "chars.test.txt")}
SAMPLE, SENTENCES = 150, 120


def invent(folder: Path) -> None:
    """A text of invented words in which each word has a few favourite successors, and KenLM's answers on it."""
    rng = np.random.default_rng(8)
    words = ["".join(rng.choice(list("bdfgklmnprstvaeiou"), rng.integers(2, 7))) for _ in range(300)]
    share = 1 / np.arange(1, 301) ** 1.1
    share /= share.sum()
    favourites = rng.choice(300, size=(300, 4), p=share)

    def sentence() -> list[str]:
        at, out = 0, []
        for _ in range(rng.integers(3, 18)):
            at = int(favourites[at, rng.integers(4)]) if rng.random() < 0.5 else int(rng.choice(300, p=share))
            out.append(words[at])
        return out

    for name, size in (("train.txt", 5000), ("test.txt", 400)):
        lines = [" ".join(sentence()) for _ in range(size)]
        (folder / name).write_text("\n".join(lines) + "\n")
        short = "\n".join(" ".join(line.replace(" ", "_")) for line in lines[:400])
        (folder / ("chars.txt" if name == "train.txt" else "chars.test.txt")).write_text(short + "\n")
    for kind, lengths in CASES.items():
        for n in lengths:
            arpa = folder / f"{kind}-{n}.arpa"
            with open(folder / TEXTS[kind][0]) as text, open(arpa, "w") as out:
                subprocess.run(["lmplz", "-o", str(n), "--discount_fallback"], stdin=text, stdout=out, check=True)
            with open(folder / TEXTS[kind][1]) as text:
                scores = subprocess.run(
                    ["query", "-v", "word", str(arpa)], stdin=text, capture_output=True, check=True
                ).stdout
            for path, content in ((arpa, arpa.read_bytes()), (folder / f"{kind}-{n}.query", scores)):
                with gzip.open(f"{path}.gz", "wb") as packed:
                    packed.write(content)


def read_arpa(path: Path) -> list[list[tuple[str, float, float]]]:
    """For each length the n-grams with their log10 probability and log10 back-off weight."""
    levels: list[list[tuple[str, float, float]]] = []
    with gzip.open(path, "rt") as file:
        for line in file:
            if line.rstrip().endswith("-grams:"):
                levels.append([])
            elif levels and "\t" in line:
                fields = line.rstrip("\n").split("\t")
                levels[-1].append((fields[1], float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0))
    return levels


def read_query(path: Path) -> list[list[float]]:
    """For each sentence the log10 score of its tokens, the end included."""
    sentences = []
    with gzip.open(path, "rt") as file:
        for line in file:
            fields = [token.split(" ") for token in line.rstrip("\n").split("\t") if "=" in token]
            scores = [float(f[2]) for f in fields if len(f) == 3]
            if scores:
                sentences.append(scores)
    return sentences


def main(folder: Path) -> None:
    """Write the two files."""
    rng = np.random.default_rng(0)
    figures = {}
    for kind, lengths in CASES.items():
        for n in lengths:
            levels = read_arpa(folder / f"{kind}-{n}.arpa.gz")
            scores = read_query(folder / f"{kind}-{n}.query.gz")
            figures[f"{kind}-{n}"] = {
                "counts": [len(level) for level in levels],
                "sums": [[math.fsum(x[i] for x in level if x[0] != "<s>") for i in (1, 2)] for level in levels],
                "sample": [
                    sorted(level[i] for i in rng.choice(len(level), min(SAMPLE, len(level)), replace=False))
                    for level in levels
                ],
                "sentences": scores[:SENTENCES],
                "total": math.fsum(x for sentence in scores for x in sentence),
            }
    (HERE / "figures.json").write_text(json.dumps(figures, separators=(",", ":")) + "\n")
    texts = {kind: [(folder / name).read_text().splitlines() for name in names] for kind, names in TEXTS.items()}
    with open(HERE / "text.json.gz", "wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        packed.write(json.dumps(texts).encode())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            invent(Path(made))
            main(Path(made))
