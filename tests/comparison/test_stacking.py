"""Stacking weights: the maximum of the mixture's log score, by an algorithm that never goes down."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import logsumexp

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError
from statlm.numerics import mixture_weights as module
from statlm.numerics.mixture_weights import mixture_weights

RNG = np.random.default_rng(7)
TEXTS = ["".join(RNG.choice(list("abcd "), p=[0.4, 0.25, 0.15, 0.1, 0.1], size=80)) for _ in range(30)]


def score(logs, w):
    with np.errstate(divide="ignore"):
        return logsumexp(logs + np.log(w), axis=1).sum()


def by_scipy(logs):
    k = logs.shape[1]
    p = np.exp(logs - logs.max(axis=1, keepdims=True))
    found = minimize(
        lambda w: -np.log(p @ w).mean(),
        np.full(k, 1 / k),
        jac=lambda w: -(p / (p @ w)[:, None]).mean(axis=0),
        bounds=[(0, 1)] * k,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(k)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return np.maximum(found.x, 0) / np.maximum(found.x, 0).sum()


@pytest.fixture(scope="module")
def split():
    return slm.Corpus.from_texts(TEXTS).split(test=0.4)


@pytest.fixture(scope="module")
def fits(split):
    train = split[0]
    found = {f"{n}-gram": slm.NGram(n, pseudo_count=0.1).fit(train) for n in (1, 2, 3)}
    return found | {"first half": slm.NGram(1, pseudo_count=2).fit(train.subset(range(9)))}


@pytest.mark.parametrize("by", ["token", "document"])
def test_the_weights_are_the_maximum_that_scipy_finds(split, fits, by):
    test = split[1]
    table = slm.stacking_weights(fits, on=test, by=by).set_index("model")
    logs = np.stack([fit.on(test).loglike_obs() for fit in fits.values()], axis=1)
    if by == "document":
        logs = np.stack([np.bincount(test.document_index, weights=column) for column in logs.T], axis=1)
    w = table.weight[list(fits)].to_numpy()
    assert_allclose(w.sum(), 1, rtol=1e-12)
    assert score(logs, w) >= score(logs, by_scipy(logs)) - 1e-8 * len(logs)
    assert_allclose(w, by_scipy(logs), atol=2e-3)
    assert_allclose(table.attrs["loss"], -score(logs, w) / test.nobs, rtol=1e-12)
    assert (table.ratio <= 1 + 1e-7).all()
    assert_allclose(table.ratio[table.weight > 1e-3], 1, atol=1e-6)


def test_the_mixture_by_token_is_no_worse_than_any_model(split, fits):
    table = slm.stacking_weights(fits, on=split[1])
    assert table.attrs["loss"] <= table.loss.min()
    assert table.weight.is_monotonic_decreasing
    assert_allclose(table.loss, [fits[name].on(split[1]).entropy for name in table.model])


def test_a_grid_over_two_models_has_its_maximum_there(split, fits):
    two = {name: fits[name] for name in ("1-gram", "2-gram")}
    logs = np.stack([fit.on(split[1]).loglike_obs() for fit in two.values()], axis=1)
    grid = np.linspace(0, 1, 2001)
    best = grid[np.argmax([score(logs, np.array([x, 1 - x])) for x in grid])]
    assert_allclose(slm.stacking_weights(two, on=split[1]).set_index("model").weight["1-gram"], best, atol=6e-4)


def test_it_never_goes_down_and_certifies_its_maximum():
    for seed, k in itertools.product(range(5), (2, 3, 6)):
        rng = np.random.default_rng(seed)
        found = mixture_weights(rng.normal(size=(300, 1)) * 50 + rng.normal(size=(300, k)))
        assert (np.diff(found.path) >= -1e-9).all()
        assert found.ratios.max() <= 1 + 1e-6
        assert (found.weights >= 0).all()
        assert_allclose(found.weights.sum(), 1, rtol=1e-12)


def test_log_probabilities_far_below_the_smallest_number_do_no_harm():
    logs = np.random.default_rng(1).normal(size=(200, 3))
    plain, deep = mixture_weights(logs), mixture_weights(logs - 5000.0)
    assert_allclose(deep.weights, plain.weights, atol=1e-6)
    assert_allclose(deep.loglike, plain.loglike - 200 * 5000.0)


def test_a_model_that_does_not_help_gets_no_weight_at_all():
    rng = np.random.default_rng(2)
    better = rng.normal(-1, 0.1, size=200)
    found = mixture_weights(np.column_stack([better, better - 1]))
    assert found.weights.tolist() == [1.0, 0.0]
    assert found.ratios[1] < 1


def test_models_that_are_the_same_share_the_weight():
    logs = np.random.default_rng(3).normal(size=(100, 1))
    assert_allclose(mixture_weights(np.hstack([logs, logs])).weights, [0.5, 0.5])


def test_a_single_model_has_weight_one(split, fits):
    table = slm.stacking_weights({"it": fits["1-gram"]}, on=split[1])
    assert table.weight.tolist() == [1.0]


def test_a_model_that_excludes_something_may_take_part(split, fits):
    sharp = slm.NGram(2).fit(split[0].subset([0, 1]))
    with_it = slm.stacking_weights({"sharp": sharp, "smooth": fits["1-gram"]}, on=split[1]).set_index("model")
    assert with_it.loss["sharp"] == np.inf
    assert 0 <= with_it.weight["sharp"] < 1
    assert np.isfinite(with_it.attrs["loss"])


def test_by_document_few_documents_are_said_to_be_few(split, fits):
    notes = slm.stacking_weights(fits, on=split[1], by="document").attrs["notes"]
    assert any("Only 12 documents determine 4 weights" in note for note in notes)
    assert any(note.startswith("Weight 0, as the mixture is better without") for note in notes)


def test_refusals(split, fits, monkeypatch):
    with pytest.raises(SpecificationError, match=r"by='word': the mixture"):
        slm.stacking_weights(fits, on=split[1], by="word")
    sharp = slm.NGram(4).fit(split[0])
    with pytest.raises(NoEstimate, match=r"tokens have probability 0 under every one of the 1 models"):
        slm.stacking_weights({"sharp": sharp}, on=split[1])
    monkeypatch.setattr(module, "MAX_CYCLES", 1)
    with pytest.raises(NoEstimate, match="did not converge in 1 cycles"):
        slm.stacking_weights(fits, on=split[1])
