"""Make observations.csv, statsmodels.csv and statsmodels_fit.csv of this folder: multinomial logits by statsmodels' MNLogit.

    python make_reference.py

Three corpora. "anes": party identification of the voters in statsmodels' anes96 after their education (4 groups) and vote, as
documents [vote, education, identification] of which the first two are given. "anes3": the same in three parties. "text": 24
documents of five symbols from a second-order chain. All estimates are finite.

HC0 and cluster are statsmodels' sandwich on MNLogit's scores; clusters are documents, with the factor G / (G - 1).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.stats import sandwich_covariance

HERE = Path(__file__).parent
CASES = {
    "anes-lags1": ("anes", ["lag1"]),
    "anes-lags2": ("anes", ["lag1", "lag2"]),
    "anes3-pairwise": ("anes3", ["lag1", "lag2", "lag1:lag2"]),
    "text-lags1": ("text", ["lag1"]),
    "text-lags2": ("text", ["lag1", "lag2"]),
}


def anes() -> pd.DataFrame:
    """One row a voter."""
    data = sm.datasets.anes96.load_pandas().data
    education = pd.cut(data.educ, [0, 3, 4, 5, 7], labels=["school", "some college", "associate", "college"])
    return pd.DataFrame(
        {
            "document": np.arange(len(data)),
            "lag2": np.where(data.vote == 1, "Dole", "Clinton"),
            "lag1": education.astype(str),
            "token": "PID " + data.PID.astype(int).astype(str),
        }
    )


def text() -> pd.DataFrame:
    """Documents whose chains differ somewhat, so that clustered errors differ from the others."""
    rng = np.random.default_rng(7)
    symbols = np.array(list("abcde"))
    base = rng.dirichlet(np.full(5, 4.0), size=(5, 5))
    rows = []
    for document in range(24):
        chain = rng.gamma(15 * base)
        chain /= chain.sum(axis=2, keepdims=True)
        state = list(rng.integers(5, size=2))
        for _ in range(80):
            state.append(rng.choice(5, p=chain[state[-2], state[-1]]))
        rows += [(document, *symbols[state[i - 2 : i + 1]]) for i in range(2, len(state))]
    return pd.DataFrame(rows, columns=["document", "lag2", "lag1", "token"])


def design(data: pd.DataFrame, terms: list[str]) -> pd.DataFrame:
    """Intercept and indicators against the most frequent level of each lag, the first in alphabetical order among equals."""
    columns = {"(Intercept)": np.ones(len(data))}
    levels = {}
    for lag in ("lag1", "lag2"):
        counts = data[lag].value_counts().sort_index()
        levels[lag] = [level for level in counts.index if level != counts.idxmax()]
    for term in terms:
        first, *second = term.split(":")
        for a in levels[first]:
            one = (data[first] == a).to_numpy(float)
            if not second:
                columns[f"{first}[{a}]"] = one
            for b in levels[second[0]] if second else []:
                columns[f"{first}[{a}]:{second[0]}[{b}]"] = one * (data[second[0]] == b)
    return pd.DataFrame(columns)


def main() -> None:
    """Write the files."""
    corpora = {"anes": anes(), "text": text()}
    party = corpora["anes"].token.str[-1].astype(int)
    corpora["anes3"] = corpora["anes"].assign(
        token=np.select([party < 2, party < 5], ["Democrat", "Independent"], "Republican")
    )
    pd.concat([data.assign(corpus=name) for name, data in corpora.items()]).to_csv(HERE / "observations.csv", index=False)
    tables, fits = [], []
    for case, (name, terms) in CASES.items():
        data = corpora[name]
        x = design(data, terms)
        responses = np.unique(data.token)
        model = sm.MNLogit(np.searchsorted(responses, data.token), x)
        found = model.fit(method="newton", tol=1e-11, maxiter=200, disp=False)
        assert np.abs(model.score(found.params.to_numpy())).max() < 1e-8
        scores = np.asarray(model.score_obs(found.params.to_numpy()))
        bread = np.asarray(found.normalized_cov_params)
        groups = data.document.nunique()
        summed = sandwich_covariance.S_crosssection(scores, data.document.to_numpy()) * groups / (groups - 1)
        covariances = {"nonrobust": bread, "HC0": bread @ (scores.T @ scores) @ bread, "cluster": bread @ summed @ bread}
        errors = {kind: np.sqrt(np.diag(matrix)) for kind, matrix in covariances.items()}
        size = x.shape[1]
        for j, response in enumerate(responses[1:]):
            part = slice(j * size, (j + 1) * size)
            tables.append(
                pd.DataFrame(
                    {"case": case, "response": response, "term": x.columns, "estimate": found.params.to_numpy()[:, j]}
                    | {kind: values[part] for kind, values in errors.items()}
                )
            )
        fits.append({"case": case, "nobs": len(data), "dof": found.params.size, "loglike": found.llf, "aic": found.aic})
    pd.concat(tables).to_csv(HERE / "statsmodels.csv", index=False, float_format="%.12g")
    pd.DataFrame(fits).to_csv(HERE / "statsmodels_fit.csv", index=False, float_format="%.14g")


if __name__ == "__main__":
    main()
