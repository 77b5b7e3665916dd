"""attention: adjoints by central differences, extremes, and the fast forms against NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.kernels.attention import MOST_BEHAVIORS, cpu, reference

FORMS = pytest.mark.parametrize("kernels", forms("attention"))


def central(function, x, d_out, direction):
    ends = [np.sum(function(x + h * direction) * d_out) for h in (1e-6, -1e-6)]
    return (ends[0] - ends[1]) / 2e-6


def check_adjoint(function, inputs, gradients, d_out, rng):
    """Every input's gradient against central differences in a random direction."""
    for place, (x, gradient) in enumerate(zip(inputs, gradients, strict=True)):
        direction = rng.normal(size=x.shape)

        def of(value, place=place):
            return function(*inputs[:place], value, *inputs[place + 1 :])

        exact = np.sum(gradient * direction)
        assert central(of, x, d_out, direction) == pytest.approx(exact, rel=1e-6)


def test_adjoints_by_central_differences():
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=size) for size in ((7, 5), (7, 3), (3, 5, 5))]
    d_t = rng.normal(size=(7, 5))
    gradients = reference.memory_adjoint(d_t, *inputs)
    check_adjoint(reference.memory, inputs, gradients, d_t, rng)
    qkv, d_o = rng.normal(size=(12, 12)), rng.normal(size=(12, 4))
    gradient = reference.attend_adjoint(d_o, qkv, 3, 2)
    check_adjoint(lambda x: reference.attend(x, 3, 2), [qkv], [gradient], d_o, rng)
    g, o, d_y = (rng.normal(size=size) for size in ((12, 1), (12, 4), (4, 4)))
    gradients = reference.pool_adjoint(d_y, g, o, 3)
    check_adjoint(lambda g, o: reference.pool(g, o, 3), [g, o], gradients, d_y, rng)


@FORMS
def test_a_row_has_the_matrix_that_its_open_slots_mix(kernels):
    rng = np.random.default_rng(1)
    x, p, R = (rng.normal(size=size) for size in ((9, 6), (9, 4), (4, 6, 6)))
    p[3] = -1  # all slots closed
    t = kernels.memory(x, p, R)
    for row in range(9):
        matrix = np.tensordot(np.maximum(p[row], 0), R, 1)
        np.testing.assert_allclose(t[row], x[row] @ matrix, rtol=1e-12, atol=1e-13)
    assert not t[3].any()


@FORMS
def test_a_closed_slot_hides_what_is_infinite_and_an_open_one_shows_what_is_not_a_number(kernels):
    x, R = np.full((3, 2), np.inf), np.ones((2, 2, 2))
    p = np.array([[-1.0, 0.0], [1.0, -1.0], [np.nan, -1.0]])
    t = kernels.memory(x, p, R)
    assert not t[0].any()
    assert np.isinf(t[1]).all()
    assert np.isnan(t[2]).all()


@FORMS
def test_one_behaviour_attends_to_itself_and_far_scores_choose_one(kernels):
    rng = np.random.default_rng(2)
    qkv = rng.normal(size=(5, 12))
    np.testing.assert_allclose(kernels.attend(qkv, 1, 2), qkv[:, 8:], rtol=1e-15)
    qkv = rng.normal(size=(2, 3)).astype(np.float32)
    qkv[:, 0], qkv[:, 1] = 100, [100, -100]
    np.testing.assert_allclose(kernels.attend(qkv, 2, 1), qkv[[0, 0], 2:])
    g, o = np.array([[1000], [-1000]], np.float32), rng.normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_allclose(kernels.pool(g, o, 2), o[:1])


@FORMS
def test_a_prediction_is_a_network_over_the_product_of_two_rows(kernels):
    """x = (2, 3), hidden relu(x W + b) = (5, 0), and what it adds to x is weighed by v."""
    left, right = np.array([[2.0, 1.0], [0.0, 0.0]]), np.array([[1.0, 3.0]])
    W, b = np.array([[1.0, 0.0], [1.0, -1.0]]), np.array([0.0, -4.0])
    v, c = np.array([[1.0], [10.0]]), np.array([0.5])
    scores = kernels.predict(left, right, W, b, v, c)
    np.testing.assert_allclose(scores, [[(5 + 2) + 10 * (0 + 3) + 0.5], [0.5]])


@pytest.mark.parametrize("kernels", forms("attention", "reference", "cpu", "emulator"))
def test_more_behaviours_than_the_kernels_take_are_an_error(kernels):
    count = MOST_BEHAVIORS + 1
    with pytest.raises(ValueError, match="1 to 8 behaviours, not 9"):
        kernels.attend(np.ones((count, 3)), count, 1)
    with pytest.raises(ValueError, match="1 to 8 behaviours, not 9"):
        kernels.pool(np.ones((count, 1)), np.ones((count, 1)), count)


def everything(kernels, seed, n, behaviors, slots, heads, width, dtype):
    """Results of all entry points on random numbers, by name."""
    rng, d = np.random.default_rng(seed), heads * width
    rows = n * behaviors

    def draw(*shape):
        return rng.normal(size=shape).astype(dtype)

    x, d_t, p, R = draw(rows, d), draw(rows, d), draw(rows, slots), draw(slots, d, d)
    p[rng.random(rows) < 0.3] = -1
    qkv, g, d_y = draw(rows, 3 * d), draw(rows, 1), draw(n, d)
    d_x, d_p, d_R = kernels.memory_adjoint(d_t, x, p, R)
    d_g, d_o = kernels.pool_adjoint(d_y, g, x, behaviors)
    left, W, b, v, c = (draw(*shape) for shape in ((3, d), (d, d), (d,), (d, 1), (1,)))
    left[left < 0] = 0
    return {
        "memory": kernels.memory(x, p, R),
        "attend": kernels.attend(qkv, behaviors, heads),
        "d_qkv": kernels.attend_adjoint(d_t, qkv, behaviors, heads),
        "pool": kernels.pool(g, x, behaviors),
        "predict": kernels.predict(left, x, W, b, v, c),
        "d_x": d_x,
        "d_p": d_p,
        "d_R": d_R,
        "d_g": d_g,
        "d_o": d_o,
    }


@pytest.mark.parametrize("kernels", forms("attention", "cpu", "emulator", "gpu"))
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 9, 70, 130]),
    behaviors=st.sampled_from([1, 2, 3, 8]),
    slots=st.sampled_from([1, 3, 8]),
    heads=st.sampled_from([1, 2, 3]),
    width=st.sampled_from([1, 5, 16, 32, 40]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_fast_forms_equal_numpy(kernels, seed, n, behaviors, slots, heads, width, dtype):
    sizes = (seed, n, behaviors, slots, heads, width, dtype)
    wanted = everything(reference, *sizes)
    # sums of that many products of unit size, in another order
    d = heads * width
    terms = {"d_R": max(n * behaviors, 1), "d_p": d**2, "predict": d**2}
    for name, found in everything(kernels, *sizes).items():
        assert found.shape == wanted[name].shape, name
        assert found.dtype == dtype, name
        bound = 8 * np.finfo(dtype).eps * terms.get(name, slots * d)
        largest = np.abs(wanted[name]).max(initial=1)
        assert np.abs(found - wanted[name]).max(initial=0) <= bound * largest, name


def test_threads_change_no_bit():
    results, before = [], numba.get_num_threads()
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        results.append(everything(cpu, 3, 700, 3, 4, 2, 16, np.float32))
    numba.set_num_threads(before)
    for name, found in results[0].items():
        assert found.tobytes() == results[1][name].tobytes(), name
