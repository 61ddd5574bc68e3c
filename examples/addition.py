"""Addition of numbers of every length by a decoder that has been certified: all 2,100 prompts that it can meet are tried.

``python examples/addition.py`` fits the published decoder (2 layers, 2 heads, width 64; 102,464 parameters with its 14
symbols), tries every prompt, adds two numbers of a thousand digits, and looks for a smaller decoder that passes.
``--quick`` leaves the search out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import statlm as slm
from statlm.generation.generate import reader_of

Answerer = Callable[[Sequence[str]], list[str]]  # from prompts to answers
LONGEST = 4  # characters of an answer before it counts as endless

PUBLISHED = slm.TransformerDecoder.preset("alga", steps=600, batch=2048, optimizer="muon", seed=1)
LADDER = {  # one block, fewer and fewer numbers
    "1 layer, width 32": {"layers": 1, "heads": 2, "width": 32},
    "1 layer, width 16": {"layers": 1, "heads": 2, "width": 16},
    "1 layer, width 8": {"layers": 1, "heads": 2, "width": 8},
    "1 layer, width 6": {"layers": 1, "heads": 1, "width": 6},
    "1 layer, width 6, tied, hidden 12": {"layers": 1, "heads": 1, "width": 6, "hidden": 12, "tied": True},
    "the same without intercepts": {
        "layers": 1,
        "heads": 1,
        "width": 6,
        "hidden": 12,
        "tied": True,
        "bias": False,
        "steps": 4000,
    },
    "1 layer, width 5": {"layers": 1, "heads": 1, "width": 5},
    "1 layer, width 4": {"layers": 1, "heads": 1, "width": 4},
}


def greedy(model: Any) -> Answerer:
    """The answers of a model: the most probable next character, until ``<eos>``."""
    vocabulary = model.corpus.vocabulary

    def answer(prompts: Sequence[str]) -> list[str]:
        reader = reader_of(model, [np.asarray(vocabulary.encode(p).ids, np.int64) for p in prompts])
        found, going = [""] * len(prompts), np.arange(len(prompts))
        for _ in range(LONGEST):
            ids = reader.logprobs().argmax(axis=1)
            kept = ids != vocabulary.eos
            for row, token in zip(going[kept], ids[kept], strict=True):
                found[row] += vocabulary.tokens[token]
            going = going[kept]
            if not len(going):
                break
            reader.read(ids, kept)
        return found

    return answer


def certificate(answer: Answerer) -> pd.DataFrame:
    """Every prompt that addition can meet, with the answer due and the one given: all `right` certifies all lengths."""
    truth = slm.datasets.column_addition().truth
    given = answer(truth.prompt.tolist())
    return truth.assign(answered=given, right=[a == b for a, b in zip(given, truth.answer, strict=True)])


def add(a: str, b: str, answer: Callable[[str], str]) -> str:
    """Two numbers in digits, added from right to left with an answer a column."""
    width = max(len(a), len(b))
    total, digits = "", []
    for x, y in zip(reversed(a.zfill(width)), reversed(b.zfill(width)), strict=True):
        total = answer(f"{total}C{x}{y}" if total else f"{x}{y}")
        digits.append(total[-1])
    carry = total[:-1]  # of the last column
    return carry + "".join(reversed(digits))


def memoised(answer: Answerer) -> Callable[[str], str]:
    """Answers one at a time, each worked out once."""
    return cache(lambda prompt: answer([prompt])[0])


def report(name: str, fit: Any, seconds: float) -> pd.DataFrame:
    """Print how a fit did, and give its certificate."""
    table = certificate(greedy(fit))
    wrong = table[~table.right]
    verdict = (
        "right for numbers of every length"
        if wrong.empty
        else f"{len(wrong):,} prompts wrong, {wrong.prompt.iloc[0]} the first"
    )
    print(f"{name:34s} {fit.dof:8,} weights  {table.right.sum():,} of {len(table):,} prompts: {verdict}  ({seconds:.0f} s)")
    return table


def timed_fit(specification: Any, corpus: slm.Corpus) -> tuple[Any, float]:
    """A fit and the seconds that it took."""
    start = time.perf_counter()
    fit = specification.fit(corpus)
    return fit, time.perf_counter() - start


def main() -> None:
    """Fit, certify, add, and search."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out the search for the smallest decoder")
    quick = parser.parse_args().quick
    every, shown = slm.datasets.column_addition().corpus, slm.datasets.column_addition(without=[19]).corpus
    print(f"published configuration: {PUBLISHED.count_parameters(14):,} parameters with 14 symbols")

    fit, seconds = timed_fit(PUBLISHED, shown)
    table = report("published, never shown 19C", fit, seconds)
    unseen = table[table.previous == 19]
    if not table.right.all():
        print(
            "  wrong:", ", ".join(f"{p} -> {a}" for p, a in table[~table.right][["prompt", "answered"]].head(10).to_numpy())
        )
    print(
        f"  of the 100 prompts that begin with 19C: {unseen.right.sum()} right; of the other 2,000: "
        f"{table.right.sum() - unseen.right.sum():,}"
    )

    fit, seconds = timed_fit(PUBLISHED, every)
    table = report("published, shown every prompt", fit, seconds)
    answer = memoised(greedy(fit))
    known = dict(zip(table.prompt, table.answered, strict=True))
    rng = np.random.default_rng(0)
    a, b = ("".join(map(str, rng.integers(0, 10, 1000))) for _ in range(2))
    for how, lookup in {
        "asking the decoder": answer,
        "answers remembered": answer,
        "from the certificate": known.__getitem__,
    }.items():
        start = time.perf_counter()
        total = add(a, b, lookup)
        took = time.perf_counter() - start
        print(
            f"  a sum of 1,000 digits, {how}: {1e3 * took:.2f} ms, {'right' if int(total) == int(a) + int(b) else 'wrong'}"
        )

    for name, shape in {} if quick else LADDER.items():
        specification = replace(PUBLISHED, **{"steps": 3000} | shape)
        report(name, *timed_fit(specification, every))


if __name__ == "__main__":
    main()
