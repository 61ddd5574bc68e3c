"""A model that is the truth of a text, and two that are not."""

import numpy as np
import pytest

import statlm as slm

RNG = np.random.default_rng(5)
TEXTS = ["".join(RNG.choice(list("abcd "), p=[0.4, 0.25, 0.15, 0.1, 0.1], size=120)) for _ in range(30)]


class Wrapped:
    """A model with its distribution changed row by row."""

    def __init__(self, model, change, memory="same"):
        self.model, self.change = model, change
        self.memory = model.memory if memory == "same" else memory

    @property
    def corpus(self):
        return self.model.corpus

    def logprobs(self, contexts):
        return self.change(self.model.logprobs(contexts))

    def loglike_obs(self):
        rows = self.logprobs(self.corpus.contexts(max(self.model.memory, 1)))
        return rows[np.arange(len(rows)), self.corpus.targets]

    def on(self, corpus):
        return Wrapped(self.model.on(corpus), self.change, self.memory)


@pytest.fixture(scope="session")
def wrapped():
    return Wrapped


@pytest.fixture(scope="session")
def true():
    """A bigram on text that was drawn from it: 40 documents of 60 tokens."""
    fit = slm.NGram(2, pseudo_count=1).fit(slm.Corpus.from_texts(TEXTS, eos=False))
    return fit.on(slm.simulate(fit, documents=40, length=60, seed=3))


@pytest.fixture(scope="session")
def sharpened(true):
    """The same with its probabilities squared: over-confident."""

    def square(logprobs):
        return 2 * logprobs - np.logaddexp.reduce(2 * logprobs, axis=1, keepdims=True)

    return Wrapped(true, square)


@pytest.fixture(scope="session")
def impossible():
    """An unsmoothed model on text that it says cannot be."""
    train = slm.Corpus.from_texts(["abab", "baba", "abba"])
    return slm.NGram(2).fit(train).on(slm.Corpus.from_texts(["aab", "bba", "aaa"], vocabulary=train.vocabulary))
