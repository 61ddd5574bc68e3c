"""Make figures.json of this folder: what nltk.lm's interpolated smoothings give the longest n-grams of a small text.

    python make_reference.py

Kept are alpha and gamma of p(w | c) = alpha + gamma p(w | c'), for the trigrams without marks in their context. Not kept are
the lower distributions: nltk ends at the relative frequency of 1-grams, its start marks counted among them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from nltk.lm import KneserNeyInterpolated, WittenBellInterpolated
from nltk.lm.preprocessing import padded_everygram_pipeline

DISCOUNT = 0.7


def main() -> None:
    """Write the file."""
    rng = np.random.default_rng(4)
    sentences = [[f"w{i}" for i in rng.geometric(0.2, rng.integers(3, 12)) % 15] for _ in range(60)]
    figures: dict[str, object] = {"sentences": sentences, "discount": DISCOUNT}
    for name, model in (("witten-bell", WittenBellInterpolated(3)), ("kneser-ney", KneserNeyInterpolated(3, DISCOUNT))):
        model.fit(*padded_everygram_pipeline(3, sentences))
        rows = []
        for context in sorted({c for c in model.counts[3] if not {"<s>", "</s>"} & {*c}}):
            for token in sorted(model.counts[3][context]):
                alpha, gamma = model.estimator.alpha_gamma(token, context)
                rows.append([*context, token, alpha, gamma])
        figures[name] = rows
    (Path(__file__).parent / "figures.json").write_text(json.dumps(figures, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
