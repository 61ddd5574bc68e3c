"""Windows: every observation counts exactly once, with the context that is promised."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from statlm import Corpus
from statlm.networks.windows import Stream, evaluation_windows, shuffled_batches, training_windows, window_start

CORPORA = st.lists(st.integers(1, 60), min_size=1, max_size=6)


def corpus_of(lengths, given_tokens=0):
    documents = [[(i + d) % 7 for i in range(n)] for d, n in enumerate(lengths)]
    return Corpus.from_tokens([[str(t) for t in doc] for doc in [*documents, list(range(7))]], eos=False, given=given_tokens)


def stream_of(corpus):
    return Stream.of(corpus, corpus.vocabulary.size, corpus.vocabulary.size)


def counted_places(stream, windows):
    return np.concatenate(
        [np.arange(f + s, f + n) for f, s, n in zip(windows.first, windows.scored, windows.length, strict=True)]
    )


@given(CORPORA, st.integers(1, 20), st.data())
@settings(deadline=None, max_examples=100)
def test_evaluation_counts_each_observation_once_and_in_order_with_the_promised_context(lengths, context, data):
    stride = data.draw(st.integers(1, context))
    corpus = corpus_of(lengths, given_tokens=data.draw(st.integers(0, min([*lengths, 7]) - 1)))
    stream = stream_of(corpus)
    windows = evaluation_windows(stream, context, stride)
    places = counted_places(stream, windows)
    assert len(places) == corpus.nobs
    np.testing.assert_array_equal(stream.ids[places + 1], corpus.targets)
    assert windows.length.max() <= context
    read = np.repeat(windows.first, windows.nscored)
    document = np.searchsorted(stream.starts, places, side="right") - 1
    place = places - stream.starts[document]
    assert (places - read + 1 >= np.minimum(place + 1, context - stride + 1)).all()
    begins = [window_start(int(p), context, stride) for p in place]
    np.testing.assert_array_equal(read - stream.starts[document], begins)


@given(CORPORA, st.integers(1, 20), st.integers(0, 5))
@settings(deadline=None, max_examples=100)
def test_a_pass_of_training_counts_each_observation_once(lengths, context, seed):
    corpus = corpus_of(lengths)
    stream = stream_of(corpus)
    rng = np.random.default_rng(seed)
    windows = training_windows(stream, context, rng)
    assert windows.length.max() <= context
    document = np.searchsorted(stream.starts, windows.first, side="right") - 1
    assert (windows.first + windows.length < stream.starts[document + 1]).all()  # no window crosses an end
    places = counted_places(stream, windows)
    assert len(np.unique(places)) == len(places) == corpus.nobs
    batches = list(shuffled_batches(windows, 40, rng))
    np.testing.assert_array_equal(
        np.sort(np.concatenate([counted_places(stream, batch) for batch in batches])), np.sort(places)
    )
    assert all(len(b) * b.length.max() <= max(40, b.length.max()) for b in batches)


def test_padding_and_given_tokens_do_not_count():
    corpus = corpus_of([5, 2], given_tokens=1)
    stream = stream_of(corpus)
    inputs, targets, counts = evaluation_windows(stream, 10, 5).batch(stream)
    assert inputs.shape == (3, 7)
    assert counts.sum() == corpus.nobs
    assert (targets[~counts] == -1).all()
    np.testing.assert_array_equal(targets[counts], corpus.targets)
