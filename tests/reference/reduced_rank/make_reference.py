"""Make counts.csv of this folder: a table of six letters by six letters after them, every cell of which is filled.

python make_reference.py && Rscript make_reference.R
"""

from pathlib import Path

import numpy as np
import pandas as pd

LETTERS = list("abcdef")

if __name__ == "__main__":
    rng = np.random.default_rng(20)
    coefficients = rng.standard_normal((6, 3)) @ rng.standard_normal((3, 6)) * 0.5
    p = np.exp(coefficients + rng.standard_normal(6) * 0.5)
    p /= p.sum(axis=1, keepdims=True)
    counts = np.stack([rng.multinomial(n, row) for n, row in zip((900, 700, 600, 500, 400, 300), p, strict=True)]) + 1
    pd.DataFrame(counts, LETTERS, LETTERS).to_csv(Path(__file__).parent / "counts.csv")
