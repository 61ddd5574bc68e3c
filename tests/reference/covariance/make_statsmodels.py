"""Make statsmodels.json of this folder: two-way clustered errors of a logit by statsmodels' cov_cluster_2groups.

    python make_statsmodels.py

All tokens but "a" are taken together: whether a token is an "a", after one that is or is not, is a logit.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

HERE = Path(__file__).parent


def main() -> None:
    """Write the errors, with each grouping's factor G / (G - 1)."""
    data = pd.read_csv(HERE / "observations.csv")
    x = pd.DataFrame({"(Intercept)": 1.0, "lag1[a]": (data["lag1"] == "a").astype(float)})
    fitted = sm.Logit((data["token"] == "a").astype(float), x).fit(method="newton", tol=1e-12, disp=False)
    author, year = (pd.factorize(data[name])[0] for name in ("author", "year"))
    parts = cov_cluster_2groups(fitted, author, year, use_correction=False)[1:]
    both = pd.factorize(pd.Series(author * 100 + year))[0]
    groups = [len(np.unique(index)) for index in (author, year)]
    # statsmodels returns the one-way parts; the one of both groupings is what is left of its two-way matrix.
    raw = cov_cluster_2groups(fitted, author, year, use_correction=False)[0]
    intersection = parts[0] + parts[1] - raw
    sizes = [*groups, len(np.unique(both))]
    factors = [g / (g - 1) for g in sizes]
    combined = factors[0] * parts[0] + factors[1] * parts[1] - factors[2] * intersection
    result = {"terms": list(x.columns), "two_way": np.sqrt(np.diag(combined)).tolist(), "params": fitted.params.tolist()}
    (HERE / "statsmodels.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
