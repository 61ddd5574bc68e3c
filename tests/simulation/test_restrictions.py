"""Wald and score tests have their size, profile intervals and marginal effects their coverage, where they should."""

import numpy as np
import pytest

import statlm as slm

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def independent(letters):
    """1,000 texts of 400 independent tokens."""
    draws = np.random.default_rng(31).choice(3, size=(1000, 401), p=[0.4, 0.35, 0.25])
    return [slm.Corpus.from_tokens([row], vocabulary=letters(3), given=1) for row in draws]


def test_wald_and_score_tests_of_a_lag_have_their_size(independent, measured):
    p_values = {"wald_test": [], "score_test": [], "wald_test, HC0": [], "score_test, HC0": []}
    for corpus in independent:
        small, large = (slm.SoftmaxRegression(lags=k).fit(corpus) for k in (0, 1))
        of_lag = [name for name in large.param_names if name[1] != "(Intercept)"]
        for suffix, cov in (("", "nonrobust"), (", HC0", "HC0")):
            p_values[f"wald_test{suffix}"].append(slm.wald_test(large, of_lag, cov=cov).p_value)
            p_values[f"score_test{suffix}"].append(slm.score_test(small, large, cov=cov).p_value)
    for name, p in p_values.items():
        assert measured(
            f"`{name}`, one lag", "independent tokens, 3 states, 400 observations", np.array(p) <= 0.05, 0.05
        ).near


def test_tests_by_cluster_have_their_size_where_documents_differ_and_others_do_not(letters, measured):
    rng = np.random.default_rng(32)
    p_values = {(test, cov): [] for test in ("wald", "score") for cov in ("nonrobust", "cluster")}
    for _ in range(600):
        shares = rng.dirichlet([5.0, 5.0, 5.0], size=40)
        rows = [rng.choice(3, size=30, p=share) for share in shares]
        fit = slm.SoftmaxRegression(lags=0, reference="a").fit(slm.Corpus.from_tokens(rows, vocabulary=letters(3)))
        null = fit.at(np.zeros(2))
        for cov in ("nonrobust", "cluster"):
            p_values["wald", cov].append(slm.wald_test(fit, fit.param_names, cov=cov).p_value)
            p_values["score", cov].append(slm.score_test(null, null, restricted=fit.param_names, cov=cov).p_value)
    for (test, cov), p in p_values.items():
        rate = measured(
            f"`{test}_test`, `{cov}`", "40 documents of 30 tokens, each with its own shares", np.array(p) <= 0.05, 0.05
        )
        assert rate.near if cov == "cluster" else rate.value > 0.15


def test_profile_intervals_cover(independent, measured):
    covered = []
    for corpus in independent[:500]:
        fit = slm.SoftmaxRegression(lags=1, reference="a").fit(corpus.blocks(120).subset([0]))
        low, high = slm.profile_interval(fit, next(name for name in fit.param_names if name[1] != "(Intercept)"))
        covered.append(low <= 0 <= high)
    assert measured("coefficient, `profile_interval`", "independent tokens, 3 states, 120 observations", covered, 0.95).near


def test_average_marginal_effects_cover(letters, measured):
    rng = np.random.default_rng(33)
    effect1, effect2 = 0.8 * np.eye(3), 0.5 * np.eye(3)
    covered = []
    for _ in range(400):
        row = [0, 1]
        noise = rng.random(500)
        for u in noise:
            odds = np.exp(effect1[row[-1]] + effect2[row[-2]]).cumsum()
            row.append(int((u * odds[-1] > odds).sum()))
        fit = slm.SoftmaxRegression(lags=2, reference="a").fit(slm.Corpus.from_tokens([row], vocabulary=letters(3), given=2))
        table = slm.marginal_effects(fit, 2, tokens="b", reference="a", responses="b")
        # The truth for this text's contexts: average over the last token of what the true model says.
        last = fit.corpus.contexts(2)[:, 1]
        after = [np.exp(effect1[last] + effect2[old]) for old in (1, 0)]
        truth = (after[0] / after[0].sum(axis=1, keepdims=True) - after[1] / after[1].sum(axis=1, keepdims=True)).mean(
            axis=0
        )[1]
        covered.append(table.conf_low[0] <= truth <= table.conf_high[0])
    assert measured("`marginal_effects`", "2 lags, 3 states, 500 observations", covered, 0.95).near
