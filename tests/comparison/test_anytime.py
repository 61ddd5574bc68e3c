"""E-processes: martingales by enumeration, the confidence sequence is the test turned round, and what is refused."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.comparison.anytime import anytime_from
from statlm.errors import NoEstimate, NotComparable, SpecificationError
from statlm.numerics.e_process import betting, normal_mixture, symmetric

RNG = np.random.default_rng(4)
TEXTS = ["".join(RNG.choice(list("abcd "), size=60, p=[0.5, 0.2, 0.1, 0.1, 0.1])) for _ in range(120)]


@pytest.fixture(scope="module")
def models():
    train, test = slm.Corpus.from_texts(TEXTS).split(test=0.5)
    return [slm.NGram(n, pseudo_count=1).fit(train).on(test) for n in (1, 0)]


@pytest.mark.parametrize("m", [0.0, 0.3, -0.5])
def test_betting_is_a_martingale_for_any_distribution_of_that_mean(m):
    """All sequences of four draws from {-1, 1} with mean m, weighted by their probability."""
    up = (1 + m) / 2
    total = np.zeros(4)
    for draws in itertools.product([-1.0, 1.0], repeat=4):
        x = np.array(draws)
        total += np.prod(np.where(x > 0, up, 1 - up)) * betting(x, np.array([m]), 1.0)[:, 0]
    assert_allclose(total, 1.0, rtol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 5.0])
def test_the_symmetric_process_never_grows_on_average(scale):
    """All signs of values that are symmetric about 0."""
    size = np.array([1.0, 0.2, 3.0, 0.7, 1.1, 2.0])
    values = [symmetric(size * np.array(s), np.zeros(1), scale)[:, 0] for s in itertools.product([-1, 1], repeat=6)]
    means = np.mean(values, axis=0)
    assert (np.diff(means) <= 1e-12).all()
    assert means[0] == 1


def test_the_normal_mixture_is_the_integral_of_likelihood_ratios():
    from scipy.integrate import quad
    from scipy.stats import norm

    x = np.random.default_rng(1).normal(0.3, 2, 30)
    s, n, scale = x.std(ddof=1), 30, 8.0

    def ratio(effect):
        z = x / s
        return np.exp(effect * z.sum() - n * effect**2 / 2) * norm.pdf(effect, scale=scale**-0.5)

    assert_allclose(normal_mixture(x, np.zeros(1), scale)[-1, 0], quad(ratio, -5, 5)[0], rtol=1e-8)


@pytest.mark.parametrize("method", ["betting", "symmetric", "normal"])
def test_the_sequence_leaves_out_zero_where_the_test_rejects(method):
    x = np.random.default_rng(2).normal(0.1, 0.2, 150)
    found = anytime_from(x, method=method, bound=1.0)
    table = found.table.iloc[60:]
    out = (table.conf_low > 0.005) | (table.conf_high < -0.005)  # the grid is that coarse
    assert (table.e_value[out] >= 20).all() if method == "normal" else (table.e_value[out].cummax() >= 20).all()
    assert found.stopped == int(np.argmax(found.table.e_value >= 20)) + 1
    assert found.conf_int.low < 0.1 < found.conf_int.high
    assert found.p_value == 1 / found.table.e_value.max()


def test_a_bound_that_is_exceeded_is_said(models):
    a, b = models
    found = slm.anytime_test(a, b, bound=0.05)
    assert found.clipped > 0
    assert "were clipped" in str(found)
    assert "clipped to +-0.05" in found.guarantee
    assert found.table["difference"].abs().max() > 0.05
    assert found.table["mean"].abs().max() <= 0.05 + 1e-12


@pytest.mark.parametrize(
    ("method", "words"), [("betting", "exact"), ("symmetric", "symmetric about"), ("normal", "asymptotic")]
)
def test_the_better_model_is_found_early_and_the_guarantee_is_stated(models, method, words):
    a, b = models
    found = slm.anytime_test(a, b, method=method, bound=1.0, seed=1)
    assert found.stopped <= (50 if method == "normal" else 40)
    assert found.conf_int.low > 0
    assert words in found.guarantee
    assert "no difference is rejected after" in str(found)
    lengths = np.bincount(a.corpus.document_index)
    means = np.bincount(a.corpus.document_index, a.loglike_obs() - b.loglike_obs()) / lengths
    assert_allclose(np.sort(found.table["difference"]), np.sort(means), rtol=1e-12)


def test_differences_without_one_mean_have_no_sequence():
    drifting = np.r_[np.full(300, 0.5), np.full(300, -0.5)] + np.random.default_rng(0).normal(0, 0.05, 600)
    found = anytime_from(drifting, bound=1.0)
    assert np.isnan(found.conf_int.low)
    assert "no single mean fits all documents" in str(found)
    again = anytime_from(np.random.default_rng(1).permutation(drifting), bound=1.0)
    assert again.conf_int.low < 0 < again.conf_int.high


def test_equal_models_are_not_told_apart(models):
    found = slm.anytime_test(models[0], models[0], bound=0.5)
    assert found.stopped is None
    assert found.p_value == 1
    assert "no decision yet" in str(found)


def test_what_cannot_be_followed_is_refused(models):
    a, b = models
    with pytest.raises(SpecificationError, match="betting needs a bound"):
        slm.anytime_test(a, b)
    with pytest.raises(SpecificationError, match="There is no method 'sprt'"):
        slm.anytime_test(a, b, method="sprt")
    with pytest.raises(SpecificationError, match="a level between 0 and 1"):
        slm.anytime_test(a, b, bound=1.0, level=1.0)
    with pytest.raises(NotComparable):
        slm.anytime_test(a, b.on(b.corpus.subset([0, 1])), bound=1.0)
    with pytest.raises(NoEstimate, match="a single document"):
        slm.anytime_test(*(m.on(m.corpus.subset([0])) for m in models), bound=1.0)
    train = slm.Corpus.from_texts(["ab", "ba"], eos=False)
    test = slm.Corpus.from_texts(["aa", "bb"], vocabulary=train.vocabulary)
    with pytest.raises(NoEstimate, match="so a difference is infinite"):
        slm.anytime_test(slm.NGram(2).fit(train).on(test), slm.NGram(1).fit(train).on(test), bound=1.0)
