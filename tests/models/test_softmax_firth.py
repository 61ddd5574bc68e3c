"""Firth's penalty: where it meets the n-gram, dense arithmetic and R; finite under separation; what it refuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binom

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError
from statlm.models.softmax import estimation
from statlm.testing import check_likelihood

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]
REFERENCE = Path(__file__).parents[1] / "reference" / "softmax"


def firth(lags, **settings):
    return slm.SoftmaxRegression(lags, penalty="firth", **settings)


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(TEXTS)


def dense_firth(fit):
    """The penalised log-likelihood and the information as functions of (J - 1) P numbers, written out over observations."""
    model, data = fit.likelihood, fit.corpus
    x = model.design.matrix(data.contexts(model.memory)[:, ::-1]).toarray()
    x = x[:, np.unique(model.index[0])]
    y = (data.targets[:, None] == model.responses).astype(float)
    others = [j for j in range(y.shape[1]) if j != model.reference]

    def value(v):
        b = np.zeros((x.shape[1], y.shape[1]))
        b[:, others] = v.reshape(len(others), -1).T
        eta = x @ b
        logp = eta - np.log(np.exp(eta).sum(axis=1, keepdims=True))
        p = np.exp(logp)[:, others]
        w = p[:, :, None] * np.eye(len(others)) - p[:, :, None] * p[:, None, :]
        information = np.einsum("njk,na,nb->jakb", w, x, x, optimize=True).reshape(len(v), len(v))
        return float((y * logp).sum() + np.linalg.slogdet(information)[1] / 2), information

    return value


@pytest.mark.parametrize("lags", [0, 1, 2, 3])
def test_the_contract_holds(corpus, lags):
    check_likelihood(firth(lags).fit(corpus))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_saturated_fit_adds_half_an_observation_to_each_cell(corpus, n):
    # Jeffreys' prior of a multinomial is a Dirichlet of halves, whatever the parametrisation of the penalty.
    fit = firth(n - 1, interactions="all").fit(corpus)
    assert_allclose(fit.loglike_obs(), slm.NGram(n, pseudo_count=0.5).fit(corpus).loglike_obs(), atol=1e-9)
    assert fit.report.converged


@pytest.mark.parametrize("lags", [1, 2])
def test_the_estimate_maximises_the_penalised_likelihood_written_out_densely(corpus, lags):
    fit = firth(lags).fit(corpus)
    value = dense_firth(fit)
    top, information = value(fit.params)
    step = 1e-4
    gradient = [
        (value(fit.params + step * e)[0] - value(fit.params - step * e)[0]) / (2 * step) for e in np.eye(len(fit.params))
    ]
    assert_allclose(gradient, 0.0, atol=1e-6)
    rng = np.random.default_rng(1)
    assert all(value(fit.params + 0.1 * rng.normal(size=len(fit.params)))[0] < top for _ in range(20))
    assert_allclose(fit.std_errors(), np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-7)


def test_two_classes_agree_with_the_hat_diagonal_form_in_r():
    rows = pd.read_csv(REFERENCE / "sparse.csv")
    rows = rows[rows.corpus == "binary"]
    corpus = slm.Corpus.from_tokens([list(row) for row in rows[["lag2", "lag1", "token"]].to_numpy()], given=2, eos=False)
    table = firth(2, reference="a").fit(corpus).tidy().set_index("term")
    theirs = pd.read_csv(REFERENCE / "firth.csv").set_index("term")
    assert len(table) == len(theirs)
    assert_allclose(table.estimate[theirs.index], theirs.estimate, rtol=1e-8)
    assert_allclose(table.std_error[theirs.index], theirs.std_error, rtol=1e-8)
    plain = slm.SoftmaxRegression(2, reference="a").fit(corpus)
    assert len(plain.params) < plain.dof  # the table is separated


def test_everything_is_finite_where_the_maximum_is_not(corpus):
    plain, fit = slm.SoftmaxRegression(2).fit(corpus), firth(2).fit(corpus)
    assert len(plain.params) < plain.dof == len(fit.params) == fit.dof
    assert np.abs(fit.params).max() < 6
    assert np.isfinite(fit.std_errors()).all()
    assert (np.exp(fit.logprobs(corpus.contexts(2))) > 0).all()
    assert fit.loglike < plain.loglike


@pytest.mark.parametrize("interactions", [None, "pairwise"])
def test_the_reference_class_changes_nothing_but_the_parameters(corpus, interactions):
    base, other = (firth(2, interactions=interactions, reference=r).fit(corpus) for r in ("a", "c"))
    assert_allclose(other.loglike_obs(), base.loglike_obs(), atol=1e-7)


def test_with_much_text_the_penalty_does_not_matter():
    rng = np.random.default_rng(2)
    corpus = slm.Corpus.from_tokens([rng.choice(list("abc"), 20_000, p=[0.5, 0.3, 0.2])], given=2, eos=False)
    plain, fit = slm.SoftmaxRegression(2).fit(corpus), firth(2).fit(corpus)
    assert_allclose(fit.params, plain.params, atol=0.01 * plain.std_errors().min())


def test_the_bias_is_of_smaller_order():
    # Expectations over samples of 30 observations with a log-odds of 1; that of maximum likelihood given that both occur.
    truth, n = 1.0, 30
    k = np.arange(n + 1)
    probability = binom.pmf(k, n, 1 / (1 + np.exp(-truth)))
    fits = [
        firth(0, reference="a").fit(slm.Corpus.from_tokens([["a"] * (n - j) + ["b"] * j], eos=False)).params[0]
        for j in k[1:-1]
    ]
    estimates = np.array([np.log(0.5 / (n + 0.5)), *fits, np.log((n + 0.5) / 0.5)])
    inside = slice(1, -1)
    plain = (probability[inside] * np.log(k[inside] / (n - k[inside]))).sum() / probability[inside].sum()
    bias = (probability * estimates).sum() - truth
    assert abs(bias) < 0.001
    assert plain - truth > 20 * abs(bias)


def test_what_rests_on_maximum_likelihood_is_refused(corpus):
    fit = firth(1).fit(corpus)
    with pytest.raises(NoEstimate, match="AIC rests on maximum likelihood"):
        fit.aic
    with pytest.raises(SpecificationError, match="does not maximise the likelihood"):
        slm.lr_test(firth(0).fit(corpus), fit)
    with pytest.raises(SpecificationError, match="does not maximise the likelihood"):
        fit.profile_interval(tuple(fit.param_names[0]))
    assert not fit.specification.contains(fit.specification)
    assert fit.likelihood.penalised
    assert "Firth's penalty (Jeffreys' prior)" in fit.summary().as_text()


def test_too_many_coefficients_are_refused_with_their_number(corpus, monkeypatch):
    monkeypatch.setattr(estimation, "MAX_FIRTH", 50)
    with pytest.raises(SpecificationError, match=r"that of 78 coefficients takes .* GB and minutes each time; at most 50"):
        firth(2).fit(corpus)


def test_a_strength_is_refused():
    with pytest.raises(
        SpecificationError, match=r"penalty='firth' with strength=0.5: Firth's penalty has no weight to choose"
    ):
        firth(1, strength=0.5)


def test_a_fit_that_does_not_converge_is_refused(corpus):
    model = firth(2).fit(corpus).likelihood
    table = model._table
    with pytest.raises(NoEstimate, match="did not converge in 2 Newton steps"):
        estimation.estimate(table.design, table.counts, model.design.indicators, 0, firth=True, max_iterations=2)


def test_a_saved_fit_comes_back(corpus, tmp_path):
    fit = firth(2).fit(corpus)
    fit.save(tmp_path / "fit")
    back = slm.load(tmp_path / "fit")
    assert back.specification == fit.specification
    assert back.likelihood.penalised
    assert_allclose(back.std_errors(), fit.std_errors(), rtol=1e-12)


def test_its_name_says_so():
    assert str(firth(2)) == "softmax 2 lags + Firth"
