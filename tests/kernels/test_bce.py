"""bce: value and gradient against closed forms, extremes, and the fast forms against NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.kernels.bce import cpu, reference

FORMS = pytest.mark.parametrize("kernels", forms("bce"))
FAST = pytest.mark.parametrize("kernels", forms("bce", "cpu", "emulator", "gpu"))


@FORMS
def test_gradient_by_central_differences(kernels):
    rng = np.random.default_rng(0)
    scores, labels = 3 * rng.normal(size=7), np.array([1, 0, 1, 0.3, 0, 1, 0.9])
    _, d_scores = kernels.bce(scores, labels)
    for i in range(len(scores)):
        moved = np.tile(scores, (2, 1))
        moved[:, i] += 1e-6, -1e-6
        ends = [float(kernels.bce(one, labels)[0]) for one in moved]
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(d_scores[i], rel=1e-6, abs=1e-8)


@FORMS
def test_it_is_the_cross_entropy_of_the_chances(kernels):
    scores, labels = np.array([0.0, 2.0, -1.0]), np.array([1.0, 0.0, 0.25])
    chances = 1 / (1 + np.exp(-scores))
    wanted = -np.mean(labels * np.log(chances) + (1 - labels) * np.log(1 - chances))
    loss, d_scores = kernels.bce(scores, labels)
    assert float(loss) == pytest.approx(wanted)
    assert (loss.shape, loss.dtype) == ((), np.float64)
    np.testing.assert_allclose(d_scores, (chances - labels) / 3)


@FORMS
def test_extremes_neither_overflow_nor_lose_the_gradient(kernels):
    scores = np.array([1e4, -1e4, 1e4, -1e4], np.float32)
    labels = np.array([1, 0, 0, 1], np.float32)
    loss, d_scores = kernels.bce(scores, labels)
    assert float(loss) == 5e3
    np.testing.assert_array_equal(d_scores, [0, 0, 0.25, -0.25])
    certain, one = np.array([40.0]), np.ones(1)
    assert kernels.bce(certain, one)[1][0] == pytest.approx(-np.exp(-40), rel=1e-9)
    assert kernels.bce(-certain, 0 * one)[1][0] == pytest.approx(np.exp(-40), rel=1e-9)
    assert np.isnan(kernels.bce(np.array([np.nan], np.float32), labels[:1])[0])


@FORMS
def test_no_rows(kernels):
    loss, d_scores = kernels.bce(np.empty(0, np.float32), np.empty(0, np.float32))
    assert float(loss) == 0
    assert d_scores.shape == (0,)


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 7, 1023, 1024, 1025, 5000]),
    size=st.sampled_from([1e-3, 1.0, 50.0]),
    soft=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_fast_forms_equal_numpy(kernels, seed, n, size, soft, dtype):
    rng = np.random.default_rng(seed)
    scores, labels = (size * rng.normal(size=n)).astype(dtype), rng.random(n).astype(dtype)
    labels = labels if soft else np.round(labels)
    before = scores.copy(), labels.copy()
    loss, d_scores = kernels.bce(scores, labels)
    wanted, d_wanted = reference.bce(scores, labels)
    assert float(loss) == pytest.approx(float(wanted), rel=1e-12)
    assert (d_scores.shape, d_scores.dtype) == (scores.shape, dtype)
    # with soft labels the gradient is a difference of two numbers of up to 1/n
    atol = 4 * np.finfo(dtype).eps / max(n, 1) if soft else np.finfo(dtype).tiny
    rtol = 8 * np.finfo(dtype).eps + 1e-12
    np.testing.assert_allclose(d_scores, d_wanted, rtol=rtol, atol=atol)
    for one, other in zip((scores, labels), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kernels", forms("bce", "emulator", "gpu"))
@pytest.mark.parametrize(("n", "share"), [(1, 0.0), (1, 1.0), (33, 0.3), (1500, 0.8), (0, 0.0)])
def test_slots_are_the_rows_that_are_there(kernels, n, share):
    rng = np.random.default_rng(2)
    scores, labels = rng.normal(size=n).astype(np.float32), rng.random(n).astype(np.float32)
    there = rng.random(n) < share
    present = np.where(there, 7, -1).astype(np.int32)
    found = kernels.bce_slots(scores, labels, present, np.array(there.sum(), np.int32))
    wanted, d_wanted = reference.bce(scores[there], labels[there])
    assert float(found[0]) == pytest.approx(float(wanted), rel=1e-12)
    np.testing.assert_allclose(found[1][there], d_wanted, rtol=1e-6)
    assert np.all(found[1][~there] == 0)


def test_threads_change_no_bit():
    rng, before, results = np.random.default_rng(1), numba.get_num_threads(), []
    scores, labels = rng.normal(size=20000).astype(np.float32), rng.random(20000).astype(np.float32)
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            results.append(cpu.bce(scores, labels))
    finally:
        numba.set_num_threads(before)
    assert float(results[0][0]) == float(results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
