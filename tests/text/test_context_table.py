from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from statlm.numerics.context_table import ContextTable
from statlm.text.corpus import Corpus

SIZE = 9


@st.composite
def observations(draw):
    """Contexts, most recent token first, and what follows them."""
    lags = draw(st.integers(0, 4))
    row = st.tuples(*[st.integers(0, SIZE - 1)] * (lags + 1))
    rows = np.array(draw(st.lists(row, min_size=1, max_size=60)), np.int64)
    return rows[:, :lags], rows[:, lags]


def count(contexts, targets, size=SIZE):
    return ContextTable.count(list(contexts.T), targets, size)


@given(observations())
def test_cells_are_the_counts_of_what_follows_each_context(data):
    contexts, targets = data
    table = count(contexts, targets)
    follows = defaultdict(Counter)
    for context, target in zip(contexts.tolist(), targets.tolist(), strict=True):
        follows[tuple(context)][target] += 1
    assert [tuple(context) for context in table.contexts.tolist()] == sorted(follows)
    for c, context in enumerate(sorted(follows)):
        cells = slice(table.starts[c], table.starts[c + 1])
        expected = sorted(follows[context].items())
        assert list(zip(table.tokens[cells].tolist(), table.counts[cells].tolist(), strict=True)) == expected


@given(observations())
def test_totals_sum_the_cells_and_every_observation_is_counted_once(data):
    contexts, targets = data
    table = count(contexts, targets)
    assert table.contexts.shape == (table.ncontexts, contexts.shape[1])
    assert table.counts.sum() == table.totals.sum() == len(targets)
    assert_array_equal(np.bincount(table.row_of_cell, weights=table.counts), table.totals)


@given(observations())
def test_every_observation_finds_its_context_and_its_cell(data):
    contexts, targets = data
    table = count(contexts, targets)
    rows = table.find_contexts(list(contexts.T), len(targets))
    assert_array_equal(table.contexts[rows], contexts)
    cells = table.find_cells(rows, targets)
    assert_array_equal(table.tokens[cells], targets)
    assert_array_equal(table.row_of_cell[cells], rows)


@given(observations(), st.data())
def test_what_never_occurred_is_not_found(data, draws):
    contexts, targets = data
    lags = contexts.shape[1]
    table = count(contexts, targets)
    seen = set(map(tuple, contexts.tolist()))
    query = draws.draw(st.lists(st.tuples(*[st.integers(0, SIZE - 1)] * lags), min_size=1, max_size=20))
    found = table.find_contexts(list(np.array(query, np.int64).reshape(len(query), lags).T), len(query))
    assert [row >= 0 for row in found.tolist()] == [context in seen for context in query]

    pairs = set(zip(map(tuple, contexts.tolist()), targets.tolist(), strict=True))
    for token in range(SIZE):
        cells = table.find_cells(found, np.full(len(query), token))
        assert [cell >= 0 for cell in cells.tolist()] == [(context, token) in pairs for context in query]


@pytest.mark.parametrize("lags", [5, 8])
def test_contexts_wider_than_a_key_are_found(lags):
    # 17 bits a token: four columns fill a key, so the search takes several levels.
    rng = np.random.default_rng(1)
    contexts = rng.integers(2**17 - 1, size=(500, lags))
    contexts[250:, 1:] = contexts[:250, 1:]  # contexts that differ in their last token only
    targets = rng.integers(2**17 - 1, size=500)
    table = count(contexts, targets, 2**17)
    assert_array_equal(table.contexts[table.find_contexts(list(contexts.T), 500)], contexts)
    other = contexts.copy()
    other[:, -1] = 2**17 - 1
    assert (table.find_contexts(list(other.T), 500) == -1).all()


def test_without_observations_nothing_is_found():
    nothing = np.zeros(0, np.int64)
    table = ContextTable.count([nothing], nothing, SIZE)
    assert (table.ncontexts, table.ncells, len(table.totals)) == (0, 0, 0)
    assert table.find_contexts([np.array([0, 1])], 2).tolist() == [-1, -1]


def test_the_table_of_a_corpus_counts_its_bigrams_by_hand():
    corpus = Corpus.from_tokens([["a", "b", "a"], ["b"]], eos=True)
    a, b, eos, bos = (corpus.vocabulary.ids_of([t])[0] for t in ("a", "b", "<eos>", "<bos>"))
    table = ContextTable.count(corpus.context_columns(1), corpus.targets, corpus.vocabulary.nids)
    cells = zip(table.contexts[table.row_of_cell, 0].tolist(), table.tokens.tolist(), table.counts.tolist(), strict=True)
    assert {(c, t): n for c, t, n in cells} == {(bos, a): 1, (bos, b): 1, (a, b): 1, (a, eos): 1, (b, a): 1, (b, eos): 1}
