"""Make draws.csv of this folder: transition matrices from the Dirichlet posterior of ../covariance/observations.csv.

python make_draws.py && Rscript make_reference.R
"""

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def main() -> None:
    """400 matrices, a row each, under 1/2 pseudo-count."""
    rows = pd.read_csv(HERE.parent / "covariance" / "observations.csv")
    counts = pd.crosstab(rows["lag1"], rows["token"])
    rng = np.random.default_rng(400)
    draws = np.hstack([rng.dirichlet(0.5 + counts.loc[a, list("abc")].to_numpy(), size=400) for a in "abc"])
    pd.DataFrame(draws, columns=[f"{b} | {a}" for a in "abc" for b in "abc"]).to_csv(
        HERE / "draws.csv", index=False, float_format="%.10g"
    )


if __name__ == "__main__":
    main()
