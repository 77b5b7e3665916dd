"""adam: each form against its closed first step and the other; the fast forms against NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.kernels.adam import FORMS, bias_corrections, cpu, learning_rate, reference

EACH = pytest.mark.parametrize("kernels", forms("adam"))
FAST = pytest.mark.parametrize("kernels", forms("adam", "cpu", "emulator", "gpu"))
EACH_FORM = pytest.mark.parametrize("form", FORMS)


def state(seed, shape, dtype, magnitude=1.0):
    """(theta, grad, m, v) as after some steps."""
    rng = np.random.default_rng(seed)
    theta, grad, m = (np.asarray(magnitude * rng.normal(size=shape), dtype) for _ in range(3))
    return theta, grad, m, np.asarray(magnitude**2 * rng.random(shape), dtype)


def step(kernels, arrays, **options):
    """(theta, m, v, squares) after a step; the arrays themselves stay."""
    theta, grad, m, v = (None if a is None else a.copy() for a in arrays)
    squares = kernels.update(theta, grad, m, v, **options)
    return theta, m, v, squares


@EACH
@EACH_FORM
def test_the_first_step_in_closed_form(kernels, form):
    """From m = v = 0 the moments cancel: theta −= lr·g/(|g| + ε'), ε' = ε or ε/√(1 − β₂)."""
    theta, grad, *_ = state(0, (7, 3), np.float64)
    zero = np.zeros_like(theta)
    moved, m, v, squares = step(
        kernels, (theta, grad, zero, zero), lr=0.1, step=1, epsilon=0.2, beta2=0.96, form=form
    )
    epsilon = 0.2 if form == "pytorch" else 0.2 / 0.2  # √(1 − 0.96) = 0.2
    np.testing.assert_allclose(moved, theta - 0.1 * grad / (abs(grad) + epsilon), rtol=1e-13)
    np.testing.assert_allclose(m, 0.1 * grad, rtol=1e-13)
    np.testing.assert_allclose(v, 0.04 * grad**2, rtol=1e-13)
    assert squares == pytest.approx(np.sum(theta**2), rel=1e-14)


@EACH
def test_the_forms_differ_by_where_epsilon_stands(kernels):
    arrays = state(1, (50,), np.float64)
    root = np.sqrt(1 - 0.999**7)
    one = step(kernels, arrays, lr=0.1, step=7, epsilon=0.3 * root, form="tensorflow")
    other = step(kernels, arrays, lr=0.1, step=7, epsilon=0.3, form="pytorch")
    np.testing.assert_allclose(one[0], other[0], rtol=1e-13)
    same = step(kernels, arrays, lr=0.1, step=7, epsilon=0.3, form="tensorflow")
    assert abs(same[0] - other[0]).max() > 1e-3


@EACH
@EACH_FORM
def test_the_penalty_is_a_part_of_the_gradient(kernels, form):
    theta, grad, m, v = state(2, (40,), np.float64)
    one = step(kernels, (theta, grad, m, v), lr=0.1, step=3, penalty=0.25, form=form)
    other = step(kernels, (theta, grad + 0.5 * theta, m, v), lr=0.1, step=3, form=form)
    for found, wanted in zip(one, other, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


@EACH
@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_no_gradient_is_a_zero_gradient(kernels, penalty):
    theta, _, m, v = state(3, (40,), np.float32)
    zero = np.zeros_like(theta)
    options = {"lr": 0.1, "step": 3, "penalty": penalty}
    one = step(kernels, (theta, None, m, v), **options)
    other = step(kernels, (theta, zero, m, v), **options)
    for found, wanted in zip(one, other, strict=True):
        np.testing.assert_array_equal(found, wanted)


@EACH
def test_the_gradient_is_only_read(kernels):
    theta, grad, m, v = state(4, (33, 2), np.float32)
    before = grad.copy()
    kernels.update(theta, grad, m, v, lr=0.1, step=1, penalty=0.1)
    assert grad.tobytes() == before.tobytes()


SHAPES = st.sampled_from([(), (1,), (0, 3), (5,), (9, 7), (2, 3, 4), (300, 64), (40_001,)])


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=SHAPES,
    dtype=st.sampled_from([np.float32, np.float64]),
    magnitude=st.sampled_from([1e-6, 1.0, 1e3]),
    number=st.sampled_from([1, 2, 39, 4000]),
    penalty=st.sampled_from([0.0, 1e-2]),
    form=st.sampled_from(FORMS),
)
def test_fast_forms_equal_the_reference(
    kernels, seed, shape, dtype, magnitude, number, penalty, form
):
    arrays = state(seed, shape, dtype, magnitude)
    options = {"lr": 1e-2, "step": number, "penalty": penalty, "form": form}
    truth = step(reference, [a.astype(np.float64) for a in arrays], **options)
    plain = step(reference, arrays, **options)
    found = step(kernels, arrays, **options)
    theta, grad, m, _ = (a.astype(np.float64) for a in arrays)
    # Rounding, in another order than NumPy's, of at most a dozen operations on numbers this large.
    # A difference in m moves theta by |step / m| of it.
    large_m = 0.9 * abs(m) + 0.1 * (abs(grad) + 2 * penalty * abs(theta))
    step_by_m = abs(truth[0] - theta) / abs(truth[1])
    large = abs(theta) + step_by_m * large_m, large_m, truth[2]
    for n, name in enumerate(("theta", "m", "v")):
        one, other, exact, size = found[n], plain[n], truth[n], large[n]
        assert one.dtype == dtype and one.shape == shape, name
        error, own = abs(one - exact), abs(other - exact)
        assert np.all(error <= 2 * own + 12 * np.finfo(dtype).eps * size), name
    assert found[3] == pytest.approx(truth[3], rel=1e-13)


def test_the_result_does_not_depend_on_the_threads():
    arrays = state(5, (100_003,), np.float32)
    results = []
    threads = numba.get_num_threads()
    for number in {1, threads}:
        numba.set_num_threads(number)
        try:
            results.append(step(cpu, arrays, lr=1e-2, step=3, penalty=1e-2))
        finally:
            numba.set_num_threads(threads)
    for result in results:
        assert result[3] == results[0][3]
        for one, other in zip(result[:3], results[0][:3], strict=True):
            assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("kernels", forms("adam", "reference", "cpu"))
@EACH_FORM
def test_a_bowl_is_descended(kernels, form):
    """Minimum of Σ (theta − 3)² + penalty·Σ theta²: theta = 3 / (1 + penalty)."""
    theta = np.zeros(5)
    m, v = np.zeros(5), np.zeros(5)
    for number in range(1, 2001):
        kernels.update(theta, 2 * (theta - 3), m, v, lr=0.02, step=number, penalty=0.5, form=form)
    np.testing.assert_allclose(theta, 2.0, atol=1e-3)


@EACH
def test_a_nan_stays_visible(kernels):
    theta, grad, m, v = state(6, (20,), np.float32)
    grad[11] = np.nan
    squares = kernels.update(theta, grad, m, v, lr=0.1, step=1)
    assert np.isnan(theta[11]) and np.isfinite(np.delete(theta, 11)).all()
    assert np.isfinite(squares)
    assert np.isnan(kernels.update(theta, grad, m, v, lr=0.1, step=2))


@EACH
@pytest.mark.parametrize(
    "change, message",
    [
        ({"form": "keras"}, "form 'keras'"),
        ({"step": 0}, "step 0"),
        ({"grad": np.zeros(4)}, "grad is float64 of shape"),
        ({"m": np.zeros(5, np.float32)}, "m is float32"),
        ({"v": np.zeros(10)[::2]}, "v is not C-contiguous"),
    ],
)
def test_wrong_arguments(kernels, change, message):
    arguments = {name: np.zeros(5) for name in ("theta", "grad", "m", "v")}
    arguments |= {"lr": 0.1, "step": 1, **change}
    arrays = [arguments.pop(name) for name in ("theta", "grad", "m", "v")]
    with pytest.raises(ValueError, match=message):
        kernels.update(*arrays, **arguments)


@pytest.mark.parametrize("kernels", forms("adam", "emulator", "gpu"))
@EACH_FORM
@pytest.mark.parametrize("there", [True, False])
def test_a_scheduled_step_is_that_of_its_number(kernels, form, there):
    """The rates of an epoch lie on the device; the clock says which step it is."""
    theta, grad, m, v = state(7, (9, 5), np.float32)
    grad = grad if there else None
    rates = np.array([bias_corrections(0.1 / n, n, 0.9, 0.999, form) for n in range(3, 8)])
    for index, number in enumerate(range(3, 8)):
        found = [theta.copy(), grad, m.copy(), v.copy()]
        clock = np.array([index, 40 + index], np.uint32)
        squares = kernels.update_scheduled(*found, rates, clock, penalty=0.01)
        wanted = [theta.copy(), grad, m.copy(), v.copy()]
        options = {"lr": 0.1 / number, "step": number, "penalty": 0.01, "form": form}
        assert float(squares) == float(kernels.update(*wanted, **options))
        for one, other in zip(found, wanted, strict=True):
            assert one is other or one.tobytes() == other.tobytes()


def test_the_learning_rate_falls_in_steps():
    rates = [learning_rate(1.0, 0.5, 3, step0) for step0 in range(8)]
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


@FAST
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0,), (1,), (700, 3)])
def test_the_running_average(kernels, dtype, shape):
    """The first step is the parameters; the plain mean until 1/step is less than 1 − decay."""
    values = [state(seed, shape, dtype)[0] for seed in range(6)]
    mean = np.full(shape, 9, dtype)
    kernels.average(values[0], mean, 0.75, 1)
    np.testing.assert_allclose(mean, values[0], rtol=1e-5, atol=1e-6)  # 9 + (θ − 9)
    wanted = mean.astype(np.float64)
    for number, value in enumerate(values[1:], 2):
        true = mean.copy()
        reference.average(value, true, 0.75, number)
        kernels.average(value, mean, 0.75, number)
        np.testing.assert_allclose(mean, true, rtol=4 * np.finfo(dtype).eps, atol=5e-7)
        wanted += (value - wanted) * max(0.25, 1 / number)
    np.testing.assert_allclose(mean, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kernels", forms("adam", "emulator", "gpu"))
def test_the_clock_says_which_step_enters_the_average(kernels):
    theta = state(2, (300,), np.float32)[0]
    for count in (0, 2, 50):
        found, wanted = np.ones(300, np.float32), np.ones(300, np.float32)
        kernels.average_scheduled(theta, found, 0.9, np.array([0, count], np.uint32))
        reference.average(theta, wanted, 0.9, count + 1)
        # a fused multiply-add rounds once: where theta cancels the average, that is all there is
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=5e-7)
