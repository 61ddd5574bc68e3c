"""Softmax regression against statsmodels' MNLogit, and R's multinom and vglm; see tests/reference/softmax."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import statlm as slm

REFERENCE = Path(__file__).parents[1] / "reference" / "softmax"
CASES = {
    "anes-lags1": slm.SoftmaxRegression(1, reference="PID 0"),
    "anes-lags2": slm.SoftmaxRegression(2, reference="PID 0"),
    "anes3-pairwise": slm.SoftmaxRegression(2, interactions="pairwise", reference="Democrat"),
    "text-lags1": slm.SoftmaxRegression(1, reference="a"),
    "text-lags2": slm.SoftmaxRegression(2, reference="a"),
}
KINDS = ["nonrobust", "HC0", "cluster"]
# Largest difference, of estimates in standard errors and of standard errors relative to themselves.
STATSMODELS = 1e-9
# multinom stops by the change of the deviance, which is flat at the optimum; vglm takes its errors one step before the end.
R = {"nnet::multinom": 1e-5, "VGAM::vglm": 1e-7}


@pytest.fixture(scope="module")
def corpora():
    rows = pd.read_csv(REFERENCE / "observations.csv")
    result = {}
    for name, part in rows.groupby("corpus"):
        documents = [[*d.iloc[0][["lag2", "lag1"]], *d.token] for _, d in part.groupby("document")]
        result[name] = slm.Corpus.from_tokens(documents, given=2, eos=False)
    return result


@pytest.fixture(scope="module")
def fits(corpora):
    return {case: model.fit(corpora[case.split("-")[0]]) for case, model in CASES.items()}


def compared(fit, table):
    """Our estimates and errors in the order of a reference table, and that table."""
    ours = pd.DataFrame({kind: fit.std_errors(kind) for kind in KINDS}, index=fit.param_names).assign(estimate=fit.params)
    ours = ours.loc[pd.MultiIndex.from_frame(table[["response", "term"]])]
    assert len(ours) == len(table) == len(fit.params)
    return ours, table.set_index(["response", "term"])


@pytest.mark.parametrize("case", CASES)
def test_statsmodels(fits, case):
    fit = fits[case]
    reference = pd.read_csv(REFERENCE / "statsmodels_fit.csv").set_index("case").loc[case]
    assert fit.nobs == reference.nobs
    assert fit.dof == reference.dof
    assert_allclose([fit.loglike, fit.aic], [reference.loglike, reference.aic], rtol=1e-11)
    table = pd.read_csv(REFERENCE / "statsmodels.csv")
    ours, theirs = compared(fit, table[table.case == case])
    assert_allclose((ours.estimate - theirs.estimate) / theirs.nonrobust, 0.0, atol=STATSMODELS)
    for kind in KINDS:
        assert_allclose(ours[kind], theirs[kind], rtol=STATSMODELS)


@pytest.mark.parametrize("program", R)
@pytest.mark.parametrize("case", CASES)
def test_r(fits, case, program):
    fit, tolerance = fits[case], R[program]
    reference = pd.read_csv(REFERENCE / "r_fit.csv").set_index(["program", "case"]).loc[program, case]
    assert_allclose([fit.loglike, fit.aic], [reference.loglike, reference.aic], rtol=1e-10)
    table = pd.read_csv(REFERENCE / "r.csv")
    ours, theirs = compared(fit, table[(table.case == case) & (table.program == program)])
    assert_allclose((ours.estimate - theirs.estimate) / theirs.nonrobust, 0.0, atol=tolerance)
    for kind in KINDS:
        if theirs[kind].notna().all():
            assert_allclose(ours[kind], theirs[kind], rtol=tolerance)
    assert np.isfinite(theirs.nonrobust).all()
