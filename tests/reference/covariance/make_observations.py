"""Make observations.csv of this folder: an invented corpus whose documents have an author and a year, and the bootstrap's draws.

python make_observations.py && Rscript make_reference.R && python make_statsmodels.py
"""

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def main() -> None:
    """Documents draw from a chain of their own, the authors' and the years' habits in it."""
    rng = np.random.default_rng(2011)
    authors, years = rng.normal(0, 0.5, (6, 3)), rng.normal(0, 0.4, (5, 3))
    rows = []
    for document in range(24):
        author, year = int(rng.integers(6)), int(rng.integers(5))
        habit = authors[author] + years[year] + rng.normal(0, 0.2, 3)
        last = int(rng.integers(3))
        for _ in range(int(rng.integers(20, 60))):
            odds = np.exp(habit + 0.7 * np.eye(3)[last])
            token = int(rng.choice(3, p=odds / odds.sum()))
            rows.append((document, f"author{author}", 2000 + year, "abc"[last], "abc"[token]))
            last = token
    pd.DataFrame(rows, columns=["document", "author", "year", "lag1", "token"]).to_csv(
        HERE / "observations.csv", index=False
    )
    draws = [np.random.default_rng([7, b]).integers(24, size=24) for b in range(40)]
    pd.DataFrame(draws).to_csv(HERE / "draws.csv", index=False)


if __name__ == "__main__":
    main()
