"""Every observation gets its own distribution, whether contexts repeat or not."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import statlm as slm
from statlm.likelihood import next_token as module
from statlm.likelihood.next_token import next_tokens

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]


@pytest.mark.parametrize("given", [0, 2])
@pytest.mark.parametrize("memory", [0, 1, 3, None])
@pytest.mark.parametrize("held", [1, 40, 10**6])
def test_each_observation_comes_once_with_the_row_that_holds_its_probability(given, memory, held, wrapped, monkeypatch):
    monkeypatch.setattr(module, "HELD", held)
    monkeypatch.setattr(module, "LONG", 2)  # so that a memory of 3 takes the path of long contexts
    corpus = slm.Corpus.from_texts(TEXTS, given=given)
    fit = slm.NGram(4 if memory is None else memory + 1, pseudo_count=0.5).fit(corpus)
    model = wrapped(fit, lambda rows: rows, memory)
    where, own = [], np.empty(corpus.nobs)
    for part in next_tokens(model):
        where.append(part.where)
        own[part.where] = part.logprobs[part.row, corpus.targets[part.where]]
    assert_array_equal(np.sort(np.concatenate(where)), np.arange(corpus.nobs))
    assert_allclose(own, fit.loglike_obs(), rtol=1e-12)
