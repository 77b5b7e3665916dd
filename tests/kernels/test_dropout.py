"""dropout: what stays, how much, that both directions of an edge agree, and forms bit for bit."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import emulator, forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.data.dataset import Csr
from pkef_fast.graph.adjacency import adjacency, one_sided
from pkef_fast.kernels.dropout import EDGES, ENTRIES, cpu, cuda, key_for, reference, threshold
from pkef_fast.kernels.propagate import cuda as propagate_cuda
from pkef_fast.kernels.propagate import reference as propagate
from pkef_fast.kernels.sample.reference import philox4x32

EACH = pytest.mark.parametrize("kernels", forms("dropout"))
FAST = pytest.mark.parametrize("kernels", forms("dropout", "cpu", "emulator", "gpu"))
U, I = 40, 30


def graph(seed=0, share=0.3, dtype=np.float64, normalization="symmetric"):
    seen = np.random.default_rng(seed).random((U, I)) < share
    seen[3], seen[:, 5] = False, False  # somebody and something without edges
    rows, columns = np.nonzero(seen)
    indptr = np.searchsorted(rows, np.arange(U + 1)).astype(np.int32)
    return adjacency(Csr(indptr, columns.astype(np.int32)), I, normalization, dtype=dtype)


def dense(pattern):
    """The 0/1 table of a pattern; −1 is no edge."""
    table = np.zeros((U + I, U + I), bool)
    rows = np.repeat(np.arange(U + I), np.diff(pattern.indptr))
    there = pattern.indices >= 0
    table[rows[there], pattern.indices[there]] = True
    return table


# ---- entries ------------------------------------------------------------------------------------


def test_an_entry_by_hand():
    """Entry e has word e mod 4 of counter ⌊e/4⌋."""
    x = np.arange(1.0, 12.0).reshape(1, 11)
    found = reference.entries(x, 0.5, seed=7, step=3, stream=2)
    for e in range(11):
        counter = np.array([[e // 4, 0, 3, 2]], np.uint32)
        word = philox4x32(counter, key_for(7, ENTRIES))[0, e % 4]
        assert found[0, e] == (2 * x[0, e] if word >= 2**31 else 0)
    assert 0 < np.count_nonzero(found) < 11


@EACH
def test_the_share_that_stays_and_the_mean(kernels):
    """Of 40,000 entries 8,000 ± 5·80 go; what stays is scaled so that the mean stays."""
    x = np.ones((625, 64))
    y = kernels.entries(x, 0.2, 1, 0)
    gone = np.count_nonzero(y == 0)
    assert abs(gone - 8000) < 400
    np.testing.assert_allclose(y[y != 0], 1.25, rtol=1e-15)


@EACH
def test_step_stream_and_seed_each_choose_anew(kernels):
    x = np.ones((50, 8), np.float32)
    first = kernels.entries(x, 0.5, 1, 2, 3)
    np.testing.assert_array_equal(kernels.entries(x, 0.5, 1, 2, 3), first)
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4), (1 + 2**32, 2, 3)):
        assert not np.array_equal(kernels.entries(x, 0.5, *other), first)


@EACH
def test_a_rate_of_zero_changes_nothing_and_what_goes_is_zero_even_if_it_was_no_number(kernels):
    x = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    np.testing.assert_array_equal(kernels.entries(x, 0.0, 1, 2), x)
    broken = kernels.entries(np.full_like(x, np.nan), 0.5, 1, 2)
    np.testing.assert_array_equal(broken == 0, kernels.entries(np.ones_like(x), 0.5, 1, 2) == 0)


def test_a_rate_is_a_share_below_one():
    assert threshold(0.25) == 2**30
    for rate in (-0.1, 1.0, 2.0):
        with pytest.raises(ValueError, match=f"rate {rate} is out of range"):
            threshold(rate)


@FAST
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    shape=st.sampled_from([(0, 3), (1, 1), (1, 3), (5, 5), (33, 64), (400, 7)]),
    rate=st.sampled_from([0.0, 0.1, 0.5, 0.99]),
    step=st.integers(0, 2**32 - 1),
    stream=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_entries_of_fast_forms_are_numpys(kernels, seed, shape, rate, step, stream, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    found = kernels.entries(x, rate, seed, step, stream)
    wanted = reference.entries(x, rate, seed, step, stream)
    np.testing.assert_array_equal(found, wanted, strict=True)


# ---- edges --------------------------------------------------------------------------------------


def test_an_edge_by_hand():
    """An edge has word 0 of the counter of its two nodes, the smaller first."""
    whole = graph()
    found, key = dense(reference.edges(whole, 0.4, 7, 3, 2)), key_for(7, EDGES)
    for n, m in zip(*np.nonzero(dense(whole)), strict=True):
        counter = np.array([[min(n, m), max(n, m), 3, 2]], np.uint32)
        assert found[n, m] == (philox4x32(counter, key)[0, 0] >= threshold(0.4))


@EACH
def test_both_directions_of_an_edge_go_together_and_the_share_is_right(kernels):
    whole = graph()
    thin = kernels.edges(whole, 0.3, 1, 2)
    table, full = dense(thin), dense(whole)
    np.testing.assert_array_equal(table, table.T)
    assert not (table & ~full).any()
    edges = np.count_nonzero(full) / 2
    gone = edges - np.count_nonzero(table) / 2
    assert abs(gone - 0.3 * edges) < 5 * np.sqrt(edges * 0.21)
    np.testing.assert_allclose(thin.scale_out, whole.scale_out / 0.7, rtol=1e-15)
    np.testing.assert_array_equal(thin.scale_in, whole.scale_in)
    assert not np.array_equal(dense(kernels.edges(whole, 0.3, 1, 3)), table)
    assert not np.array_equal(dense(kernels.edges(whole, 0.3, 1, 2, 1)), table)


@EACH
def test_the_two_sides_of_a_graph_lose_the_same_edges(kernels):
    to_users, to_items = one_sided(graph(), U)
    one, two = (dense(kernels.edges(side, 0.5, 1, 2)) for side in (to_users, to_items))
    np.testing.assert_array_equal(one, two.T)
    assert 0 < np.count_nonzero(one) < len(to_users.indices)


@EACH
@pytest.mark.parametrize("normalization", ["left", "symmetric"])
def test_what_is_thinned_and_transposed_is_the_transpose(kernels, normalization):
    whole = graph(normalization=normalization)
    tables = []
    for pattern in (whole, whole.transposed):
        thin = kernels.edges(pattern, 0.5, 1, 2)
        tables.append(thin.scale_out[:, None] * dense(thin) * thin.scale_in)
        assert not thin.unit_out
    np.testing.assert_allclose(tables[0], tables[1].T, rtol=1e-14)


@FAST
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    share=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    rate=st.sampled_from([0.0, 0.1, 0.5, 0.99]),
    step=st.integers(0, 2**32 - 1),
    stream=st.integers(0, 2**32 - 1),
)
def test_edges_of_fast_forms_are_numpys(kernels, seed, share, rate, step, stream):
    whole = graph(1, share)
    found = kernels.edges(whole, rate, seed, step, stream)
    wanted = reference.edges(whole, rate, seed, step, stream)
    np.testing.assert_array_equal(found.indices[found.indices >= 0], wanted.indices)
    np.testing.assert_array_equal(dense(found), dense(wanted))
    np.testing.assert_array_equal(found.scale_out, wanted.scale_out)


@pytest.mark.emulator
@pytest.mark.parametrize("d", [5, 8, 64])
@pytest.mark.parametrize("segment", [8, 256])
def test_cudas_products_leave_out_what_was_dropped(d, segment, monkeypatch):
    """−1 in a row, in a row that is cut, and where only −1 are left."""
    monkeypatch.setattr(propagate_cuda, "SEGMENT", segment)
    form, products = cuda.Form(emulator()), propagate_cuda.Form(emulator())
    x = np.random.default_rng(2).normal(size=(U + I, d))
    for normalization in ("left", "symmetric"):
        whole = graph(normalization=normalization)
        for rate in (0.3, 0.999):
            found = products.spread(form.edges(whole, rate, 1, 2), x)
            wanted = propagate.spread(reference.edges(whole, rate, 1, 2), x)
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.emulator
def test_cuda_takes_the_step_from_the_devices_clock():
    form, x = cuda.Form(emulator()), np.ones((20, 8), np.float32)
    clock = np.array([5, 9], np.uint32)
    np.testing.assert_array_equal(form.entries(x, 0.5, 1, clock), form.entries(x, 0.5, 1, 9))
    found, wanted = form.edges(graph(), 0.5, 1, clock), form.edges(graph(), 0.5, 1, 9)
    np.testing.assert_array_equal(found.indices, wanted.indices)


def test_threads_change_no_bit():
    x, before, found = np.ones((999, 17)), numba.get_num_threads(), []
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            found.append((cpu.entries(x, 0.5, 1, 2), cpu.edges(graph(), 0.5, 1, 2).indices))
    finally:
        numba.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
