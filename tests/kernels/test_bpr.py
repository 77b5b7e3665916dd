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


def losses(kernels, reduction, negatives, groups):
    """The two losses as functions of scores alone."""
    groups = np.array(groups, np.int32)
    return (
        lambda scores: kernels.bpr(scores, reduction, negatives),
        lambda scores: kernels.softmax(scores, groups, reduction, negatives),
    )


@FORMS
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("negatives", [1, 3])
@pytest.mark.parametrize("which", [0, 1], ids=["bpr", "softmax"])
def test_gradient_by_central_differences(kernels, which, negatives, reduction):
    loss = losses(kernels, reduction, negatives, [0, 3, 3, 4, 7])[which]
    scores = np.random.default_rng(0).normal(size=7 * (1 + negatives)) * 3
    _, d_scores = loss(scores)
    for i in range(len(scores)):
        ends = []
        for h in (1e-6, -1e-6):
            moved = scores.copy()
            moved[i] += h
            ends.append(float(loss(moved)[0]))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(d_scores[i], rel=1e-6, abs=1e-8)


@FORMS
def test_the_softmax_is_the_cross_entropy_of_each_group(kernels):
    scores = np.array([1.0, -2.0, 0.5, 0.0, 3.0, -1.0])  # two positives, two negatives of each
    loss, d_scores = kernels.softmax(scores, np.array([0, 2], np.int32), "sum", 2)
    negatives = np.exp(scores[2:]).sum()
    chances = np.exp(scores[:2]) / (np.exp(scores[:2]) + negatives)
    assert float(loss) == pytest.approx(-np.log(chances).sum())
    np.testing.assert_allclose(d_scores[:2], chances - 1)
    assert d_scores.sum() == pytest.approx(0)
    assert loss.shape == ()
    assert loss.dtype == np.float64


@FORMS
def test_a_softmax_over_one_negative_is_bpr(kernels):
    scores = np.random.default_rng(4).normal(size=40)
    one_each = np.arange(21, dtype=np.int32)
    for found, wanted in zip(kernels.softmax(scores, one_each), reference.bpr(scores), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


@FORMS
def test_equal_scores_give_the_logarithm_of_two(kernels):
    loss, d_scores = kernels.bpr(np.zeros(6))
    assert float(loss) == pytest.approx(np.log(2))
    np.testing.assert_allclose(d_scores, [-1 / 6] * 3 + [1 / 6] * 3)
    assert loss.shape == ()
    assert loss.dtype == np.float64


@FORMS
@pytest.mark.parametrize("which", [0, 1], ids=["bpr", "softmax"])
def test_extremes_neither_overflow_nor_vanish_on_the_wrong_side(kernels, which):
    loss, d_scores = losses(kernels, "sum", 1, [0, 1, 2])[which](
        np.array([1e4, -1e4, 0, 0], np.float32)
    )
    assert float(loss) == pytest.approx(1e4)
    np.testing.assert_allclose(d_scores, [0, -1, 0, 1])
    loss, _ = losses(kernels, "mean", 1, [0, 1])[which](np.array([np.nan, 0], np.float32))
    assert np.isnan(loss)
    loss, _ = losses(kernels, "mean", 1, [0, 1])[which](np.array([0, np.nan], np.float32))
    assert np.isnan(loss)


@FORMS
@pytest.mark.parametrize("negatives", [1, 3])
def test_the_hinge_is_what_misses_the_margin_over_the_count(kernels, negatives):
    scores = np.random.default_rng(5).normal(size=7 * (1 + negatives))
    loss, d_scores = kernels.hinge(scores, 3, negatives)
    rows = scores.reshape(1 + negatives, 7)
    missed = 1 - rows[0] + rows[1:]
    assert float(loss) == pytest.approx(missed.clip(0).sum() / 3)
    assert loss.shape == ()
    assert loss.dtype == np.float64
    np.testing.assert_allclose(d_scores[7:], (missed > 0).reshape(-1) / 3)
    np.testing.assert_allclose(d_scores[:7], -(missed > 0).sum(axis=0) / 3)
    for i in range(len(scores)):
        ends = []
        for h in (1e-6, -1e-6):
            moved = scores.copy()
            moved[i] += h
            ends.append(float(kernels.hinge(moved, 3, negatives)[0]))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(d_scores[i], abs=1e-8)


@FORMS
def test_the_hinge_at_the_margin_and_beyond_numbers(kernels):
    loss, d_scores = kernels.hinge(np.array([1.0, 1e300, 0.0, 0.0]), 1)
    assert float(loss) == 0
    assert not d_scores.any()
    for broken in ([np.nan, 0.0], [0.0, np.nan]):
        assert np.isnan(kernels.hinge(np.array(broken, np.float32), 1)[0])
    loss, d_scores = kernels.hinge(np.empty(0, np.float32), 0)
    assert float(loss) == 0
    assert d_scores.shape == (0,)


@FORMS
@pytest.mark.parametrize("negatives", [1, 2])
def test_no_rows(kernels, negatives):
    for one in losses(kernels, "mean", negatives, [0]):
        loss, d_scores = one(np.empty(0, np.float32))
        assert float(loss) == 0
        assert d_scores.shape == (0,)


@FAST
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 7, 1023, 1024, 1025, 5000]),
    size=st.sampled_from([1e-3, 1.0, 50.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
    reduction=st.sampled_from(["mean", "sum"]),
    negatives=st.sampled_from([1, 2, 5]),
)
def test_fast_forms_equal_numpy(kernels, seed, n, size, dtype, reduction, negatives):
    rng = np.random.default_rng(seed)
    scores = (rng.normal(size=(1 + negatives) * n) * size).astype(dtype)
    before = scores.copy()
    groups = np.append(0, np.sort(rng.integers(0, n + 1, 40))).clip(0, n)
    groups[-1] = n
    found = losses(kernels, reduction, negatives, groups)
    truth = losses(reference, reduction, negatives, groups)
    found += (lambda scores: kernels.hinge(scores, n // 3, negatives),)
    truth += (lambda scores: reference.hinge(scores, n // 3, negatives),)
    for one, true in zip(found, truth, strict=True):
        loss, d_scores = one(scores)
        wanted, d_wanted = true(scores)
        assert float(loss) == pytest.approx(float(wanted), rel=1e-12)
        assert d_scores.dtype == dtype
        # exp(x) of two forms differs by the rounding of an exponent of up to a few hundred
        rtol = 8 * np.finfo(dtype).eps + 1e-12
        # a GPU flushes what is below the least normal float32 to zero
        atol = 1e-300 if dtype == np.float64 else np.finfo(dtype).tiny
        np.testing.assert_allclose(d_scores, d_wanted, rtol=rtol, atol=atol)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("kernels", forms("bpr", "emulator", "gpu"))
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("negatives", [1, 3])
@pytest.mark.parametrize("width", [1, 40])
@pytest.mark.parametrize(("n", "share"), [(1, 0.0), (1, 1.0), (3, 0.3), (37, 0.8), (0, 0.0)])
def test_slots_are_the_rows_that_are_there(kernels, reduction, negatives, width, n, share):
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(1 + negatives) * n * width).astype(np.float32)
    there = rng.random(n * width) < share
    all_there = np.tile(there, 1 + negatives)
    present = np.where(all_there, 7, -1).astype(np.int32)
    count = np.array(there.sum(), np.int32)
    groups = np.append(0, np.cumsum(there.reshape(n, width).sum(axis=1)))
    found = (
        kernels.bpr_slots(scores, present, count, reduction, negatives),
        kernels.softmax_slots(scores, present, count, width, reduction, negatives),
    )
    found += (kernels.hinge_slots(scores, present, np.array(3, np.int32), negatives),)
    truth = losses(reference, reduction, negatives, groups)
    truth += (lambda scores: reference.hinge(scores, 3, negatives),)
    for (loss, d_scores), true in zip(found, truth, strict=True):
        wanted, d_wanted = true(scores[all_there])
        assert float(loss) == pytest.approx(float(wanted), rel=1e-12)
        np.testing.assert_allclose(d_scores[all_there], d_wanted, rtol=1e-6)
        assert np.all(d_scores[~all_there] == 0)


@pytest.mark.parametrize("which", [0, 1], ids=["bpr", "softmax"])
def test_threads_change_no_bit(which):
    loss = losses(cpu, "mean", 1, np.arange(0, 10001, 5))[which]
    scores = np.random.default_rng(1).normal(size=20000).astype(np.float32)
    results = []
    before = numba.get_num_threads()
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        results.append(loss(scores))
    numba.set_num_threads(before)
    assert float(results[0][0]) == float(results[1][0])
    assert results[0][1].tobytes() == results[1][1].tobytes()
