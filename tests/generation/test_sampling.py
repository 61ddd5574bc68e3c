import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chisquare

from statlm.errors import NoEstimate, SpecificationError
from statlm.numerics.sampling import cumulative, draw, invert, truncate

WORKED = np.log([[0.40, 0.30, 0.15, 0.10, 0.05]])


def logs(*rows):
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows, float))


@st.composite
def distributions(draw_):
    """Rows of log-probabilities with ties and zeros among them, as counts give."""
    m, size = draw_(st.integers(1, 4)), draw_(st.integers(2, 12))
    weights = np.array(
        draw_(st.lists(st.lists(st.integers(0, 5), min_size=size, max_size=size), min_size=m, max_size=m)), float
    )
    weights[weights.sum(axis=1) == 0, -1] = 1.0
    return logs(*(weights / weights.sum(axis=1, keepdims=True)))


samplers = st.fixed_dictionaries(
    {
        "temperature": st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-3, 1e3)),
        "top_k": st.one_of(st.none(), st.integers(1, 15)),
        "top_p": st.one_of(st.none(), st.floats(1e-6, 1.0)),
    }
)


def test_the_nucleus_of_the_worked_example_is_three_tokens():
    kept = np.exp(truncate(WORKED, top_p=0.85))  # .40 + .30 + .15 is .85 but for rounding: it must not take a fourth
    assert kept.shape == (1, 5)
    assert_allclose(kept[0], [0.40 / 0.85, 0.30 / 0.85, 0.15 / 0.85, 0, 0], rtol=1e-14)


@pytest.mark.parametrize(
    ("top_p", "size"), [(0.01, 1), (0.40, 1), (0.41, 2), (0.70, 2), (0.86, 4), (0.95, 4), (0.96, 5), (1, 5)]
)
def test_the_nucleus_is_the_smallest_set_that_reaches_its_mass(top_p, size):
    assert np.count_nonzero(np.isfinite(truncate(WORKED, top_p=top_p))) == size


def test_top_k_counts_the_mass_of_top_p_within_the_k_tokens():
    kept = truncate(WORKED, top_k=2, top_p=0.57)  # 4/7 = .571 of what top-k left, not .40 of everything
    assert_array_equal(np.isfinite(kept[0]), [True, False, False, False, False])


def test_temperature_comes_before_the_truncations():
    cold = truncate(WORKED, temperature=0.25, top_p=0.85)  # p^4: .0256, .0081, .0005, ...: two reach 85 %
    assert np.count_nonzero(np.isfinite(cold)) == 2
    assert_allclose(np.exp(cold[0, :2]), np.array([0.40, 0.30]) ** 4 / (0.40**4 + 0.30**4), rtol=1e-13)


def test_temperature_is_a_power_of_the_probabilities():
    powers = np.exp(WORKED[0]) ** (1 / 1.7)
    assert_allclose(np.exp(truncate(WORKED, temperature=1.7)[0]), powers / powers.sum(), rtol=1e-13)


@pytest.mark.parametrize("temperature", [0.0, 1e-6, 1e-320])
def test_temperature_towards_zero_is_greedy(temperature):
    rows = logs([0.2, 0.5, 0.3, 0.0], [0.26, 0.24, 0.25, 0.25])
    assert_array_equal(np.exp(truncate(rows, temperature=temperature)), [[0, 1, 0, 0], [1, 0, 0, 0]])


@pytest.mark.parametrize("temperature", [1e12, np.inf])
def test_a_high_temperature_is_uniform_over_what_is_possible(temperature):
    rows = logs([0.9, 0.1 - 1e-9, 0.0, 1e-9])
    assert_allclose(np.exp(truncate(rows, temperature=temperature)), [[1 / 3, 1 / 3, 0, 1 / 3]], rtol=1e-10)


def test_ties_go_to_the_lowest_id():
    rows = logs([0.2, 0.3, 0.2, 0.3])
    assert_array_equal(np.exp(truncate(rows, temperature=0))[0], [0, 1, 0, 0])
    assert_array_equal(np.isfinite(truncate(rows, top_k=1))[0], [False, True, False, False])
    assert_array_equal(np.isfinite(truncate(rows, top_k=3))[0], [True, True, False, True])
    assert_array_equal(np.isfinite(truncate(rows, top_p=0.7))[0], [True, True, False, True])


def test_top_k_of_one_is_greedy():
    rows = np.log(np.random.default_rng(0).dirichlet(np.ones(9), size=20))
    assert_allclose(truncate(rows, top_k=1), truncate(rows, temperature=0), atol=0)


def test_log_probabilities_far_below_the_exponential_survive():
    rows = np.array([[-2000.0, -2001.0, -np.inf]])  # exp() of each is 0
    assert_allclose(truncate(rows)[0, :2], [-np.log1p(np.exp(-1)), -1 - np.log1p(np.exp(-1))], rtol=1e-12)


@settings(deadline=None, max_examples=200)
@given(distributions(), samplers)
def test_a_truncated_sampler_is_a_distribution_within_the_models_support(rows, sampler):
    result = truncate(rows, **sampler)
    assert result.shape == rows.shape
    assert not np.isnan(result).any()
    assert_allclose(np.exp(result).sum(axis=1), 1.0, rtol=1e-12)
    assert np.isneginf(result[np.isneginf(rows)]).all()
    if sampler["top_k"] is not None:
        assert (np.isfinite(result).sum(axis=1) <= sampler["top_k"]).all()


@settings(deadline=None, max_examples=200)
@given(distributions(), st.floats(0.01, 1.0, exclude_max=True))
def test_no_token_outside_of_the_nucleus_is_more_probable_and_one_fewer_would_not_do(rows, top_p):
    kept = np.isfinite(truncate(rows, top_p=top_p))
    for row, inside in zip(np.exp(rows), kept, strict=True):
        assert row[inside].min() >= row[~inside].max(initial=0.0)
        assert row[inside].sum() >= top_p - 1e-9
        assert inside.sum() == 1 or row[inside].sum() - row[inside].min() < top_p + 1e-9


@settings(deadline=None, max_examples=200)
@given(distributions(), st.integers(0, 2**32))
def test_a_token_of_probability_zero_is_never_drawn(rows, seed):
    ids = draw(rows, np.random.default_rng(seed))
    assert ids.shape == (len(rows),)
    assert np.isfinite(rows[np.arange(len(rows)), ids]).all()


def test_the_extreme_uniform_numbers_draw_possible_tokens():
    rows = logs(*[[0.0, 0.3, 0.0, 0.7, 0.0]] * 2)
    assert_array_equal(invert(rows, np.array([0.0, np.nextafter(1.0, 0.0)])), [1, 3])
    assert cumulative(rows)[0, -1] == 1.0


def test_draws_have_the_frequencies_of_the_distribution():
    probabilities = np.array([0.05, 0.0, 0.35, 0.2, 0.4])
    ids = draw(np.broadcast_to(logs(probabilities), (40_000, 5)), np.random.default_rng(1))
    counts = np.bincount(ids, minlength=5)
    positive = probabilities > 0
    assert counts[1] == 0
    assert chisquare(counts[positive], 40_000 * probabilities[positive]).pvalue > 0.001


@pytest.mark.parametrize("temperature", [-0.1, np.nan, "hot", None, True])
def test_a_temperature_that_is_no_divisor_is_refused(temperature):
    with pytest.raises(
        SpecificationError, match=r"temperature=.* divides no log-probability\. Choose 1 for the model's own"
    ):
        truncate(WORKED, temperature=temperature)


@pytest.mark.parametrize("top_k", [0, -3, 2.0, "2", True])
def test_a_top_k_that_keeps_nothing_is_refused(top_k):
    with pytest.raises(SpecificationError, match=r"top_k=.* leaves no token to draw\. Choose a whole number of tokens"):
        truncate(WORKED, top_k=top_k)


@pytest.mark.parametrize("top_p", [0, -0.5, 1.01, np.nan, "0.9", True])
def test_a_top_p_that_is_no_share_is_refused(top_p):
    with pytest.raises(
        SpecificationError, match=r"top_p=.* is not a share of the probability to keep\. Choose a number above 0"
    ):
        truncate(WORKED, top_p=top_p)


@pytest.mark.parametrize("broken", [-np.inf, np.nan, np.inf])
def test_a_row_that_is_no_distribution_is_refused(broken):
    rows = np.vstack([WORKED, np.full((1, 5), broken)])
    message = r"1 of 2 rows \(first: row 1\) are no distribution: .* Check that the model's parameters are finite\."
    with pytest.raises(NoEstimate, match=message):
        truncate(rows)
    with pytest.raises(NoEstimate, match=message):
        draw(rows, np.random.default_rng(0))
