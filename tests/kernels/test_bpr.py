"""bpr: value and gradient against closed forms, extremes, and the fast forms against NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.kernels.bpr import cpu, reference

FORMS = pytest.mark.parametrize("kernels", forms("bpr"))
FAST = pytest.mark.parametrize("kernels", forms("bpr", "cpu", "emulator", "gpu"))


@FORMS
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradient_by_central_differences(kernels, reduction):
    scores = np.random.default_rng(0).normal(size=14) * 3
    _, d_scores = kernels.bpr(scores, reduction)
    for i in range(len(scores)):
        ends = []
        for h in (1e-6, -1e-6):
            moved = scores.copy()
            moved[i] += h
            ends.append(float(kernels.bpr(moved, reduction)[0]))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(d_scores[i], rel=1e-6, abs=1e-9)


@FORMS
def test_equal_scores_give_the_logarithm_of_two(kernels):
    loss, d_scores = kernels.bpr(np.zeros(6))
    assert float(loss) == pytest.approx(np.log(2))
    np.testing.assert_allclose(d_scores, [-1 / 6] * 3 + [1 / 6] * 3)
    assert loss.shape == ()
    assert loss.dtype == np.float64


@FORMS
def test_extremes_neither_overflow_nor_vanish_on_the_wrong_side(kernels):
    loss, d_scores = kernels.bpr(np.array([1e4, -1e4, 0, 0], np.float32), "sum")
    assert float(loss) == pytest.approx(1e4)
    np.testing.assert_allclose(d_scores, [0, -1, 0, 1])
    loss, _ = kernels.bpr(np.array([np.nan, 0], np.float32))
    assert np.isnan(loss)


@FORMS
def test_no_rows(kernels):
    loss, d_scores = kernels.bpr(np.empty(0, np.float32))
    assert float(loss) == 0
    assert d_scores.shape == (0,)


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 7, 1023, 1024, 1025, 5000]),
    size=st.sampled_from([1e-3, 1.0, 50.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
    reduction=st.sampled_from(["mean", "sum"]),
)
def test_fast_forms_equal_numpy(kernels, seed, n, size, dtype, reduction):
    scores = (np.random.default_rng(seed).normal(size=2 * n) * size).astype(dtype)
    before = scores.copy()
    loss, d_scores = kernels.bpr(scores, reduction)
    wanted, d_wanted = reference.bpr(scores, reduction)
    assert float(loss) == pytest.approx(float(wanted), rel=1e-12)
    assert d_scores.dtype == dtype
    # exp(x) of two forms differs by the rounding of an exponent of up to a few hundred
    rtol = 8 * np.finfo(dtype).eps + 1e-13
    np.testing.assert_allclose(d_scores, d_wanted, rtol=rtol, atol=1e-300)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("kernels", forms("bpr", "emulator", "gpu"))
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("n", "share"), [(1, 0.0), (1, 1.0), (40, 0.3), (1500, 0.8), (0, 0.0)])
def test_slots_are_the_rows_that_are_there(kernels, reduction, n, share):
    rng = np.random.default_rng(2)
    scores = rng.normal(size=2 * n).astype(np.float32)
    there = rng.random(n) < share
    present = np.where(np.tile(there, 2), 7, -1).astype(np.int32)
    loss, d_scores = kernels.bpr_slots(scores, present, np.array(there.sum(), np.int32), reduction)
    wanted, d_wanted = reference.bpr(scores[np.tile(there, 2)], reduction)
    assert float(loss) == pytest.approx(float(wanted), rel=1e-12)
    np.testing.assert_allclose(d_scores[np.tile(there, 2)], d_wanted, rtol=1e-6)
    assert np.all(d_scores[~np.tile(there, 2)] == 0)


def test_threads_change_no_bit():
    scores = np.random.default_rng(1).normal(size=20000).astype(np.float32)
    results = []
    before = numba.get_num_threads()
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        results.append(cpu.bpr(scores))
    numba.set_num_threads(before)
    assert float(results[0][0]) == float(results[1][0])
    assert results[0][1].tobytes() == results[1][1].tobytes()
