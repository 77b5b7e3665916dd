"""normalise: adjoints by central differences, rows of zeros, and the fast forms against NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.device import device
from pkef_fast.kernels.normalise import FORMS, cpu, reference
from pkef_fast.tape import ops
from pkef_fast.tape.autograd import Tensor

EACH = pytest.mark.parametrize("kernels", forms("normalise"))
FORM = pytest.mark.parametrize("form", FORMS)


def test_by_hand():
    x = np.array([[3.0, 4.0], [0.0, 0.0], [0.3, 0.4]])
    y, inverse = reference.normalise(x, "clamp", 1.0)
    np.testing.assert_allclose(y, [[0.6, 0.8], [0, 0], [0.3, 0.4]])
    np.testing.assert_allclose(inverse, [0.2, 1, 1])
    y, inverse = reference.normalise(x, "smooth", 11.0)  # 11 + √(11 + 25) = 17
    np.testing.assert_allclose(inverse[0], 1 / 17)
    np.testing.assert_allclose(y[0], np.array([3, 4]) / 17)


@FORM
@pytest.mark.parametrize("epsilon", [1e-6, 1.5])
def test_the_adjoint_by_central_differences(form, epsilon):
    """With 1.5 some rows are clamped; of clamped ones too."""
    rng = np.random.default_rng(0)
    x, d_y, direction = rng.normal(size=(3, 9, 3))
    outputs = reference.normalise(x, form, epsilon)
    clamped = np.linalg.norm(x, axis=1) < epsilon
    assert clamped.any() == (epsilon > 1) and not clamped.all()
    gradient = reference.normalise_adjoint(d_y, *outputs, form, epsilon)
    ends = [
        np.sum(reference.normalise(x + h * direction, form, epsilon)[0] * d_y, axis=1)
        for h in (1e-6, -1e-6)
    ]
    exact = np.sum(gradient * direction, axis=1)
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, exact, rtol=1e-6, atol=1e-8)


@FORM
def test_the_operation_passes_the_gradient(form):
    place, rng = device("reference"), np.random.default_rng(1)
    x, d_y = rng.normal(size=(2, 4, 3))
    table = Tensor(x, place, requires_grad=True)
    unit = ops.normalise(table, form=form, epsilon=1e-6)
    wanted, inverse = reference.normalise(x, form, 1e-6)
    np.testing.assert_array_equal(unit.data, wanted)
    (found,) = unit.record.op.adjoint(place.kernels, unit.record.saved, (True,), d_y)
    expected = reference.normalise_adjoint(d_y, wanted, inverse, form, 1e-6)
    np.testing.assert_array_equal(found, expected)


@EACH
@FORM
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_stay_zero_with_a_finite_gradient_and_nan_stays_nan(kernels, form, dtype):
    x = np.zeros((3, 4), dtype)
    x[1], x[2, 1] = 2, np.nan
    with np.errstate(invalid="ignore"):
        y, inverse = kernels.normalise(x, form, 1e-6)
    np.testing.assert_array_equal(y[0], 0)
    np.testing.assert_allclose(y[1], 0.5, rtol=1e-5)
    assert np.isnan(y[2]).all() and np.isnan(inverse[2])
    d_y = np.ones_like(x)
    d_x = kernels.normalise_adjoint(d_y[:1], y[:1], inverse[:1], form, 1e-6)
    length = 1e-6 if form == "clamp" else 1e-6 + 1e-3
    np.testing.assert_allclose(d_x, 1 / length, rtol=1e-5)


@pytest.mark.parametrize("kernels", forms("normalise", "cpu", "emulator", "gpu"))
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 9, 33, 130]),
    d=st.sampled_from([1, 2, 5, 8, 36, 64]),
    form=st.sampled_from(FORMS),
    epsilon=st.sampled_from([1e-12, 1e-6, 1.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_fast_forms_equal_numpy(kernels, seed, n, d, form, epsilon, dtype):
    rng = np.random.default_rng(seed)
    x, d_y = rng.normal(size=(2, n, d)).astype(dtype)
    x[rng.random(n) < 0.2] = 0
    found = kernels.normalise(x, form, epsilon)
    wanted = reference.normalise(x, form, epsilon)
    # sums of up to d products of unit size in another order
    bound = 8 * np.finfo(dtype).eps * d
    for one, other in zip(found, wanted, strict=True):
        assert (one.shape, one.dtype) == (other.shape, dtype)
        np.testing.assert_allclose(one, other, rtol=bound)
    found = kernels.normalise_adjoint(d_y, *wanted, form, epsilon)
    wanted = reference.normalise_adjoint(d_y, *wanted, form, epsilon)
    assert (found.shape, found.dtype) == (x.shape, dtype)
    # a gradient is the difference of two terms, each as large as g / |x|
    scale = np.linalg.norm(d_y, axis=1) * reference.normalise(x, form, epsilon)[1]
    assert (np.abs(found - wanted) <= bound * scale[:, None]).all()


@FORM
def test_the_number_of_threads_changes_no_bit(form):
    rng, before, found = np.random.default_rng(2), numba.get_num_threads(), []
    x, d_y = rng.normal(size=(2, 500, 17)).astype(np.float32)
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            outputs = cpu.normalise(x, form)
            found.append((*outputs, cpu.normalise_adjoint(d_y, *outputs, form)))
    finally:
        numba.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
