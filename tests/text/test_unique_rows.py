from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from statlm.numerics.unique_rows import KEY_BITS, bits_for, dense_rank, unique_rows

WIDTHS, COLUMNS = st.integers(1, 20), st.integers(1, 9)


@st.composite
def tables(draw, widths=WIDTHS, columns=COLUMNS):
    """Rows of few or many distinct values, and the width of their columns."""
    bits = draw(widths)
    ncolumns = draw(columns)
    top = (1 << bits) - 1
    value = st.one_of(st.sampled_from([0, top]), st.integers(0, top))
    rows = draw(st.lists(st.tuples(*[value] * ncolumns), min_size=1, max_size=40))
    repeats = draw(st.lists(st.sampled_from(rows), max_size=40))
    return np.array(rows + repeats, np.int64), bits


def rows_of(found):
    return list(zip(*[column.tolist() for column in found.columns], strict=True))


@given(tables())
def test_counts_are_those_of_a_brute_force_counter_in_lexicographic_order(table):
    array, bits = table
    found = unique_rows(list(array.T), bits)
    expected = sorted(Counter(map(tuple, array.tolist())).items())
    assert rows_of(found) == [row for row, _ in expected]
    assert found.counts.tolist() == [count for _, count in expected]
    assert found.index is None


@given(tables())
def test_the_index_rebuilds_every_row(table):
    array, bits = table
    found = unique_rows(list(array.T), bits, index=True)
    assert found.index.shape == (len(array),)
    assert_array_equal(np.stack(found.columns, axis=1)[found.index], array)
    assert_array_equal(np.bincount(found.index), found.counts)


@given(tables(widths=st.just(17), columns=st.just(8)))
def test_columns_wider_than_a_key_together_are_merged_without_loss(table):
    array, bits = table
    assert 8 * bits > 2 * KEY_BITS  # so that merging happens more than once
    found = unique_rows(list(array.T), bits, index=True)
    assert rows_of(found) == sorted(set(map(tuple, array.tolist())))
    assert_array_equal(np.stack(found.columns, axis=1)[found.index], array)


def test_many_rows_of_eight_wide_columns_agree_with_numpy():
    rng = np.random.default_rng(0)
    array = rng.integers(2**17, size=(2000, 8))[rng.integers(2000, size=20_000)]
    found = unique_rows(list(array.T), 17, index=True)
    expected, index, counts = np.unique(array, axis=0, return_inverse=True, return_counts=True)
    assert_array_equal(np.stack(found.columns, axis=1), expected)
    assert_array_equal(found.counts, counts)
    assert_array_equal(found.index, index.ravel())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int64])
def test_columns_of_any_integer_type_are_left_as_they_were(dtype):
    column = np.array([3, 1, 3], dtype)
    found = unique_rows([column, column], bits_for(4))
    assert rows_of(found) == [(1, 1), (3, 3)]
    assert column.tolist() == [3, 1, 3]


def test_no_row_gives_no_distinct_row():
    found = unique_rows([np.zeros(0, np.int64)] * 2, 5, index=True)
    assert [len(column) for column in found.columns] == [0, 0]
    assert len(found.counts) == 0
    assert len(found.index) == 0


@given(st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=50), st.sampled_from([40, 62, 63]))
def test_dense_ranks_keep_order_and_undo_themselves(keys, bits):
    # 63 bits leave no room for a position beside the key, which takes the slow path.
    keys = np.array(keys, np.int64)
    ranks, unique = dense_rank(keys, bits)
    assert_array_equal(unique, np.unique(keys))
    assert_array_equal(unique[ranks], keys)


@given(st.integers(1, 2**40))
def test_bits_hold_the_largest_integer_and_no_more(size):
    assert size - 1 < 1 << bits_for(size)
    assert size <= 2 or size - 1 >= 1 << (bits_for(size) - 1)
