"""A corpus of any size that looks like text: sentences resampled from the State of the Union speeches.

Each sentence is 1 to 4 consecutive lines of a speech, and each word of it is replaced with probability 10 % by a draw from the
unigram distribution, so that the number of distinct n-grams goes on growing as it does in real text.
"""

from __future__ import annotations

import numpy as np

import statlm as slm


def resampled_speeches(ntokens: int, seed: int) -> tuple[slm.Vocabulary, np.ndarray, np.ndarray]:
    """Vocabulary, token ids (about `ntokens`, ends included) and offsets of the sentences."""
    rng = np.random.default_rng(seed)
    source = slm.datasets.load("sotu", tokenizer=slm.Words(lowercase=True), split="line")
    lengths = np.diff(source.offsets) - 1  # without <eos>
    words = source.tokens[source.tokens != source.vocabulary.eos]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    mean = lengths.mean() * 2.5
    nsentences = int(ntokens / (mean + 1))
    first = rng.integers(0, len(lengths) - 4, nsentences)
    size = rng.integers(1, 5, nsentences)
    begin, end = starts[first], starts[first + size]
    sentence_lengths = end - begin
    before = np.cumsum(sentence_lengths) - sentence_lengths
    text = words[np.arange(sentence_lengths.sum()) + np.repeat(begin - before, sentence_lengths)].copy()
    changed = np.flatnonzero(rng.random(len(text)) < 0.1)
    text[changed] = words[rng.integers(0, len(words), len(changed))]
    offsets = np.concatenate([[0], np.cumsum(sentence_lengths + 1)])
    tokens = np.full(offsets[-1], source.vocabulary.eos, source.vocabulary.dtype)
    place = np.ones(len(tokens), bool)
    place[offsets[1:] - 1] = False
    tokens[place] = text
    return source.vocabulary, tokens, offsets
