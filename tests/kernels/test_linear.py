"""linear: adjoints by central differences, and the fast forms against NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import emulator, forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.kernels.linear import KINDS, cpu, cuda, reference

EACH = pytest.mark.parametrize("kernels", forms("linear"))
FAST = pytest.mark.parametrize("kernels", forms("linear", "cpu", "emulator", "gpu"))


def directional(function, inputs, gradients, d_out, rng):
    """Compare ⟨gradient, direction⟩ to a central difference, input by input."""
    for position, gradient in enumerate(gradients):
        direction = rng.normal(size=inputs[position].shape)
        ends = []
        for h in (1e-6, -1e-6):
            moved = list(inputs)
            moved[position] = moved[position] + h * direction
            ends.append(np.sum(function(*moved) * d_out))
        exact = np.sum(gradient * direction)
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(exact, rel=1e-6, abs=1e-8)


def test_affine_adjoint_by_central_differences():
    rng = np.random.default_rng(0)
    x, weight, bias, d_y = (rng.normal(size=s) for s in ((5, 3), (3, 4), (4,), (5, 4)))
    gradients = reference.affine_adjoint(d_y, x, weight)
    directional(reference.affine, (x, weight, bias), gradients, d_y, rng)


def test_gram_adjoint_by_central_differences():
    rng = np.random.default_rng(6)
    x, d_y = rng.normal(size=(5, 3)), rng.normal(size=(3, 3))  # d_y is not symmetric
    gradient = reference.gram_adjoint(d_y, x)
    directional(reference.gram, (x,), (gradient,), d_y, rng)


@FAST
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "a"), [(0, 3), (1, 1), (33, 5), (200, 64), (1300, 17)])
def test_gram_of_fast_forms_equals_numpy(kernels, n, a, dtype):
    rng = np.random.default_rng(7)
    x, d_y = rng.normal(size=(n, a)).astype(dtype), rng.normal(size=(a, a)).astype(dtype)
    bound = 4 * np.finfo(dtype).eps * max(n, a)
    for found, wanted in (
        (kernels.gram(x), reference.gram(x)),
        (kernels.gram_adjoint(d_y, x), reference.gram_adjoint(d_y, x)),
    ):
        assert (found.shape, found.dtype) == (wanted.shape, dtype)
        assert np.abs(found - wanted).max(initial=0) <= bound * np.abs(wanted).max(initial=1)


@pytest.mark.parametrize("kind", KINDS)
def test_activation_adjoint_by_central_differences(kind):
    rng = np.random.default_rng(1)
    x, d_y = rng.normal(size=(2, 6, 3))
    y = reference.activate(x, kind)
    gradient = reference.activate_adjoint(d_y, y, kind)
    directional(lambda x: reference.activate(x, kind), (x,), (gradient,), d_y, rng)


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 5, 33, 200]),
    a=st.sampled_from([1, 3, 64]),
    c=st.sampled_from([1, 4, 17]),
    with_bias=st.booleans(),
    need_x=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_affine_of_fast_forms_equals_numpy(kernels, seed, n, a, c, with_bias, need_x, dtype):
    rng = np.random.default_rng(seed)
    x, weight, d_y, bias = (
        rng.normal(size=s).astype(dtype) for s in ((n, a), (a, c), (n, c), (c,))
    )
    pairs = [(kernels.affine(x, weight, bias if with_bias else None),) * 1]
    truth = [(reference.affine(x, weight, bias if with_bias else None),)]
    pairs.append(kernels.affine_adjoint(d_y, x, weight, with_bias, need_x))
    truth.append(reference.affine_adjoint(d_y, x, weight, with_bias, need_x))
    # sums of up to max(n, a) products of unit size in another order
    bound = 4 * np.finfo(dtype).eps * max(n, a, c)
    for found, wanted in zip(sum(pairs, ()), sum(truth, ()), strict=True):
        if wanted is None:
            assert found is None
            continue
        assert found.shape == wanted.shape
        assert found.dtype == dtype
        largest = np.abs(wanted).max(initial=1)
        assert np.abs(found - wanted).max(initial=0) <= bound * largest


@FAST
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(0,), (1,), (7, 3), (2, 3, 5)])
def test_activations_of_fast_forms_equal_numpy(kernels, kind, shape, dtype):
    rng = np.random.default_rng(2)
    x, d_y = (20 * rng.normal(size=(2, *shape))).astype(dtype)
    y = kernels.activate(x, kind)
    tolerance = {"rtol": 16 * np.finfo(dtype).eps, "atol": 1e-30}
    np.testing.assert_allclose(y, reference.activate(x, kind), **tolerance)
    found = kernels.activate_adjoint(d_y, y, kind)
    np.testing.assert_allclose(found, reference.activate_adjoint(d_y, y, kind), **tolerance)
    assert y.dtype == found.dtype == dtype


@FAST
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 9, 33, 700]),
    c=st.sampled_from([1, 5, 33, 64]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_a_bias_is_added_to_each_row_and_its_gradient_is_the_sum_of_the_rows(
    kernels, seed, n, c, dtype
):
    rng = np.random.default_rng(seed)
    x, bias = rng.normal(size=(n, c)).astype(dtype), rng.normal(size=c).astype(dtype)
    found = kernels.shift(x, bias)
    np.testing.assert_array_equal(found, reference.shift(x, bias))
    sums = kernels.column_sums(x)
    assert (sums.shape, sums.dtype, found.dtype) == ((c,), dtype, dtype)
    bound = 4 * np.finfo(dtype).eps * max(n, 1)
    np.testing.assert_allclose(sums, reference.column_sums(x), rtol=0, atol=bound)


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (37, 5)])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_total_adds_in_order_and_makes_a_new_array(kernels, count, shape, dtype):
    parts = list(np.random.default_rng(5).normal(size=(count, *shape)).astype(dtype))
    before = [part.copy() for part in parts]
    found = kernels.total(*parts)
    np.testing.assert_array_equal(found, reference.total(*parts))
    found[...] = 7
    for part, old in zip(parts, before, strict=True):
        np.testing.assert_array_equal(part, old)


@EACH
@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 4), (3, 0), (5, 7)])
def test_stack_puts_rows_below_rows(kernels, n, m):
    a, b = np.arange(2.0 * n).reshape(n, 2), -np.arange(2.0 * m).reshape(m, 2)
    found = kernels.stack(a, b)
    assert found.shape == (n + m, 2)
    np.testing.assert_array_equal(found[:n], a)
    np.testing.assert_array_equal(found[n:], b)
    nodes = np.random.default_rng(1).permutation(n + m).astype(np.int32)
    for some in (nodes, nodes[:3], nodes[:0], np.concatenate([nodes, nodes])):
        np.testing.assert_array_equal(kernels.stack(a, b, some), found[some])


@EACH
def test_zero_is_on_the_flat_side_of_relu_and_nan_stays(kernels):
    x = np.array([0.0, -0.0, 3.0, np.nan], np.float32)
    y = kernels.activate(x, "relu")
    assert np.isnan(y[3])
    np.testing.assert_array_equal(
        kernels.activate_adjoint(np.ones(3, np.float32), y[:3], "relu"), [0, 0, 1]
    )


def tf32(x):
    """x with 10 bits of mantissa, rounded to nearest."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.rint(np.ldexp(mantissa, 11)), exponent - 11)


@pytest.mark.emulator
@pytest.mark.parametrize("sizes", [(1, 1, 1), (70, 9, 5), (130, 64, 65)])
def test_products_on_tensor_cores_round_the_operands_alone(sizes):
    n, a, c = sizes
    rng = np.random.default_rng(4)
    x, weight, bias, d_y = (
        rng.normal(size=s).astype(np.float32) for s in ((n, a), (a, c), (c,), (n, c))
    )
    form = cuda.Form(emulator())
    form.tensor_cores = True
    found = (form.affine(x, weight, bias), *form.affine_adjoint(d_y, x, weight))
    rounded = tf32(x), tf32(weight), bias
    wanted = (
        reference.affine(*rounded),
        *reference.affine_adjoint(tf32(d_y), rounded[0], rounded[1])[:2],
        d_y.sum(axis=0),  # no product
    )
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-5)
    if a > 1:
        assert np.abs(found[0] - reference.affine(x, weight, bias)).max() > 1e-4


def test_threads_change_no_bit():
    rng = np.random.default_rng(3)
    x, d_y = rng.normal(size=(2, 999, 24)).astype(np.float32)
    weight = rng.normal(size=(24, 24)).astype(np.float32)
    results = []
    before = numba.get_num_threads()
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        results.append((*cpu.affine_adjoint(d_y, x, weight), cpu.column_sums(x)))
    numba.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()


# ---- networks over all pairs --------------------------------------------------------------------


def draw_network(seed, parts, shape, further, dtype):
    """The arguments of `network`: which of users, items, product there are; hidden widths."""
    users, items, d, width = shape
    rng = np.random.default_rng(seed)

    def of(*sizes):
        return rng.normal(size=sizes).astype(dtype)

    layers = [(of(a, c), of(c)) for a, c in zip([width, *further], further, strict=False)]
    return (
        of(users, width) if "u" in parts else None,
        of(items, width) if "i" in parts else None,
        (of(users, d), of(items, d), of(d, width)) if "p" in parts else None,
        layers,
        of([width, *further][-1]),
    )


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    parts=st.sampled_from(["ui", "uip", "p", "ip", "up", "i"]),
    users=st.sampled_from([1, 4, 7]),
    items=st.sampled_from([0, 1, 63, 64, 130]),
    d=st.sampled_from([1, 5, 16]),
    width=st.sampled_from([1, 16, 33, 64, 80]),
    further=st.sampled_from([(), (7,), (32, 16)]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_network_of_fast_forms_equals_numpy(
    kernels, seed, parts, users, items, d, width, further, dtype
):
    problem = draw_network(seed, parts, (users, items, d, width), further, dtype)
    found, wanted = kernels.network(*problem), reference.network(*problem)
    assert (found.shape, found.dtype) == (wanted.shape, dtype)
    assert wanted.shape == (users if parts != "i" else 1, items)
    # each layer's sums add up to its width's rounding of its largest number
    largest = np.abs(wanted).max(initial=1)
    bound = 16 * np.finfo(dtype).eps * (d + width + sum(further)) * largest
    assert np.abs(found - wanted).max(initial=0) <= bound


@EACH
def test_network_by_hand(kernels):
    users, items = np.array([[1.0, -2.0]]), np.array([[1.0, 1.0], [-3.0, 4.0]])
    found = kernels.network(users, items, None, (), np.array([10.0, 1.0]))
    np.testing.assert_array_equal(found, [[20, 2]])  # relu(2, −1), relu(−2, 2)
    product = (np.array([[2.0]]), np.array([[3.0], [0.5]]), np.array([[1.0, -1.0]]))
    layers = [(np.array([[1.0], [1.0]]), np.array([-1.0]))]
    found = kernels.network(users, None, product, layers, np.array([2.0]))
    np.testing.assert_array_equal(found, [[12, 2]])  # 2·relu(7 − 1), 2·relu(2 − 1)


@FAST
def test_a_score_of_a_network_depends_on_its_own_user_and_item_alone(kernels):
    problem = draw_network(3, "uip", (9, 140, 16, 48), (20,), np.float32)
    whole = kernels.network(*problem)
    users, items, (left, right, weight), layers, output = problem
    part = kernels.network(users[4:5], items, (left[4:5], right, weight), layers, output)
    np.testing.assert_array_equal(part[0], whole[4])
    some = slice(3, 90)
    part = kernels.network(users, items[some], (left, right[some], weight), layers, output)
    np.testing.assert_array_equal(part, whole[:, some])
