"""gate: adjoints by central differences, extremes, and the fast forms against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.kernels.gate import reference


def central(function, x, d_out, direction):
    ends = [np.sum(function(x + h * direction) * d_out) for h in (1e-6, -1e-6)]
    return (ends[0] - ends[1]) / 2e-6


def test_adjoints_by_central_differences():
    rng = np.random.default_rng(0)
    x, d_y, direction = rng.normal(size=(3, 5, 4))
    gradient = reference.softmax_adjoint(d_y, reference.softmax(x))
    numeric = central(reference.softmax, x, d_y, direction)
    assert numeric == pytest.approx(np.sum(gradient * direction), rel=1e-7)
    weights, parts, d_mix = (rng.normal(size=s) for s in ((5, 3), (3, 5, 2), (5, 2)))
    d_weights, d_parts = reference.mix_adjoint(d_mix, weights, parts)
    step = rng.normal(size=weights.shape)
    numeric = central(lambda w: reference.mix(w, parts), weights, d_mix, step)
    assert numeric == pytest.approx(np.sum(d_weights * step), rel=1e-7)
    step = rng.normal(size=parts.shape)
    numeric = central(lambda p: reference.mix(weights, p), parts, d_mix, step)
    assert numeric == pytest.approx(np.sum(d_parts * step), rel=1e-7)


def test_the_adjoint_of_shares_by_central_differences():
    rng = np.random.default_rng(1)
    counts, weights, d_y = (
        rng.integers(0, 9, (6, 3)) * 1.0,
        rng.normal(size=3),
        rng.normal(size=(6, 3)),
    )
    counts[2] = 0
    y = reference.shares(counts, weights)
    np.testing.assert_array_equal(y[2], 0)
    np.testing.assert_allclose(np.delete(y, 2, 0).sum(axis=1), 1, rtol=1e-6)
    gradient, direction = reference.shares_adjoint(d_y, counts, y, weights), rng.normal(size=3)
    numeric = central(lambda w: reference.shares(counts, w), weights, d_y, direction)
    assert numeric == pytest.approx(np.sum(gradient * direction), rel=1e-6)


@pytest.mark.parametrize("kernels", forms("gate", "cpu", "emulator", "gpu"))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "s"), [(0, 3), (1, 1), (9, 2), (700, 8)])
def test_shares_of_fast_forms_equal_numpy(kernels, n, s, dtype):
    rng = np.random.default_rng(2)
    counts, weights = rng.integers(0, 40, (n, s)).astype(dtype), 1 + rng.random(s).astype(dtype)
    d_y, y = rng.normal(size=(n, s)).astype(dtype), reference.shares(counts, weights)
    np.testing.assert_allclose(
        kernels.shares(counts, weights), y, rtol=8 * np.finfo(dtype).eps, strict=True
    )
    found = kernels.shares_adjoint(d_y, counts, y, weights)
    wanted = reference.shares_adjoint(d_y, counts, y, weights)
    assert (found.shape, found.dtype) == ((s,), dtype)
    # a sum of n terms of about unit size in another order
    np.testing.assert_allclose(found, wanted, atol=16 * np.finfo(dtype).eps * max(n, 1))


@pytest.mark.parametrize("kernels", forms("gate"))
def test_softmax_of_extremes(kernels):
    x = np.array([[1000, 0, -1000], [-1000, -1000, -1000]], np.float32)
    np.testing.assert_allclose(kernels.softmax(x), [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)


@pytest.mark.parametrize("kernels", forms("gate", "cpu", "emulator", "gpu"))
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 9, 130]),
    s=st.integers(1, 8),
    d=st.sampled_from([1, 5, 64]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_fast_forms_equal_numpy(kernels, seed, n, s, d, dtype):
    rng = np.random.default_rng(seed)
    shapes = ((n, s), (n, s), (n, s), (s, n, d), (n, d))
    x, d_x, weights, parts, d_y = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    found = [kernels.softmax(x), kernels.softmax_adjoint(d_x, x), kernels.mix(weights, parts)]
    wanted = [reference.softmax(x), reference.softmax_adjoint(d_x, x)]
    wanted += [reference.mix(weights, parts)]
    found += kernels.mix_adjoint(d_y, weights, parts)
    wanted += reference.mix_adjoint(d_y, weights, parts)
    # sums of up to max(s, d) products of unit size in another order
    bound = 8 * np.finfo(dtype).eps * max(s, d)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        assert one.dtype == dtype
        assert np.abs(one - other).max(initial=0) <= bound * np.abs(other).max(initial=1)
