"""The test that a weight is 0: its statistic, the mixture of chi-squares, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

import statlm as slm
from statlm.errors import NoEstimate, NotComparable, SpecificationError
from statlm.numerics.chi_bar_square import chi_bar_sf, chi_bar_weights, project

RNG = np.random.default_rng(7)
TEXTS = ["".join(RNG.choice(list("abcd "), p=[0.4, 0.25, 0.15, 0.1, 0.1], size=80)) for _ in range(60)]


@pytest.fixture(scope="module")
def fits():
    train, test = slm.Corpus.from_texts(TEXTS).split(test=0.5)
    return {str(n): slm.NGram(n, pseudo_count=0.1).fit(train) for n in (0, 1, 2, 3)}, test


def test_the_statistic_is_the_gain_of_the_larger_mixture(fits):
    models, test = fits
    found = slm.weight_test({k: models[k] for k in "12"}, "2", test)
    both = slm.stacking_weights({k: models[k] for k in "12"}, test)
    alone = slm.stacking_weights({"1": models["1"]}, test)
    assert_allclose(found.statistic, 2 * test.nobs * (alone.attrs["loss"] - both.attrs["loss"]), atol=1e-4)
    expected = 0.5 * chi2.sf(found.statistic, 1) if found.statistic > 0 else 1.0
    assert_allclose(found.p_value, expected, rtol=1e-10)
    assert_allclose(found.details["weight of 1"], both.set_index("model").weight["1"], atol=1e-6)


@pytest.mark.parametrize("dependence", ["model", "iid", "cluster"])
def test_a_model_that_is_needed_is_found_needed(fits, dependence):
    models, test = fits
    found = slm.weight_test({k: models[k] for k in "01"}, "1", test, dependence=dependence)
    assert found.p_value < 1e-8
    assert ("Dependence" in found.note) == (dependence != "model")


def test_a_useless_model_is_not(fits):
    models, test = fits
    for dependence in ("model", "cluster"):
        assert slm.weight_test({k: models[k] for k in "10"}, "0", test, dependence=dependence).p_value > 0.05


def test_weights_of_two_are_those_of_the_angle_and_agree_with_counting():
    for r in (-0.8, 0.0, 0.6):
        covariance = np.array([[2.0, r * np.sqrt(6)], [r * np.sqrt(6), 3.0]])
        draws = np.random.default_rng(1).standard_normal((20_000, 2)) @ np.linalg.cholesky(covariance).T
        points, _ = project(draws, covariance)
        counted = np.bincount((points > 1e-12).sum(axis=1), minlength=3) / 20_000
        assert_allclose(chi_bar_weights(covariance), counted, atol=0.012)


def test_weights_of_three_independent_ones_are_binomial():
    assert_allclose(chi_bar_weights(np.eye(3)), [1 / 8, 3 / 8, 3 / 8, 1 / 8], atol=0.012)


def test_the_projection_is_the_nearest_point():
    covariance = np.array([[1.0, 0.5], [0.5, 1.0]])
    inverse = np.linalg.inv(covariance)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 3, 301)] * 2), axis=-1).reshape(-1, 2)
    for z in ([1.0, 2.0], [1.0, -2.0], [-1.0, -0.1], [-1.0, 1.0]):
        points, squares = project(np.array([z]), covariance)
        gaps = grid - np.array(z)
        best = grid[np.einsum("ij,jk,ik->i", gaps, inverse, gaps).argmin()]
        assert_allclose(points[0], best, atol=0.01)
        assert_allclose(squares[0], points[0] @ inverse @ points[0], rtol=1e-10)


def test_the_tail_is_the_mixture_of_tails():
    weights = np.array([0.2, 0.5, 0.3])
    assert_allclose(chi_bar_sf(3.0, weights), 0.5 * chi2.sf(3, 1) + 0.3 * chi2.sf(3, 2), rtol=1e-12)
    assert chi_bar_sf(0.0, weights) == 1
    with pytest.raises(NoEstimate, match="has no p-value"):
        chi_bar_sf(np.inf, weights)


def test_several_weights_at_once(fits):
    models, test = fits
    found = slm.weight_test({k: models[k] for k in "123"}, ["2", "3"], test)
    assert found.dof == 2
    assert_allclose(sum(found.details[f"chi2({j})"] for j in range(3)), 1.0)


def test_what_is_no_question_is_refused(fits):
    models, test = fits
    two = {k: models[k] for k in "12"}
    for zero in ("x", [], ["1", "2"], ["1", "1"]):
        with pytest.raises(SpecificationError, match="name one or more of the models"):
            slm.weight_test(two, zero, test)
    other = slm.Corpus.from_texts(["xyz", "zyx"])
    with pytest.raises(NotComparable, match="has another vocabulary"):
        slm.weight_test(two, "1", other)
    with pytest.raises(NoEstimate, match="it is refuted"):
        slm.weight_test({"raw": slm.NGram(5).fit(models["1"].corpus), "1": models["1"]}, "1", test)
    with pytest.raises(NoEstimate, match="the best mixture gives weight 0 to 0 too"):
        slm.weight_test({k: models[k] for k in "012"}, "2", test)
    with pytest.raises(NoEstimate, match="cannot be told apart"):
        slm.weight_test({"a": models["1"], "b": models["1"]}, "b", test)
    with pytest.raises(SpecificationError, match="covariances of several"):
        slm.weight_test(two, "1", test, dependence="bootstrap")
