"""A decoder of Shakespeare goes on with pages of another author: what it gains there, what it forgets here.

``python examples/fine_tuning.py SHAKESPEARE.txt DOM_CASMURRO.txt`` fits 500 steps, and then updates all weights, and
a low-rank part of them, on 60,000 characters of each of two texts: a Portuguese novel (the shock), and State of the Union
speeches (the mild case). Some minutes on two cores. Gains are paired on text that no fit has seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import statlm as slm

PAGES, HELD = 60_000, 60_000  # characters
UPDATES = {"all weights": {}, "rank 4": {"rank": 4, "learning_rate": 0.01}}


def main() -> None:
    """Fit, update, and print a row for each update and text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shakespeare", type=Path)
    parser.add_argument("dom_casmurro", type=Path)
    parser.add_argument("--steps", type=int, default=500, help="of the first fit")
    parser.add_argument("--update-steps", type=int, default=100)
    asked = parser.parse_args()
    speeches = slm.datasets.load("sotu", years=(2000, 2024))
    texts = {
        "Shakespeare": asked.shakespeare.read_text(encoding="utf-8"),
        "Dom Casmurro": asked.dom_casmurro.read_text(encoding="utf-8"),
        "State of the Union": "\n\n".join(speeches.text(d) for d in range(speeches.ndocuments)),
    }
    characters = slm.Corpus.from_texts(list(texts.values()), eos=False).vocabulary

    def corpus(text: str) -> slm.Corpus:
        return slm.Corpus.from_text(text, vocabulary=characters, eos=False)

    own = texts.pop("Shakespeare")
    cut = int(0.9 * len(own))
    before = slm.TransformerDecoder(steps=asked.steps, seed=1).fit(corpus(own[:cut]))
    here = corpus(own[cut : cut + HELD])
    print(f"Shakespeare: {before.dof:,} weights, perplexity {before.on(here).perplexity:.4f} of {here.nobs:,} held-out ones")
    rows = []
    for name, text in texts.items():
        there = corpus(text[PAGES : PAGES + HELD])
        for update, settings in UPDATES.items():
            after = before.update(corpus(text[:PAGES]), steps=asked.update_steps, **settings)
            gain = slm.paired_test(after.on(there), before.on(there))
            lost = slm.paired_test(after.on(here), before.on(here))
            rows.append(
                {
                    "pages of": name,
                    "update": update,
                    "free": after.dof,
                    "before": before.on(there).perplexity,
                    "after": after.on(there).perplexity,
                    "gain": gain.difference,
                    "gain_std_error": gain.std_error,
                    "forgotten": -lost.difference,
                    "forgotten_std_error": lost.std_error,
                }
            )
    print("Perplexities there; gain there and what is forgotten here in nats a character, each with its standard error.")
    print(pd.DataFrame(rows).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
