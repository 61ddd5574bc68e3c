from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm, t

from statlm import measures
from statlm.covariance import std_errors
from statlm.inference.conf_int import conf_int
from statlm.models.ngram import NGram
from statlm.models.softmax import SoftmaxRegression
from statlm.report.tidy import coefficients, describe, glance, tidy
from statlm.text.corpus import Corpus

TEXTS = ["abracadabra", "barbara", "cabra da barra", "a barra"] * 5


@pytest.fixture(scope="module")
def fit():
    return NGram(n=2).fit(Corpus.from_texts(TEXTS))


@pytest.fixture(scope="module")
def regression():
    return SoftmaxRegression(lags=1).fit(Corpus.from_texts(TEXTS))


@pytest.mark.parametrize("cov", ["nonrobust", "HC0", "cluster"])
def test_a_row_a_parameter_with_the_errors_and_intervals_of_the_verbs(fit, cov):
    table = tidy(fit, cov=cov, level=0.9)
    intervals = conf_int(fit.likelihood, level=0.9, cov=cov)
    assert list(table.columns) == ["response", "term", "estimate", "std_error", "conf_low", "conf_high"]
    assert len(table) == len(fit.params)
    assert_allclose(table.estimate, fit.params, rtol=0)
    assert_allclose(table.std_error, std_errors(fit.likelihood, cov), rtol=1e-12)
    assert_allclose(table[["conf_low", "conf_high"]], intervals, rtol=1e-12)


def test_names_are_raw_tokens():
    table = tidy(NGram(n=1).fit(Corpus.from_text("a b\na a")))
    assert {" ", "\n"} <= set(table.response)


def test_probabilities_have_no_p_value_and_log_odds_do(fit, regression):
    assert "p_value" not in tidy(fit)
    table = tidy(regression)
    assert_allclose(table.statistic, table.estimate / table.std_error)
    assert_allclose(table.p_value, 2 * norm.sf(abs(table.statistic)), rtol=1e-8)
    clustered = tidy(regression, cov="cluster")
    assert_allclose(clustered.p_value, 2 * t.sf(abs(clustered.statistic), len(TEXTS) - 1), rtol=1e-8)


def test_a_part_of_the_table_is_that_part_of_the_whole(fit):
    rows = np.array([1, 4, 5])
    some = coefficients(fit.likelihood, "cluster", 0.95, rows)
    whole = tidy(fit, cov="cluster").iloc[rows].reset_index(drop=True)
    assert (some.response == whole.response).all()
    assert_allclose(some.iloc[:, 2:].to_numpy(float), whole.iloc[:, 2:].to_numpy(float), rtol=1e-10)


def test_a_model_without_parameters_has_a_table_without_rows():
    table = tidy(NGram(n=0).fit(Corpus.from_text("abc")))
    assert table.shape == (0, 6)


def test_glance_is_the_measures(fit):
    row = glance(fit).iloc[0]
    for name in ("loglike", "null_loglike", "pseudo_r2", "aic", "bic", "perplexity", "bits_per_token", "bits_per_byte"):
        assert row[name] == pytest.approx(getattr(measures, name)(fit.likelihood), rel=1e-14)
    assert row["model"] == "NGram(n=2)"
    assert row["nobs"] == fit.nobs
    assert row["documents"] == 20
    assert row["dof"] == fit.dof


def test_glance_scores_the_text_once(fit):
    calls = []

    class Counting:
        specification = fit.specification
        corpus = fit.corpus
        memory = fit.memory

        def loglike_obs(self):
            calls.append(1)
            return fit.loglike_obs()

    counting = Counting()
    counting.likelihood = counting
    row = glance(counting).iloc[0]
    assert len(calls) == 1
    # Counting has no parameters, hence no criteria that count them.
    assert np.isnan(row[["dof", "aic", "bic"]].astype(float)).all()
    assert np.isfinite(row["perplexity"])


def test_what_is_not_text_has_no_bits_per_byte():
    row = glance(NGram(n=1).fit(Corpus.from_tokens([["x", "y", "x"]]))).iloc[0]
    assert np.isnan(row["bits_per_byte"])


def test_a_text_of_one_token_has_no_pseudo_r2():
    corpus = Corpus.from_tokens([["x", "y"]])
    same = Corpus.from_tokens([["x", "x"]], vocabulary=corpus.vocabulary)
    assert np.isnan(glance(NGram(n=1, pseudo_count=1).fit(same))["pseudo_r2"].iloc[0])


def test_an_evaluation_has_a_glance(fit):
    assert glance(fit.on(fit.corpus.subset([0])))["nobs"].iloc[0] == 12


def test_a_specification_is_described_by_what_is_not_default():
    @dataclass(frozen=True)
    class Inner:
        k: int = 3

    @dataclass(frozen=True)
    class Outer:
        n: int
        inner: Inner = Inner()
        name: str = "x"

    assert describe(Outer(2)) == "Outer(n=2)"
    assert describe(replace(Outer(2), inner=Inner(5), name="y")) == "Outer(n=2, inner=Inner(k=5), name='y')"
    assert describe("whatever") == "whatever"
