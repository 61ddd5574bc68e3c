"""Over-dispersion between documents: the likelihood written out, planted correlations, and adjusted p-values."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import gammaln
from scipy.stats import chi2
from statsmodels.stats.multitest import multipletests

import statlm as slm
from statlm.errors import CorpusError, SpecificationError
from statlm.numerics.dirichlet_multinomial import DirichletMultinomial


def counts_of(concentration, documents=60, seed=0):
    rng = np.random.default_rng(seed)
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    sizes = rng.integers(1, 60, size=documents)
    return np.array([rng.multinomial(n, rng.dirichlet(shares * concentration)) for n in sizes])


def loglike(counts, concentrations):
    total, sizes = concentrations.sum(), counts.sum(axis=1)
    inner = (gammaln(counts + concentrations) - gammaln(concentrations)).sum()
    return inner + (gammaln(total) - gammaln(sizes + total)).sum()


@pytest.mark.parametrize("concentration", [2.0, 20.0, 100.0])
def test_the_estimate_maximises_the_dirichlet_multinomial(concentration):
    counts = counts_of(concentration)
    best = minimize(lambda x: -loglike(counts, np.exp(x)), np.log([5.0, 3.0, 1.5, 0.5]), method="BFGS", tol=1e-9)
    found = DirichletMultinomial(counts).fit(1.92)
    totals = counts.sum(axis=0)
    null = (totals * np.log(totals / totals.sum())).sum()
    assert_allclose(found.theta, 1 / np.exp(best.x).sum(), rtol=5e-3)
    assert_allclose(found.statistic, 2 * (-best.fun - null), rtol=2e-5)


def test_interval_ends_lie_at_the_fall_of_the_profile():
    model = DirichletMultinomial(counts_of(10.0))
    found = model.fit(1.92)
    top = model.profile(found.theta, model.shares)[0]
    assert found.low < found.theta < found.high
    for end in (found.low, found.high):
        assert_allclose(top - model.profile(end, model.shares)[0], 1.92, rtol=1e-4)


def test_the_slope_is_the_derivative_at_the_multinomial():
    model = DirichletMultinomial(counts_of(50.0))
    step = 1e-7
    difference = (model.profile(step, model.shares)[0] - model.profile(0.0, model.shares)[0]) / step
    assert_allclose(model.slope(), difference, rtol=1e-3)


def test_documents_that_agree_too_well_have_no_dispersion():
    found = DirichletMultinomial(np.tile([10, 6, 4], (30, 1))).fit(1.92)
    assert found.theta == found.low == found.statistic == 0
    assert 0 < found.high < 0.05


def corpus_of(concentration, documents=50, seed=1):
    rng = np.random.default_rng(seed)
    rows = [rng.choice(3, size=60, p=rng.dirichlet(np.array([0.5, 0.3, 0.2]) * concentration)) for _ in range(documents)]
    return slm.Corpus.from_tokens(rows, eos=False, given=1)


def test_the_table_tests_each_context_with_half_a_chi_square():
    table = slm.overdispersion_test(corpus_of(19.0))
    assert table.columns.tolist()[:4] == ["context", "nobs", "documents", "types"]
    assert table["nobs"].is_monotonic_decreasing
    assert table["nobs"].sum() == corpus_of(19.0).nobs
    assert_allclose(table["p_value"], chi2.sf(table["statistic"], 1) / 2)
    assert_allclose(table["p_holm"], multipletests(table["p_value"], method="holm")[1])
    assert ((table["conf_low"] < 0.05) & (table["conf_high"] > 0.05)).all()  # the truth is 1 / 20
    assert (table["design_effect"] > 1).all()


def test_the_design_effect_is_about_that_of_clustered_errors():
    corpus = corpus_of(9.0, documents=200)
    fit = slm.NGram(1).fit(corpus)
    ratio = (fit.std_errors(cov="cluster") / fit.std_errors()) ** 2
    assert_allclose(slm.overdispersion_test(corpus, 0)["design_effect"][0], ratio.mean(), rtol=0.25)


def test_independent_tokens_have_p_value_one_or_large():
    table = slm.overdispersion_test(corpus_of(1e9))
    assert (table["p_holm"] > 0.05).all()
    assert (table["conf_low"] == 0).all()
    assert (table.loc[table["statistic"] == 0, "p_value"] == 1).all()


def test_contexts_can_be_chosen_and_those_without_information_have_no_estimate():
    corpus = slm.Corpus.from_texts(["abab" * 6 + "cd", "aabb" * 6 + "cd", "abba" * 6], eos=False)
    table = slm.overdispersion_test(corpus, contexts=["ab", "ac"], adjust="bh").set_index("context")
    assert table["nobs"].to_dict() == {"b": 36, "c": 2}
    assert np.isnan(table.loc["c", ["correlation", "p_value", "p_bh"]].to_numpy(float)).all()
    assert table.loc["b", "p_bh"] == table.loc["b", "p_value"]


def test_what_overdispersion_refuses():
    corpus = corpus_of(9.0)
    with pytest.raises(CorpusError, match="There is 1 document, and over-dispersion"):
        slm.overdispersion_test(slm.Corpus.from_text("abab" * 9))
    with pytest.raises(CorpusError, match="never occurs before an observation"):
        slm.overdispersion_test(slm.Corpus.from_texts(["ab", "ab"]), contexts=["zz"])
    with pytest.raises(SpecificationError, match="no adjustment 'tukey'"):
        slm.overdispersion_test(corpus, adjust="tukey")
    with pytest.raises(SpecificationError, match="level=95"):
        slm.overdispersion_test(corpus, level=95)
    with pytest.raises(SpecificationError, match="top=0"):
        slm.overdispersion_test(corpus, top=0)


# --- many tests at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "name"), [("holm", "holm"), ("bh", "fdr_bh"), ("by", "fdr_by"), ("bonferroni", "bonferroni")]
)
def test_adjusted_p_values_are_those_of_statsmodels(method, name):
    p = np.random.default_rng(0).random(20) ** 3
    found = slm.adjust_p_values(pd.DataFrame({"test": range(20), "p_value": p}), method)
    assert_allclose(found[f"p_{method}"], multipletests(p, method=name)[1])
    assert found.columns[0] == "test"


def test_tests_without_a_p_value_do_not_count():
    found = slm.adjust_p_values(pd.DataFrame({"p": [0.01, np.nan, 0.02]}), column="p")
    assert_allclose(found["p_holm"], [0.02, np.nan, 0.02])


def test_adjustment_of_a_ladder():
    corpus = slm.Corpus.from_text("abbabaabab" * 60)
    table = slm.ladder({str(n): slm.NGram(n).fit(corpus) for n in (1, 2, 3)})
    assert (slm.adjust_p_values(table)["p_holm"] >= table["p_value"]).all()


def test_what_adjustment_refuses():
    with pytest.raises(SpecificationError, match="no column 'p_value'"):
        slm.adjust_p_values(pd.DataFrame({"p": [0.1]}))
    with pytest.raises(SpecificationError, match="p-values lie between 0 and 1"):
        slm.adjust_p_values(pd.DataFrame({"p_value": [1.3]}))
