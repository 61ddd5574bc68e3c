"""Scores along a direction by central differences agree with forward mode, or are not given."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.networks.differences import differenced

torch = pytest.importorskip("torch")

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]
SETTINGS = {"layers": 1, "heads": 2, "width": 4, "hidden": 6, "context": 16, "steps": 20, "batch": 128}


def derivatives(**changes):
    return (
        slm.TransformerDecoder(**SETTINGS | changes)
        .fit(slm.Corpus.from_texts(TEXTS * 30))
        .likelihood.differentiated.derivatives
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "float64"},
        {"precision": "float32"},
        {"tied": True},
        {"norm": "layer", "affine": True, "positions": "learned"},
        {"experts": 2},
    ],
    ids=str,
)
def test_differences_agree_with_forward_mode(changes):
    d = derivatives(**changes)
    directions = np.random.default_rng(0).normal(size=(d.nweights, 2)) * [1.0, 1e-4]
    exact, found = d.pushed(directions), differenced(d, directions)
    error = np.sqrt(((found - exact) ** 2).mean(axis=0) / (exact**2).mean(axis=0))
    assert (error < 4e-3).all()


def test_a_direction_along_which_nothing_moves_gives_zeros():
    d = derivatives()
    assert not differenced(d, np.zeros((d.nweights, 1))).any()


def test_a_direction_that_moves_none_of_the_windows_compared_has_none():
    """The embedding of a token of two documents in five hundred: whatever the step, nothing would have been compared."""
    texts = ["abracadabra", "barbara", "a cab", "bad card", "crab"] * 100 + ["xx"] * 2
    fit = slm.TransformerDecoder(**SETTINGS).fit(slm.Corpus.from_texts(texts))
    d = fit.likelihood.differentiated.derivatives
    token = fit.likelihood.corpus.vocabulary.tokens.index("x")
    direction = np.zeros((d.nweights, 1))
    direction[fit.likelihood.embedding_place(token)] = 1.0
    assert 0 < np.count_nonzero(d.pushed(direction)) <= 6
    assert differenced(d, direction) is None


class Rounded(torch.nn.Module):
    """A network whose logits jump between multiples of a tenth; its derivative is taken as if they did not."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, *arguments):
        logits = self.network(*arguments)
        return logits + (logits.detach().mul(10).round() / 10 - logits.detach())


def test_a_function_with_jumps_has_none():
    d = derivatives(precision="float64")
    jumping = replace(d, network=Rounded(d.network))
    direction = np.random.default_rng(0).normal(size=(d.nweights, 1))
    assert jumping.pushed(direction).any()
    assert differenced(jumping, direction) is None


def test_one_functional_of_much_text_has_errors_by_differences_and_says_so(monkeypatch):
    model = slm.TransformerDecoder(**SETTINGS | {"precision": "float64"}).fit(slm.Corpus.from_texts(TEXTS * 30)).likelihood
    asked = slm.LogOdds("ab", "r")
    exact = {cov: slm.functional(model, asked, cov=cov).std_error for cov in ("HC0", "cluster", "HAC")}
    assert "differences" not in " ".join(model.damping_notes())
    monkeypatch.setattr("statlm.networks.score_operator.WORK", 1)
    fresh = slm.damped(model, model.differentiated.damping, curvature=model.corpus.nobs)  # nothing kept
    for cov, errors in exact.items():
        found = slm.functional(fresh, asked, cov=cov).std_error
        assert_allclose(found, errors, rtol=2e-3)
        assert (found != errors).all()
    assert "central differences where these agree with derivatives to 0.2 %" in " ".join(fresh.damping_notes())
