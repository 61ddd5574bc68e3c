"""Tails of weighted sums of chi-squares: scipy's for equal weights, Imhof's own integral, simulation, and far out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import chi2, gamma

from statlm.errors import NoEstimate
from statlm.numerics import weighted_chi2
from statlm.numerics.weighted_chi2 import weighted_chi2_sf

MIXED = [[3.0, 1.0, -1.0, -0.2], [1.0, 0.5, 0.001], [1.0, -1.0], [0.01] * 50 + [1.0, -2.0], [2.0, 2.0, 2.0, 1e-9]]


def imhof(x, weights):
    """Imhof's (3.2), along the imaginary axis."""
    weights = np.asarray(weights)

    def integrand(u):
        angle = 0.5 * np.arctan(weights * u).sum() - 0.5 * x * u
        return np.sin(angle) / (u * np.prod((1 + (weights * u) ** 2) ** 0.25))

    return 0.5 + quad(integrand, 0, np.inf, limit=2000, full_output=1)[0] / np.pi


@pytest.mark.parametrize("k", [1, 2, 3, 10, 100, 2000])
@pytest.mark.parametrize("unit", [1e-8, 1.0, 3e7])
def test_equal_weights_are_a_chi_square_however_far_out(k, unit):
    for p in (1 - 1e-6, 0.9, 0.5, 0.05, 1e-4, 1e-10, 1e-100, 1e-290):
        x = chi2.isf(p, k)
        assert_allclose(weighted_chi2_sf(x * unit, np.full(k, unit)), chi2.sf(x, k), rtol=1e-9)


def test_two_pairs_of_weights_are_a_sum_of_exponentials():
    x = np.array([0.1, 1.0, 10.0, 100.0])
    exact = (3 * np.exp(-x / 6) - np.exp(-x / 2)) / 2  # 3 X + Y, X and Y exponential of mean 2
    assert_allclose([weighted_chi2_sf(v, [3.0, 3.0, 1.0, 1.0]) for v in x], exact, rtol=1e-9)


@pytest.mark.parametrize("weights", MIXED)
def test_it_agrees_with_imhof_and_with_simulation(weights):
    n = 200_000
    draws = np.random.default_rng(0).chisquare(1, (n, len(weights))) @ np.array(weights)
    for x in (*np.quantile(draws, [0.001, 0.1, 0.5, 0.9, 0.999]), 0.0):
        p = weighted_chi2_sf(x, weights)
        share = (draws > x).mean()
        assert abs(p - share) <= 4.5 * np.sqrt(max(p * (1 - p), 1 / n) / n)
        assert_allclose(p, imhof(x, weights), atol=2e-4)  # the error of quad on an oscillating integrand


def test_a_difference_of_two_chi_squares_is_symmetric():
    weights = [1.5, 0.3, -0.3, -1.5]
    assert_allclose(weighted_chi2_sf(0.0, weights), 0.5, rtol=1e-9)
    for x in (1e-6, 0.1, 3.0, 20.0):
        assert_allclose(weighted_chi2_sf(x, weights) + weighted_chi2_sf(-x, weights), 1, rtol=1e-9)


def test_tails_are_never_negative_and_fall():
    for weights in MIXED:
        tails = [weighted_chi2_sf(x, weights) for x in np.linspace(-300, 6000, 60)]
        assert min(tails) >= 0
        assert max(tails) <= 1
        assert (np.diff(tails) <= 1e-9).all()


def test_beyond_the_smallest_number_the_tail_is_zero():
    assert weighted_chi2_sf(1e30, [1.0, 0.5]) == 0.0
    assert weighted_chi2_sf(1e6, [1.0, -2.0]) == 0.0


def test_what_cannot_happen_has_probability_zero_and_what_must_one():
    assert weighted_chi2_sf(0.0, [1.0]) == 1.0
    assert weighted_chi2_sf(1e-300, [1.0]) == 1.0
    assert weighted_chi2_sf(-3.0, [1.0, 2.0]) == 1.0
    assert weighted_chi2_sf(3.0, [-1.0]) == 0.0
    assert weighted_chi2_sf(0.0, [-1.0]) == 0.0
    assert (weighted_chi2_sf(-1.0, [0.0]), weighted_chi2_sf(1.0, []), weighted_chi2_sf(0.0, [0.0])) == (1.0, 0.0, 0.0)


def test_negative_weights_alone_are_the_lower_tail():
    assert_allclose(weighted_chi2_sf(-3.0, [-1.0, -1.0]), chi2.cdf(3.0, 2), rtol=1e-9)
    assert_allclose(weighted_chi2_sf(-1e-6, [-1.0] * 4), gamma.cdf(1e-6, 2, scale=2), rtol=1e-9)


def test_rounding_among_the_weights_is_nothing():
    assert_allclose(weighted_chi2_sf(5.0, [1.0, 1e-15, -1e-14]), chi2.sf(5.0, 1), rtol=1e-9)


def test_refusals(monkeypatch):
    with pytest.raises(NoEstimate, match="with 1 of 2 weights not finite"):
        weighted_chi2_sf(1.0, [1.0, np.nan])
    with pytest.raises(NoEstimate, match="asked for at inf"):
        weighted_chi2_sf(np.inf, [1.0])
    monkeypatch.setattr(weighted_chi2, "ACCEPTED", 0.0)
    with pytest.raises(NoEstimate, match=r"weighted sum of 1 chi-squares at 3 did not converge"):
        weighted_chi2_sf(3.0, [1.0])
