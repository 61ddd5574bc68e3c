"""White's information matrix test: its indicators written out, what it finds, and what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NoEstimate, SmallCountsWarning, SpecificationError

VOCABULARY = slm.Vocabulary(("a", "b", "c"))


def text(n, interaction=0.0, seed=0):
    """Main effects of two lags, and an interaction that a model of main effects lacks."""
    rng = np.random.default_rng(seed)
    row = [0, 1]
    for u in rng.random(n):
        odds = 0.8 * np.eye(3)[row[-1]] + 0.5 * np.eye(3)[row[-2]]
        odds[0] += interaction * (row[-1] == row[-2])
        cumulated = np.exp(odds).cumsum()
        row.append(int((u * cumulated[-1] > cumulated).sum()))
    return slm.Corpus.from_tokens([row], vocabulary=VOCABULARY, given=2)


@pytest.mark.parametrize("indicators", ["diagonal", "all"])
def test_it_is_n_times_the_r_squared_of_one_on_indicators_and_scores(indicators):
    fit = slm.SoftmaxRegression(lags=2).fit(text(800))
    score = fit.score().toarray()
    p = score.shape[1]
    pairs = [(j, k) for j in range(p) for k in range(j, p) if indicators == "all" or j == k]
    design = fit.likelihood.design.matrix(fit.corpus.contexts(2)[:, ::-1]).toarray()
    probabilities = np.exp(fit.logprobs(fit.corpus.contexts(2)))[:, fit.likelihood.responses]
    columns, classes = fit.likelihood.index
    x = design[:, columns]
    covariance = np.stack(
        [
            x[:, j] * x[:, k] * probabilities[:, classes[j]] * ((classes[j] == classes[k]) - probabilities[:, classes[k]])
            for j, k in pairs
        ],
        axis=1,
    )
    d = np.stack([score[:, j] * score[:, k] for j, k in pairs], axis=1) - covariance
    z = np.concatenate([d, score], axis=1)
    fitted = z @ np.linalg.lstsq(z, np.ones(len(z)), rcond=1e-10)[0]
    found = slm.information_matrix_test(fit, indicators=indicators)
    assert_allclose(found.statistic, fitted.sum(), rtol=1e-6)
    assert found.dof == np.linalg.matrix_rank(z, tol=1e-7) - np.linalg.matrix_rank(score, tol=1e-7)
    assert_allclose(d.sum(axis=0), [(score.T @ score - fit.information())[j, k] for j, k in pairs], atol=1e-6)


@pytest.mark.parametrize("method", ["chi2", "bootstrap"])
def test_it_finds_an_interaction_that_was_left_out(method):
    fit = slm.SoftmaxRegression(lags=2).fit(text(3000, interaction=1.5))
    assert slm.information_matrix_test(fit, method=method, replicates=39).p_value <= 0.025


def test_it_lets_a_right_model_pass():
    fit = slm.SoftmaxRegression(lags=2).fit(text(3000))
    result = slm.information_matrix_test(fit, method="both", replicates=39)
    assert result.p_value == result.details["p_bootstrap"] > 0.05
    assert result.details["p_chi2"] > 0.05
    assert "39 texts drawn from the fit" in result.note


@pytest.mark.parametrize("specification", [slm.NGram(2), slm.NGram(1), slm.SoftmaxRegression(1)], ids=str)
def test_a_saturated_model_is_refused(specification):
    with pytest.raises(NoEstimate, match="is saturated on this text"):
        slm.information_matrix_test(specification.fit(text(500)))


def test_few_observations_an_indicator_are_warned_of():
    with pytest.warns(SmallCountsWarning, match="rejects true models far too often"):
        slm.information_matrix_test(slm.SoftmaxRegression(lags=2).fit(text(120)))


def test_what_it_refuses():
    corpus = text(500)
    fit = slm.SoftmaxRegression(lags=2).fit(corpus)
    with pytest.raises(SpecificationError, match="indicators='some'"):
        slm.information_matrix_test(fit, indicators="some")
    with pytest.raises(SpecificationError, match="no method 'exact'"):
        slm.information_matrix_test(fit, method="exact")
    with pytest.raises(SpecificationError, match="replicates=3"):
        slm.information_matrix_test(fit, method="bootstrap", replicates=3)
    with pytest.raises(SpecificationError, match="is penalised"):
        slm.information_matrix_test(slm.SoftmaxRegression(2, penalty="ridge", strength=1.0).fit(corpus))
    with pytest.raises(SpecificationError, match="no parameters and derivatives"):
        slm.information_matrix_test(slm.NGram(2, smoothing="kneser-ney").fit(corpus))
    with pytest.raises(SpecificationError, match="is not at its maximum"):
        slm.information_matrix_test(fit.at(fit.params + 0.3))
    with pytest.raises(SpecificationError, match="Pass the fit"):
        slm.information_matrix_test(fit.likelihood, method="bootstrap")
