"""What a mixture says has the errors of its weights and of its models, as refits of both would show."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.inference.mixture_errors import Joint

torch = pytest.importorskip("torch")

TRAIN = ["abracadabra", "barbara", "a cab", "bad card", "crab", "drab", "cabaca", "abba"] * 3
WEIGH = ["cab", "bard", "abra", "a bad crab", "dab", "braca", "ab", "cad", "rab a", "dacab"] * 2


@pytest.fixture(scope="module")
def train():
    return slm.Corpus.from_texts(TRAIN)


@pytest.fixture(scope="module")
def models(train):
    network = slm.TransformerDecoder(
        layers=1, heads=2, width=4, hidden=6, context=16, precision="float64", steps=40, batch=128
    ).fit(train)
    return {"bigram": slm.NGram(2, pseudo_count=0.5).fit(train), "network": network}


@pytest.fixture(scope="module")
def mixed(models, train):
    return slm.Mixture(models).fit(slm.Corpus.from_texts(WEIGH, vocabulary=train.vocabulary))


@pytest.fixture
def quantity():
    return slm.LogOdds("ab", "r")


def moved(mixed, models, direction, size):
    """The mixture with the network's weights moved, and the weight of the network fitted again."""
    network = models["network"]
    at = network.likelihood.at(network.likelihood.params + size * direction)
    return slm.Mixture({"bigram": models["bigram"], "network": at}).fit(mixed.corpus)


def test_gradients_in_all_parameters_are_derivatives(mixed, quantity):
    joint = Joint(mixed.likelihood, (0, 1))
    _, gradient = quantity.measure(joint)
    split = np.split(gradient, np.cumsum(joint.sizes)[:-1])
    network = mixed.likelihood.parts[1]
    direction = np.random.default_rng(0).normal(size=len(network.params))

    def value(size):
        parts = (mixed.likelihood.parts[0], network.at(network.params + size * direction))
        from dataclasses import replace

        return quantity.measure(replace(mixed.likelihood, parts=parts))[0]

    assert_allclose(split[2] @ direction, (value(1e-6) - value(-1e-6)) / 2e-6, rtol=1e-5)


def test_a_step_of_the_network_moves_the_mixture_directly_and_through_the_weights(mixed, models, quantity):
    model = mixed.likelihood
    joint = Joint(model, (0, 1))
    _, gradient = quantity.measure(joint)
    own_weight, _, own = np.split(gradient, np.cumsum(joint.sizes)[:-1])
    solved = np.linalg.solve(model.information(), own_weight)
    total = own + model.parts[1].score().T @ model.weight_information_carried(solved)[:, 1]
    direction = np.random.default_rng(1).normal(size=len(own))
    up, down = (quantity.measure(moved(mixed, models, direction, s).likelihood)[0] for s in (1e-3, -1e-3))
    assert_allclose(total @ direction, (up - down) / 2e-3, rtol=2e-3)


@pytest.mark.parametrize("cov", ["cluster", "HC0"])
def test_the_error_is_the_root_of_the_sum_and_models_of_one_text_move_together(mixed, quantity, cov):
    table = slm.mixture_errors(mixed, quantity, cov=cov)
    assert list(table.index.get_level_values("source")) == ["weights", "bigram, network", "all"]
    assert_allclose(table.std_error.iloc[2] ** 2, (table.std_error.iloc[:2] ** 2).sum())
    assert_allclose(table.share.iloc[:2].sum(), 1.0)
    assert_allclose(table.std_error.iloc[0], mixed.functional(quantity, cov=cov).std_error.iloc[0])


def test_a_mixture_of_a_model_with_itself_has_its_errors(train, quantity):
    one = slm.NGram(2, pseudo_count=0.5).fit(train)
    weigh = slm.Corpus.from_texts(WEIGH, vocabulary=train.vocabulary)
    twice = slm.Mixture({"a": one, "b": slm.NGram(1).fit(train)}).fit(weigh)
    held = slm.Fit(twice.specification, twice.likelihood.at(np.array([1e-9])), twice.report)
    quantity = slm.LogOdds("a", "b")
    table = slm.mixture_errors(held, quantity).xs("a, b", level="source")
    _, gradient = quantity.measure(Joint(held.likelihood, (0, 1)))
    assert_allclose(gradient[1 : 1 + len(one.params)], quantity.measure(one.likelihood)[1], atol=1e-6)
    assert table.std_error.iloc[0] > 0


def test_what_is_no_mixture_is_refused(mixed, models, quantity, train):
    with pytest.raises(slm.errors.SpecificationError, match="is no mixture"):
        slm.mixture_errors(models["network"], quantity)
    with pytest.raises(slm.errors.SpecificationError, match="is no sandwich"):
        slm.mixture_errors(mixed, quantity, cov="nonrobust")
    with pytest.raises(slm.errors.SpecificationError, match="is no functional"):
        slm.mixture_errors(mixed, "ab")
    with pytest.raises(slm.errors.SpecificationError, match="does not know the texts"):
        slm.mixture_errors(mixed.likelihood, quantity)
    with pytest.raises(slm.errors.NotComparable, match="was fitted to the text that the weights were"):
        slm.mixture_errors(slm.Mixture(models).fit(train), quantity)
