"""Patterns against the same questions asked of dense tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shops import csr_of, dataset, dense

from pkef_fast.data import Csr
from pkef_fast.data import patterns as of


@st.composite
def tables(draw, min_side=0):
    """A table of truth values with more, fewer or as many users as items; sides may be 0."""
    shape = draw(st.tuples(st.integers(min_side, 6), st.integers(min_side, 7)))
    size = shape[0] * shape[1]
    cells = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return np.array(cells, bool).reshape(shape)


@st.composite
def pairs_in(draw, shape):
    """Pairs inside a shape, in any order and with repeats."""
    one = st.tuples(st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1))
    found = draw(st.lists(one, max_size=12)) if min(shape) else []
    return np.array(found, np.int64).reshape(-1, 2).T


def assert_pattern(csr: Csr, table: np.ndarray):
    assert csr.indptr.dtype == csr.indices.dtype == np.int32
    assert all(one.flags.c_contiguous for one in csr)
    wanted = csr_of(table)
    np.testing.assert_array_equal(csr.indptr, wanted.indptr)
    np.testing.assert_array_equal(csr.indices, wanted.indices)


@given(st.data(), st.tuples(st.integers(0, 6), st.integers(0, 7)))
def test_a_pattern_has_each_pair_once_and_in_order(data, shape):
    rows, columns = data.draw(pairs_in(shape))
    table = np.zeros(shape, bool)
    table[rows, columns] = True
    assert_pattern(of.pattern(rows, columns, *shape), table)


def test_pairs_beyond_32_bits_stay_apart():
    n = 2**31 - 1
    csr = of.pattern(np.array([2, 0, 2]), np.array([n - 1, n - 1, 0], np.int32), 3, n)
    assert csr.indptr.tolist() == [0, 1, 1, 3]
    assert csr.indices.tolist() == [n - 1, 0, n - 1]


@given(tables(), st.data())
def test_union_and_what_is_asked_of_one(table, data):
    n_items = table.shape[1]
    other = csr_of(np.roll(table, 1, axis=1))
    csr = csr_of(table)
    assert_pattern(of.union([csr, other], n_items), table | np.roll(table, 1, axis=1))
    rows, columns = np.nonzero(table)
    assert of.row_of_each(csr).tolist() == rows.tolist()
    assert of.keys_of(csr, n_items).tolist() == (rows * n_items + columns).tolist()
    users, items = data.draw(pairs_in(table.shape))
    found = of.contains(csr, users.astype(np.int32), items.astype(np.int32), n_items)
    assert found.tolist() == table[users, items].tolist()


@given(tables(min_side=1), st.data())
def test_less_takes_pairs_and_their_times_out(table, data):
    users, items = data.draw(pairs_in(table.shape))
    wanted = table.copy()
    wanted[users, items] = False
    times = np.arange(table.size).reshape(table.shape)
    kept, left = of.less(csr_of(table), times[table], users, items, table.shape[1])
    assert_pattern(kept, wanted)
    assert left.tolist() == times[wanted].tolist()
    assert of.less(csr_of(table), None, users, items, table.shape[1])[1] is None


@given(tables(min_side=1), st.data())
def test_the_earliest_of_each_pair(table, data):
    rows, columns = np.nonzero(table)
    again = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9)) if len(rows) else []
    order = np.array([*range(len(rows)), *again], np.int64)
    draws = st.lists(st.integers(-(2**60), 2**60), min_size=len(order), max_size=len(order))
    times = np.array(data.draw(draws), np.int64)
    found = of.earliest(csr_of(table), rows[order], columns[order], times, table.shape[1])
    assert found.tolist() == [min(times[order == e]) for e in range(len(rows))]


@given(tables(min_side=1), st.data())
def test_rows_of_some_users_in_any_order_and_twice(table, data):
    users = np.array(data.draw(st.lists(st.integers(0, len(table) - 1), max_size=9)), np.int64)
    found = of.rows_of(csr_of(table), users)
    np.testing.assert_array_equal(dense(found, table.shape[1]), table[users])


def test_a_data_set_without_some_pairs():
    data = dataset()
    none = (np.array([], np.int64),) * 2
    gone = (np.array([1, 2]), np.array([1, 3]))  # the second is not there
    found = of.without(data, [none, none, gone], name="less")
    assert found.name == "less"
    assert found.times is None
    assert found.interactions[2].indices.tolist() == [0, 2, 0]
    for k in (0, 1):
        np.testing.assert_array_equal(found.interactions[k].indices, data.interactions[k].indices)
    with pytest.raises(ValueError, match="zip"):
        of.without(data, [none, gone])
