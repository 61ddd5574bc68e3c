"""Sums of scores by window, made without gradients, equal those made of gradients; random signs tell sums of squares."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.networks.window_products import window_products
from statlm.numerics.repeated_rows import sum_by

pytest.importorskip("torch")

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]
SETTINGS = {
    "layers": 1,
    "heads": 2,
    "width": 4,
    "hidden": 6,
    "context": 16,
    "precision": "float64",
    "steps": 20,
    "batch": 128,
}


def fitted(corpus, **changes):
    return slm.TransformerDecoder(**SETTINGS | changes).fit(corpus).likelihood


@pytest.mark.parametrize(
    "changes", [{}, {"layers": 0}, {"bias": True, "head_bias": True}], ids=["rotary", "no blocks", "bias"]
)
def test_sums_by_window_are_those_of_gradients(changes):
    model = fitted(slm.Corpus.from_texts(TEXTS * 2), **changes)
    derivatives = model.differentiated.derivatives
    directions = np.random.default_rng(0).normal(size=(derivatives.nweights, 3))
    directions[:, 2] = 0.0
    directions[:20, 2] = 1.0  # of low rank
    plain, signed = window_products(derivatives, directions)
    assert_allclose(plain, derivatives.by_window(directions), atol=1e-10)
    rows, signs = derivatives.pushed(directions), 1.0 - 2.0 * np.random.default_rng(0).integers(2, size=derivatives.nobs)
    windows = np.repeat(np.arange(len(derivatives.reading.windows)), derivatives.reading.windows.nscored)
    assert_allclose(signed, sum_by(rows * signs[:, None], windows, len(signed)), atol=1e-10)
    for column in (0, 2):  # one alone, of high rank and of low
        assert_allclose(window_products(derivatives, directions[:, [column]])[0], plain[:, [column]], atol=1e-10)


@pytest.mark.parametrize(
    "changes", [{"tied": True}, {"experts": 2}, {"positions": "learned"}, {"norm": "layer", "affine": True}], ids=str
)
def test_networks_with_other_weights_go_by_gradients(changes):
    derivatives = fitted(slm.Corpus.from_texts(TEXTS), **changes).differentiated.derivatives
    assert (
        window_products(derivatives, np.ones((derivatives.nweights, 1)) + np.arange(derivatives.nweights)[:, None]) is None
    )


def test_much_work_is_done_by_window_with_a_stated_error(monkeypatch):
    model = fitted(slm.Corpus.from_texts(TEXTS * 30))
    quantities = [slm.LogOdds("ab", "r"), slm.LogOdds("a", "b"), slm.LogOdds("c", "a")]
    exact = {cov: slm.functional(model, quantities, cov=cov) for cov in ("HC0", "cluster")}
    assert "random signs" not in " ".join(model.damping_notes())
    monkeypatch.setattr("statlm.networks.score_operator.WORK", 1)
    monkeypatch.setattr("statlm.networks.score_operator.ENOUGH", 100)
    fresh = slm.damped(model, model.differentiated.damping, curvature=model.corpus.nobs)  # nothing kept
    found = {cov: slm.functional(fresh, quantities, cov=cov) for cov in ("HC0", "cluster")}
    assert_allclose(found["cluster"].std_error, exact["cluster"].std_error, rtol=1e-6)
    # 150 windows: 6 % of Monte-Carlo error
    assert_allclose(found["HC0"].std_error, exact["HC0"].std_error, rtol=0.2)
    assert (found["HC0"].std_error != exact["HC0"].std_error).all()
    assert "random signs within 150 windows, with a relative Monte-Carlo error of about 5.8 %" in " ".join(
        fresh.damping_notes()
    )
