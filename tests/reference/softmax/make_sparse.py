"""Make sparse.csv of this folder: small tables with empty cells and far-out log-odds, for make_penalised.R.

python make_sparse.py
"""

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def main() -> None:
    """Draw the two tables of observations: two classes with an empty margin, three with steep log-odds."""
    rng = np.random.default_rng(11)
    rows = []
    for lag2 in "abc":
        for lag1 in "abc":
            share = {"a": 0.3, "b": 0.7, "c": 0.0}[lag1] + (0.2 if lag2 == "b" and lag1 != "c" else 0.0)
            rows += [("binary", lag2, lag1, "b" if u < share else "a") for u in rng.random(8)]
            odds = np.array([0.0, {"a": 0.0, "b": 3.5, "c": 0.0}[lag1], {"a": -1.0, "b": 0.0, "c": 4.0}[lag1]])
            odds[1] += 1.0 if lag2 == "b" else 0.0
            odds[2] -= 1.5 if lag2 == "c" else 0.0
            shares = np.exp(odds) / np.exp(odds).sum()
            rows += [("steep", lag2, lag1, token) for token in rng.choice(list("abc"), 120, p=shares)]
    pd.DataFrame(rows, columns=["corpus", "lag2", "lag1", "token"]).to_csv(HERE / "sparse.csv", index=False)


if __name__ == "__main__":
    main()
