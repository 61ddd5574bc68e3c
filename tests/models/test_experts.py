"""Gates of a mixture of experts as a table, and states of a decoder as points."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import SpecificationError

pytest.importorskip("torch")

SMALL = {"layers": 2, "heads": 2, "width": 16, "context": 16, "steps": 20, "batch": 128, "precision": "float64", "seed": 1}


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(["abracadabra", "barbara bar", "abba", "cadabra"] * 4)


@pytest.mark.parametrize("chosen", [1, 2])
def test_gates_are_probabilities_and_the_chosen_experts_count(corpus, chosen):
    fit = slm.TransformerDecoder(**SMALL | {"experts": 4, "experts_per_token": chosen}).fit(corpus)
    table = slm.gating(fit, ["abr", "b"])
    assert len(table) == 2 * 2 * 4
    groups = table.groupby(["context", "layer"])
    assert_allclose(groups.probability.sum(), 1.0)
    assert (groups.weight.apply(lambda w: (w > 0).sum()) == chosen).all()
    best = table.loc[groups.probability.idxmax()]
    assert (best.weight > 0).all()
    if chosen > 1:
        assert_allclose(groups.weight.sum(), 1.0)


def test_the_weights_of_the_table_are_those_that_the_network_uses(corpus):
    """The output of the layer is the weighted sum of the outputs of its experts."""
    import torch

    fit = slm.TransformerDecoder(**SMALL | {"layers": 1, "experts": 3, "experts_per_token": 2}).fit(corpus)
    layer = fit.likelihood.network.blocks[0].feed_forward
    seen = {}
    handle = layer.register_forward_hook(lambda module, given, out: seen.update(x=given[0][0, -1], y=out[0, -1]))
    weights = slm.gating(fit, ["abr"]).weight.to_numpy()
    handle.remove()
    with torch.no_grad():
        made = sum(w * expert(seen["x"]) for w, expert in zip(weights, layer.experts, strict=True))
    assert_allclose(made.numpy(), seen["y"].numpy(), atol=1e-12)


def test_a_dense_network_has_no_gates(corpus):
    with pytest.raises(SpecificationError, match="no experts"):
        slm.gating(slm.TransformerDecoder(**SMALL).fit(corpus), ["a"])


def test_states_are_the_features_of_the_likelihood_at_length_one(corpus):
    fit = slm.TransformerDecoder(**SMALL).fit(corpus)
    contexts = corpus.contexts(16)[:40]
    expected = fit.likelihood.features(contexts)
    states = slm.DecoderStates(fit)(contexts)
    assert_allclose(states, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-10)


def test_retrieval_by_states_is_a_distribution_that_mixes(corpus):
    from statlm.testing import check_predictive

    fit = slm.TransformerDecoder(**SMALL).fit(corpus)
    retrieved = slm.NearestNeighbour(slm.DecoderStates(fit, lags=6), neighbours=8, bandwidth=0.1).fit(corpus)
    check_predictive(slm.Mixture({"decoder": fit, "retrieved": retrieved}).fit(corpus))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda c: slm.DecoderStates(slm.NGram(2).fit(c)), "has no states"),
        (lambda c: slm.DecoderStates(slm.TransformerDecoder(**SMALL).fit(c), lags=0), "lags=0"),
    ],
)
def test_states_of_what_has_none_are_refused(corpus, asked, message):
    with pytest.raises(SpecificationError, match=message):
        asked(corpus)
