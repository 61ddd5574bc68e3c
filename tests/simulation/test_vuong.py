"""Vuong's test has its size for two equally wrong models, and its variance test for two models that are both right."""

import numpy as np
import pytest

import statlm as slm

pytestmark = pytest.mark.slow

SETTING = "trigram and main effects of three lags, 2 states, 1,000 observations; "


def p_values(letters, seed, interaction, main, lag1, replicates=1000, n=1000):
    """(replicates, 2) p-values of z and of the variance test.

    An observation is a token after three fair coins, of log-odds ``lag1 x1 + interaction x1 x2 + main x3`` (coins are +-1).
    The trigram sees x1 and x2 and all of their interactions, the regression x1, x2 and x3 by themselves: 4 parameters each.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(replicates):
        x3, x2, x1 = coins = rng.integers(2, size=(3, n)) * 2 - 1
        y = rng.random(n) < 1 / (1 + np.exp(-(lag1 * x1 + interaction * x1 * x2 + main * x3)))
        tokens = np.column_stack([*((coins + 1) // 2), y]).astype(np.int64)
        corpus = slm.Corpus.from_tokens(list(tokens), vocabulary=letters(2), given=3)
        test = slm.vuong_test(slm.NGram(3).fit(corpus), slm.SoftmaxRegression(3).fit(corpus))
        found.append((test.p_value, test.variance_p_value))
    return np.array(found)


def test_two_equally_wrong_models_are_rejected_at_the_nominal_rate(letters, measured):
    p = p_values(letters, 61, interaction=0.6, main=0.6, lag1=0.0, replicates=3000)
    setting = SETTING + "each lacks what the other has"
    assert measured("`vuong_test`", setting, p[:, 0] <= 0.05, 0.05).near
    assert (p[:, 1] <= 0.05).mean() > 0.99  # the variance test sees that they are not the same


def test_the_variance_test_has_its_size_where_both_models_are_right_and_z_has_not(letters, measured):
    p = p_values(letters, 62, interaction=0.0, main=0.0, lag1=0.5)
    setting = SETTING + "both are right"
    assert measured("`vuong_test`, variance test", setting, p[:, 1] <= 0.05, 0.05).near
    alone = measured("`vuong_test`, z without the variance test", setting, p[:, 0] <= 0.05, 0.05)
    assert alone.value < 0.01  # the normal distribution does not hold there; with the variance test first it need not
    assert ((p <= 0.05).all(axis=1)).mean() <= 0.05


def test_the_better_of_two_wrong_models_is_found(letters):
    p = p_values(letters, 63, interaction=0.8, main=0.4, lag1=0.0, replicates=100)
    assert ((p <= 0.05).all(axis=1)).mean() > 0.8
