"""neighbours: against dense matrices in float64, and the forms against each other, bit by bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.kernels.neighbours import REACH, Stacked, reference
from pkef_fast.kernels.rows import offsets

EACH = pytest.mark.parametrize("kernels", forms("neighbours", "reference", "cpu"))


def stacked(matrices):
    """The rows of K dense 0/1 matrices (K, R, C), interleaved."""
    K, n_rows, n_columns = matrices.shape
    by_row = matrices.transpose(1, 0, 2).reshape(n_rows * K, n_columns)
    rows, columns = np.nonzero(by_row)
    return Stacked(offsets(np.bincount(rows, minlength=len(by_row))), columns.astype(np.int32))


def roots(one, dtype):
    return (1 / np.sqrt(np.maximum(np.diff(one.indptr), 1))).astype(dtype)


def two_hop_arguments(seed, n_users, n_items, n_behaviors, density, dtype=np.float32):
    matrices = np.random.default_rng(seed).random((n_behaviors, n_users, n_items)) < density
    by_user, by_item = stacked(matrices), stacked(matrices.transpose(0, 2, 1))
    return matrices, (by_user, by_item, roots(by_user, dtype), roots(by_item, dtype), n_behaviors)


def touch_arguments(seed, n_users, n_items, density, n_times, dtype=np.float32):
    """Each user's touched items at random times, many of them equal where `n_times` is small."""
    random = np.random.default_rng(seed)
    users, items = np.nonzero(random.random((n_users, n_items)) < density)
    times = random.integers(n_times, size=len(users)) / 4
    order = np.lexsort((items, times, users))
    users, items, times = users[order].astype(np.int32), items[order].astype(np.int32), times[order]
    counts = np.bincount(items, minlength=n_items)
    item_roots = (1 / np.sqrt(np.maximum(counts, 1))).astype(dtype)
    by_item = np.argsort(items, kind="stable")
    indptr = offsets(np.bincount(users, minlength=n_users))
    return indptr, users, items, times, offsets(counts), by_item, item_roots


def test_the_reference_finds_the_largest_of_dense_sums():
    matrices, arguments = two_hop_arguments(0, 30, 20, 3, 0.2, np.float64)
    degrees = [np.maximum(matrices.sum(axis=axis, keepdims=True), 1) for axis in (1, 2)]
    normal = matrices / np.sqrt(degrees[0]) / np.sqrt(degrees[1])
    T = np.array([[a.T @ b for b in normal] for a in normal])
    total = T.sum(axis=(0, 1))
    np.fill_diagonal(total, 0)
    counts, items, values = reference.two_hop(*arguments, 5)
    for i in range(20):
        near = items[i, : counts[i]]
        assert np.all(np.diff(near) > 0)
        assert len(near) == min(5, np.count_nonzero(total[i]))
        assert total[i, near].min() >= np.delete(total[i], near).max() - 1e-12
        np.testing.assert_allclose(values[i, : counts[i]], T[:, :, i, near].reshape(9, -1).T)
        assert np.all(items[i, counts[i] :] == 20)
        assert not values[i, counts[i] :].any()


def test_the_reference_sums_what_is_near_in_time():
    arguments = touch_arguments(0, 12, 9, 0.7, 40, np.float64)
    indptr, _, items, times, item_indptr, _, _ = arguments
    S = np.zeros((9, 9))
    for first, end in pairwise(indptr):
        for p in range(first, end):
            for q in range(first, end):
                if p != q:
                    S[items[p], items[q]] += (1 + abs(times[p] - times[q])) ** -2
    S /= np.sqrt(np.outer(np.diff(item_indptr), np.diff(item_indptr)))
    mates, strength = reference.soon_after(*arguments, 4)
    for i in range(9):
        np.testing.assert_allclose(strength[i], S[i, mates[i]])
        assert strength[i].min() >= np.delete(S[i], mates[i]).max() - 1e-12


@EACH
def test_of_equal_sums_the_lowest_numbers_are_kept(kernels):
    everything = np.ones((1, 4, 9), bool)
    by_user, by_item = stacked(everything), stacked(everything.transpose(0, 2, 1))
    half, third = np.full(4, 0.5, np.float32), np.full(9, 0.5, np.float32)
    counts, items, _ = kernels.two_hop(by_user, by_item, half, third, 1, 3)
    assert items.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], *[[0, 1, 2]] * 6]
    assert counts.tolist() == [3] * 9


@EACH
def test_touches_beyond_the_reach_do_not_count(kernels):
    n = REACH + 5
    places = np.arange(n)
    arguments = np.array([0, n]), 0 * places, places, 0.0 * places, np.arange(n + 1), places
    mates, _ = kernels.soon_after(*arguments, np.ones(n, np.float32), n)
    assert set(mates[0].tolist()) == {*range(1, REACH + 1), n}


@pytest.mark.parametrize("kernels", forms("neighbours", "cpu"))
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_users=st.sampled_from([0, 1, 7, 40]),
    n_items=st.sampled_from([1, 2, 9, 130]),
    n_behaviors=st.integers(1, 4),
    density=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    most=st.sampled_from([1, 3, 200]),
)
def test_the_forms_find_the_same_bits(kernels, seed, n_users, n_items, n_behaviors, density, most):
    _, arguments = two_hop_arguments(seed, n_users, n_items, n_behaviors, density)
    one, other = (form.two_hop(*arguments, most) for form in (kernels, reference))
    for a, b in zip(one, other, strict=True):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    for n_times in (1, 5, 1000):
        arguments = touch_arguments(seed, n_users, n_items, density, n_times)
        one, other = (form.soon_after(*arguments, most) for form in (kernels, reference))
        for a, b in zip(one, other, strict=True):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
