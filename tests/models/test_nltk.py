"""Witten-Bell and Kneser-Ney share and leave of the longest n-grams what nltk's do (reference/nltk)."""

import json
from pathlib import Path

import pytest
from numpy.testing import assert_allclose

import statlm as slm

FIGURES = json.loads((Path(__file__).parents[1] / "reference" / "nltk" / "figures.json").read_text())


@pytest.mark.parametrize("name", ["witten-bell", "kneser-ney"])
def test_alpha_and_gamma_are_nltks(name):
    smoothing = slm.KneserNey(discount=FIGURES["discount"]) if name == "kneser-ney" else name
    table = slm.NGram(3, smoothing=smoothing).fit(slm.Corpus.from_tokens(FIGURES["sentences"], eos=True)).likelihood.table
    vocabulary = slm.Corpus.from_tokens(FIGURES["sentences"], eos=True).vocabulary
    level = table.index.level(3)
    rows = {tuple(row): i for i, row in enumerate(table.index.tokens(3).tolist())}
    names = {token: i for i, token in enumerate(vocabulary.tokens)} | {"</s>": vocabulary.eos}
    assert len(FIGURES[name]) > 200
    for *gram, alpha, gamma in FIGURES[name]:
        row = rows[tuple(names[token] for token in gram)]
        left = table.backoff[1][level.context[row]]
        lower = table.probability[1][level.suffix[row]]
        assert_allclose(left, gamma, rtol=1e-12)
        assert_allclose(table.probability[2][row] - left * lower, alpha, rtol=1e-9, atol=1e-12)
