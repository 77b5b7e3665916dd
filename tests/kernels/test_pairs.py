"""pairs: adjoints by central differences, fast forms against NumPy on random batches, edges."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_rows import assert_near, draw_pairs

from pkef_fast.kernels.pairs import JOINS, cpu, reference

EACH = pytest.mark.parametrize("kernels", forms("pairs"))
FAST = pytest.mark.parametrize("kernels", forms("pairs", "cpu", "emulator", "gpu"))
CUDA = pytest.mark.parametrize("kernels", forms("pairs", "emulator", "gpu"))

SCORE_SCALE = 2.0


def problem(seed, n_users, n_items, rows, d, dtype, absent=0.0):
    """(x, relation, weights of the rows, left and right ends, d_scores)."""
    rng = np.random.default_rng(seed)
    n = n_users + n_items
    x, relation = rng.normal(size=(n, d)).astype(dtype), rng.normal(size=d).astype(dtype)
    weights = rng.uniform(0, 2, n).astype(dtype)
    ends = draw_pairs(rng, n_users, n_items, rows, absent)
    return x, relation, weights, ends, rng.normal(size=rows).astype(dtype)


def everything(kernels, *shape):
    """All results and gradients of a problem, by name."""
    x, relation, weights, (left, right), d_scores = problem(*shape)
    pairs = kernels.index_pairs(left, right, len(x))
    results = {"owner_ptr": pairs.owner_ptr, "owner_slots": pairs.owner_slots}
    for name, r in (("dot", None), ("bilinear", relation)):
        results[name] = kernels.dot(x, pairs, SCORE_SCALE, r)
        gradients = kernels.dot_adjoint(d_scores, x, pairs, SCORE_SCALE, r)
        results[f"{name} d_x"], results[f"{name} d_relation"] = gradients
    d_y = np.outer(d_scores, relation)
    for how in JOINS:
        results[f"join {how}"] = kernels.join(x, pairs, how)
        results[f"join {how} d_x"] = kernels.join_adjoint(d_y, x, pairs, how)
    results["penalty"] = kernels.penalty(x, weights)
    results["penalty d_x"] = kernels.penalty_adjoint(np.asarray(0.7), x, weights)
    return {name: value for name, value in results.items() if value is not None}


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_users=st.sampled_from([1, 3, 40, 300]),
    n_items=st.sampled_from([1, 5, 70]),
    rows=st.sampled_from([0, 1, 2, 33, 300]),
    d=st.sampled_from([1, 3, 8, 17, 64]),
    dtype=st.sampled_from([np.float32, np.float64]),
    absent=st.sampled_from([0, 0, 0.4, 1]),
)
def test_fast_forms_equal_numpy(kernels, seed, n_users, n_items, rows, d, dtype, absent):
    shape = (seed, n_users, n_items, rows, d)
    found, wanted = (everything(form, *shape, dtype, absent) for form in (kernels, reference))
    assert_near(found, wanted, everything(reference, *shape, np.float64, absent), dtype)


def test_dot_adjoint_by_central_differences():
    x, relation, _, (left, right), d_scores = problem(5, 3, 4, 9, 4, np.float64)
    pairs = reference.index_pairs(left, right, 7)
    gradients = reference.dot_adjoint(d_scores, x, pairs, SCORE_SCALE, relation)
    rng = np.random.default_rng(0)
    for position, gradient in enumerate(gradients):
        direction = rng.normal(size=gradient.shape)
        ends = []
        for h in (1e-6, -1e-6):
            moved = [x, relation]
            moved[position] = moved[position] + h * direction
            ends.append(np.sum(reference.dot(moved[0], pairs, SCORE_SCALE, moved[1]) * d_scores))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(np.sum(gradient * direction), rel=1e-7)


@pytest.mark.parametrize("how", JOINS)
def test_join_adjoint_by_central_differences(how):
    x, relation, _, (left, right), d_scores = problem(5, 3, 4, 9, 4, np.float64)
    pairs, d_y = reference.index_pairs(left, right, 7), np.outer(d_scores, relation)
    gradient = reference.join_adjoint(d_y, x, pairs, how)
    direction = np.random.default_rng(0).normal(size=x.shape)
    ends = [np.sum(reference.join(x + h * direction, pairs, how) * d_y) for h in (1e-6, -1e-6)]
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(np.sum(gradient * direction), rel=1e-7)


@EACH
def test_join_by_hand(kernels):
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
    pairs = kernels.index_pairs(np.array([0, -1, 1], np.int32), np.array([2, -1, 2], np.int32), 3)
    np.testing.assert_array_equal(kernels.join(x, pairs, "sum"), [[6, 8], [0, 0], [8, 10]])
    np.testing.assert_array_equal(kernels.join(x, pairs, "product"), [[5, 12], [0, 0], [15, 24]])
    d_y = np.array([[1, 1], [9, 9], [2, 0]], np.float32)
    found = kernels.join_adjoint(d_y, x, pairs, "product")
    np.testing.assert_array_equal(found, [[5, 6], [10, 0], [7, 2]])
    np.testing.assert_array_equal(
        kernels.join_adjoint(d_y, x, pairs, "sum"), [[1, 1], [2, 0], [3, 1]]
    )


def test_penalty_adjoint_by_central_differences():
    x, _, weights, _, _ = problem(6, 3, 4, 9, 4, np.float64)
    gradient = reference.penalty_adjoint(np.asarray(0.7), x, weights)
    direction = np.random.default_rng(0).normal(size=x.shape)
    ends = [0.7 * reference.penalty(x + h * direction, weights) for h in (1e-6, -1e-6)]
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(np.sum(gradient * direction), rel=1e-7)


@EACH
def test_penalty_by_hand(kernels):
    x = np.array([[3.0, 4.0], [1.0, 0.0], [7.0, 7.0]], np.float32)
    weights = np.array([2.0, 0.5, 0.0], np.float32)
    found = kernels.penalty(x, weights)
    assert (found.shape, found.dtype, float(found)) == ((), np.float64, 25.25)
    d_x = kernels.penalty_adjoint(np.asarray(2.0), x, weights)
    np.testing.assert_array_equal(d_x, [[12, 16], [1, 0], [0, 0]])
    none = np.zeros((0, 2), np.float32)
    assert float(kernels.penalty(none, weights[:0])) == 0
    assert kernels.penalty_adjoint(np.asarray(2.0), none, weights[:0]).shape == (0, 2)


@EACH
def test_a_diverged_row_shows_in_the_penalty(kernels):
    x = np.ones((300, 3), np.float32)
    x[280, 1] = np.nan
    assert np.isnan(kernels.penalty(x, np.ones(300, np.float32)))


@FAST
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_nodes=st.sampled_from([1, 7, 200]),
    lengths=st.lists(st.sampled_from([0, 1, 9, 9, 80]), max_size=4),
    spare=st.integers(0, 3),
    d=st.sampled_from([1, 4, 5]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_compact_and_gather(kernels, seed, n_nodes, lengths, spare, d, dtype):
    rng = np.random.default_rng(seed)
    lists = [rng.integers(-1, n_nodes, length).astype(np.int32) for length in lengths]
    distinct, _ = reference.compact(lists, n_nodes)
    capacity = len(distinct) + spare
    nodes, numbers = kernels.compact(lists, n_nodes, capacity)
    wanted_nodes, wanted_numbers = reference.compact(lists, n_nodes, capacity)
    assert nodes.tolist() == wanted_nodes.tolist() == [*distinct, *[-1] * spare]
    for one, other, original in zip(numbers, wanted_numbers, lists, strict=True):
        assert one.dtype == np.int32
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(nodes[one[original >= 0]], original[original >= 0])
        assert np.all(one[original < 0] == -1)
    tables = list(rng.normal(size=(3, n_nodes, d)).astype(dtype))
    rows = kernels.gather(tables, nodes)
    np.testing.assert_array_equal(rows, reference.gather(tables, nodes))
    assert np.all(rows[:, len(distinct) :] == 0)
    back = kernels.gather_adjoint(rows, nodes, n_nodes)
    for one, other in zip(back, reference.gather_adjoint(rows, nodes, n_nodes), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kernels", forms("pairs", "reference", "cpu"))
def test_compact_without_a_capacity_and_beyond_one(kernels):
    lists = [np.array([5, 3, -1, 5], np.int32), np.array([9], np.int32)]
    nodes, numbers = kernels.compact(lists, 12)
    assert nodes.tolist() == [3, 5, 9]
    assert [one.tolist() for one in numbers] == [[1, 0, -1, 1], [2]]
    with pytest.raises(ValueError, match="3 nodes exceeds the capacity of 2"):
        kernels.compact(lists, 12, 2)


@CUDA
def test_cuda_compacts_to_a_capacity_that_the_shapes_give(kernels):
    lists = [np.array([5, 3, -1, 5], np.int32), np.array([9], np.int32)]
    nodes, numbers = kernels.compact(lists, 12)
    assert nodes.tolist() == [3, 5, 9, -1, -1]
    assert len(kernels.compact(lists, 4 + 6)[0]) == 5
    assert len(kernels.compact([np.zeros(20, np.int32)], 6)[0]) == 6
    nodes, numbers = kernels.compact(lists, 12, 2)  # rows of node 9 are dropped, not misplaced
    assert nodes.tolist() == [3, 5]
    assert [one.tolist() for one in numbers] == [[1, 0, -1, 1], [-1]]


@CUDA
def test_cuda_compacts_many_lists_and_nodes(kernels):
    """More lists than a launch takes, more nodes than a block numbers."""
    rng = np.random.default_rng(1)
    lists = [rng.integers(-1, 20000, 3).astype(np.int32) for _ in range(20)]
    nodes, numbers = kernels.compact(lists, 20000, 60)
    wanted_nodes, wanted = reference.compact(lists, 20000, 60)
    assert nodes.tolist() == wanted_nodes.tolist()
    np.testing.assert_array_equal(np.stack(numbers), np.stack(wanted))


@FAST
@pytest.mark.parametrize("n_nodes", [200, 300, 70000])
def test_ends_are_sorted_whatever_the_number_of_digits(kernels, n_nodes):
    """One, two and three passes of the radix sort, over two of its blocks."""
    rng = np.random.default_rng(n_nodes)
    left, right = draw_pairs(rng, n_nodes // 2, n_nodes - n_nodes // 2, 1500, 0.2)
    found, wanted = (form.index_pairs(left, right, n_nodes) for form in (kernels, reference))
    np.testing.assert_array_equal(found.owner_ptr, wanted.owner_ptr)
    np.testing.assert_array_equal(found.owner_slots, wanted.owner_slots)


def test_threads_change_no_bit():
    results = []
    before = numba.get_num_threads()
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        results.append(everything(cpu, 4, 900, 900, 4000, 24, np.float32))
    numba.set_num_threads(before)
    for name, value in results[0].items():
        assert value.tobytes() == results[1][name].tobytes(), name
