"""The nuclear norm as a penalty on factors, and coordinates of a matrix of low rank."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statlm.numerics.low_rank_chart import NuclearPenalty, cornered, pivots_of
from statlm.numerics.low_rank_logit import Factors
from statlm.numerics.low_rank_newton import balanced

GROUPS = (np.arange(4), np.arange(4, 7))  # two lags of five and four levels, the reference of each left out


@pytest.fixture
def at():
    rng = np.random.default_rng(0)
    right = rng.standard_normal((6, 2))
    right[0] = 0.0
    return Factors(np.zeros(6), rng.standard_normal((7, 2)), right)


def nuclear_norm(at):
    rows = at.left @ at.right.T
    lags = [np.concatenate([np.zeros((1, 6)), rows[group]]) for group in GROUPS]
    stacked = np.concatenate([lag - lag.mean(axis=0) for lag in lags])
    return np.linalg.svd(stacked - stacked.mean(axis=1, keepdims=True))[1].sum()


def test_the_penalty_is_the_nuclear_norm(at):
    assert_allclose(NuclearPenalty(3.0, at, GROUPS).value(), 3.0 * nuclear_norm(at), rtol=1e-12)


def test_its_second_derivative_agrees_with_differences(at):
    rng = np.random.default_rng(1)
    step = 1e-4
    for _ in range(5):
        left, right = rng.standard_normal((1, 7, 2)), rng.standard_normal((1, 6, 2))
        found = NuclearPenalty(1.0, at, GROUPS).product(Factors(np.zeros((1, 6)), left, right))
        moved = [
            nuclear_norm(Factors(at.intercepts, at.left + s * left[0], at.right + s * right[0])) for s in (step, 0, -step)
        ]
        expected = (moved[0] - 2 * moved[1] + moved[2]) / step**2
        assert_allclose((found.left * left).sum() + (found.right * right).sum(), expected, rtol=1e-5)


def test_balanced_and_cornered_factors_are_factors_of_the_same_matrix(at):
    pivots = pivots_of(at.right, np.arange(6.0))
    for other in (balanced(at), cornered(at, pivots)):
        assert_allclose(other.left @ other.right.T, at.left @ at.right.T, atol=1e-12)
    assert_allclose(cornered(at, pivots).right[pivots], np.eye(2))
    even = balanced(at)
    assert_allclose(even.left.T @ even.left, even.right.T @ even.right, atol=1e-12)


def test_a_class_of_weight_zero_is_no_pivot(at):
    assert 0 not in pivots_of(at.right, np.array([0.0, 1, 1, 1, 1, 1]))
