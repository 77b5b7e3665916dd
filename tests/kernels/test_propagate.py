"""propagate: finite differences, agreement of all forms, isolated nodes, hubs, threads."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import emulator, forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.data.dataset import Csr
from pkef_fast.graph.adjacency import adjacency
from pkef_fast.kernels.propagate import FUSION_SOURCES, FUSIONS, cpu, cuda, reference
from pkef_fast.kernels.propagate.narrow import narrow

NORMALIZATIONS = ("left", "right", "symmetric")
EACH = pytest.mark.parametrize("kernels", forms("propagate"))
FAST = pytest.mark.parametrize("kernels", forms("propagate", "cpu", "emulator", "gpu"))


def pattern(rng, n_users, n_items, density) -> Csr:
    dense = rng.random((n_users, n_items)) < density
    users, items = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))])
    return Csr(indptr.astype(np.int32), items.astype(np.int32))


def weights(rng, fusion, d, dtype):
    shapes = {"linear": ((d, d), (d,)), "vanilla": ((4 * d, 4), (4,))}.get(fusion)
    if shapes is None:
        return None, None
    return tuple((rng.normal(size=shape) / np.sqrt(d)).astype(dtype) for shape in shapes)


def problem(seed, n_users, n_items, d, density, normalization, self_loops, fusion, dtype):
    rng = np.random.default_rng(seed)
    graph = adjacency(
        pattern(rng, n_users, n_items, density), n_items, normalization, self_loops, dtype
    )
    p, z, p_sum, z_sum = rng.normal(size=(4, n_users + n_items, d)).astype(dtype)
    return (
        graph,
        (None if fusion == "none" else p),
        z,
        p_sum,
        z_sum,
        *weights(rng, fusion, d, dtype),
    )


def run(kernels, problem, fusion, source, merged, begins=False, seed=1):
    """All outputs and gradients of one layer, by name."""
    graph, p, z, p_sum, z_sum, weight, bias = problem
    if merged:
        p = z
    # Running sums come in, or begin with the inputs themselves.
    p_sum, z_sum = (p, z) if begins else (p_sum.copy(), z_sum.copy())
    p_out, z_out, p_sum, z_sum, saved = kernels.layer(
        graph, p, z, p_sum, z_sum, fusion, source, 0.3, weight, bias
    )
    d = np.random.default_rng(seed).normal(size=(4, *z.shape)).astype(z.dtype)
    d_p, d_z, d_p_sum, d_z_sum = d
    if fusion == "none":
        d_p = d_p_sum = None
    gradients = kernels.layer_adjoint(
        graph, d_p, d_z, d_p_sum, d_z_sum, saved, fusion, source, 0.3, weight, bias, merged, begins
    )
    names = ("p", "z", "p_sum", "z_sum", "d_p", "d_z", "d_weight", "d_bias")
    values = (p_out, z_out, p_sum, z_sum, *gradients)
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


@pytest.mark.parametrize("source", FUSION_SOURCES)
@pytest.mark.parametrize(
    ("fusion", "merged"),
    # without a parallel stream there is nothing to merge
    [(f, merged) for f in FUSIONS for merged in (False, True) if not (merged and f == "none")],
)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("self_loops", [False, True])
@pytest.mark.parametrize("begins", [False, True])
def test_finite_differences_of_the_reference(
    normalization, self_loops, fusion, source, merged, begins
):
    one = problem(0, 5, 7, 3, 0.25, normalization, self_loops, fusion, np.float64)
    graph, p, z, p_sum, z_sum, weight, bias = one
    rng = np.random.default_rng(1)
    d_out = rng.normal(size=(4, *z.shape))

    def value(inputs):
        p, z, weight, bias = inputs
        p = z if merged else p
        sums = (p, z) if begins else (p_sum.copy(), z_sum.copy())
        *outputs, _ = reference.layer(graph, p, z, *sums, fusion, source, 0.3, weight, bias)
        pairs = zip(outputs, d_out, strict=True)
        return sum(np.sum(out * d) for out, d in pairs if out is not None)

    gradients = run(reference, one, fusion, source, merged, begins)
    if fusion == "none":  # p_sum is then never touched: run passes no gradient for it
        gradients.pop("d_p", None)
    inputs = [p, z, weight, bias]
    for position, name in enumerate(("d_p", "d_z", "d_weight", "d_bias")):
        if name not in gradients:
            continue
        direction = rng.normal(size=inputs[position].shape)
        h = 1e-6
        ends = []
        for sign in (1, -1):
            moved = list(inputs)
            moved[position] = moved[position] + sign * h * direction
            ends.append(value(moved))
        numeric = (ends[0] - ends[1]) / (2 * h)
        exact = np.sum(gradients[name] * direction)
        assert numeric == pytest.approx(exact, rel=1e-6, abs=1e-7), name


def assert_agrees(found, wanted, dtype, name):
    """Rounding of a row's sum of at most a few dozen terms, in another order: 64 units."""
    bound = 64 * np.finfo(dtype).eps * max(np.abs(wanted).max(initial=0), 1)
    assert found.shape == wanted.shape, name
    assert np.abs(found - wanted).max(initial=0) <= bound, name


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_users=st.integers(1, 40),
    n_items=st.integers(1, 40),
    d=st.sampled_from([1, 3, 8, 17, 64]),
    density=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    normalization=st.sampled_from(NORMALIZATIONS),
    self_loops=st.booleans(),
    fusion=st.sampled_from(FUSIONS),
    source=st.sampled_from(FUSION_SOURCES),
    merged=st.booleans(),
    begins=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_fast_forms_equal_the_reference(
    kernels,
    seed,
    n_users,
    n_items,
    d,
    density,
    normalization,
    self_loops,
    fusion,
    source,
    merged,
    begins,
    dtype,
):
    merged = merged and fusion != "none"
    one = problem(seed, n_users, n_items, d, density, normalization, self_loops, fusion, dtype)
    fast = run(kernels, one, fusion, source, merged, begins)
    truth = run(reference, one, fusion, source, merged, begins)
    assert fast.keys() == truth.keys()
    # Projections divide by ⟨c,c⟩ + ε, which for a nearly zero message magnifies rounding; compare
    # such rows by the float64 truth only where the message is not tiny.
    for name, value in truth.items():
        assert np.all(np.isfinite(fast[name])), name
        if fusion == "projection" and dtype == np.float32:
            scale = np.abs(value).max(initial=1)
            np.testing.assert_allclose(fast[name], value, rtol=2e-3, atol=2e-5 * scale)
        else:
            scale = 1 if dtype == np.float32 else 1e3
            assert_agrees(fast[name] / scale, value / scale, dtype, name)


@EACH
def test_isolated_nodes_have_zero_messages_and_pass_none(kernels):
    graph = adjacency(Csr(np.array([0, 1, 1], np.int32), np.array([0], np.int32)), 2)
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    assert np.all(kernels.spread(graph, x)[[1, 3]] == 0)
    _, z_out, *_, saved = kernels.layer(graph, x, x + 1, None, None, "projection", "state", 0.3)
    np.testing.assert_array_equal(z_out[[1, 3]], (x + 1)[[1, 3]])
    d_p, d_z, *_ = kernels.layer_adjoint(
        graph, None, x, None, None, saved, "projection", "state", 0.3
    )
    np.testing.assert_array_equal(d_p[[1, 3]], np.zeros((2, 5)))
    np.testing.assert_array_equal(d_z[[1, 3]], x[[1, 3]])


@FAST
@pytest.mark.parametrize("d", [1, 4, 12, 130, 132, 200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hubs_and_wide_rows(kernels, d, dtype, monkeypatch):
    """Rows that are cut into segments, and rows of several vectors a lane or too wide for them."""
    monkeypatch.setattr(cuda, "SEGMENT", 8)
    for seed, (fusion, source) in enumerate(
        [("projection", "state"), ("summation", "message"), ("none", "state")]
    ):
        one = problem(seed, 6, 31, d, 0.8, "symmetric", True, fusion, dtype)
        for merged in (False, fusion != "none"):
            fast = run(kernels, one, fusion, source, merged, merged)
            truth = run(reference, one, fusion, source, merged, merged)
            for name, value in truth.items():
                assert_agrees(fast[name] / 16, value / 16, dtype, name)


@pytest.mark.parametrize("kernels", forms("propagate", "emulator"))
@pytest.mark.parametrize(("stored", "bits"), [("bfloat16", 8), ("float16", 11)])
def test_tables_in_16_bits_round_only_what_neighbour_sums_read(kernels, stored, bits):
    graph, _, z, *_ = one = problem(2, 9, 14, 8, 0.4, "left", False, "projection", np.float32)
    narrow = cuda.Form(emulator())
    narrow_graph = graph._replace(storage=stored)
    rounded = np.ldexp(np.rint(np.ldexp(z, bits - np.frexp(z)[1])), np.frexp(z)[1] - bits)
    assert np.any(rounded != z)
    found = narrow.spread(narrow_graph, z)
    assert_agrees(found, reference.spread(graph, rounded.astype(np.float32)), np.float32, "y")
    fast = run(narrow, (narrow_graph, *one[1:]), "summation", "state", False)
    truth = run(reference, one, "summation", "state", False)
    for name, value in truth.items():
        error = np.abs(fast[name] - value).max()
        assert error <= 4 * 2.0**-bits * np.abs(value).max(), name
        assert error > 0, name
    odd = problem(2, 9, 14, 6, 0.4, "left", False, "projection", np.float32)
    with pytest.raises(ValueError, match="columns in fours"):
        narrow.spread(odd[0]._replace(storage=stored), odd[2])


def test_bf16_rounds_to_nearest_and_ties_to_even():
    one = np.float32(1)
    step = np.float32(2.0**-7)  # between bfloat16 numbers from 1 to 2
    wanted = {
        one + step / 2: one,  # a tie: the even one is below
        one + 3 * step / 2: one + 2 * step,  # a tie: the even one is above
        one + step / 2 + np.float32(2.0**-23): one + step,
        -(one + 3 * step / 2): -(one + 2 * step),
        np.finfo(np.float32).max: np.float32(np.inf),
        np.float32(1e-45): np.float32(0),  # half the least one is a tie far above this
        np.float32(np.inf): np.float32(np.inf),
        np.float32(0): np.float32(0),
    }
    found = reference.bf16(np.array(list(wanted), np.float32))
    np.testing.assert_array_equal(found, np.array(list(wanted.values()), np.float32))
    assert np.isnan(reference.bf16(np.array([np.nan], np.float32))).all()
    x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    assert np.abs(reference.bf16(x) / x - 1).max() <= 2.0**-8


def widened(stored):
    """bfloat16 numbers in uint16 as float32."""
    return (stored.astype(np.uint32) << 16).view(np.float32)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), special=st.booleans())
def test_tables_are_narrowed_as_the_reference_rounds(seed, special):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2**32, (5, 7), np.uint32).view(np.float32)  # any bits
    if special:
        x[:2] = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-45, 3.4e38], np.float32)
    found, wanted = widened(narrow(x)), reference.bf16(x)
    np.testing.assert_array_equal(found, wanted)  # NaN where NaN
    there = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[there]), np.signbit(wanted[there]))


@pytest.mark.parametrize("d", [1, 17, 24, 64, 100])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("self_loops", [False, True])
def test_bf16_sums_are_exact_sums_of_rounded_tables(d, normalization, self_loops):
    graph, _, x, *_ = problem(d, 30, 40, d, 0.3, normalization, self_loops, "none", np.float32)
    narrow_graph = graph._replace(storage="bfloat16")
    # Rounding what is sent by hand, and sending it over the pattern without scale_in.
    sent = reference.bf16(graph.scale_in[:, None] * x)
    plain = graph._replace(scale_in=np.ones_like(graph.scale_in), unit_in=True)
    found = cpu.spread(narrow_graph, x)
    assert found.tobytes() == cpu.spread(plain, sent).tobytes()
    assert np.any(found != cpu.spread(graph, x))
    assert_agrees(found, reference.spread(narrow_graph, x), np.float32, "y")
    wide = x.astype(np.float64)
    graph64 = narrow_graph._replace(
        scale_in=graph.scale_in.astype(np.float64), scale_out=graph.scale_out.astype(np.float64)
    )
    exact = graph64._replace(storage="exact")
    np.testing.assert_array_equal(cpu.spread(graph64, wide), cpu.spread(exact, wide))


@EACH
@pytest.mark.parametrize("fusion", ["projection", "vanilla", "none"])
@pytest.mark.parametrize("merged", [False, True])
def test_a_bf16_layer_and_its_adjoint(kernels, fusion, merged):
    """All forms near the reference's; and near the exact layer, but not it."""
    one = problem(6, 9, 14, 8, 0.4, "left", False, fusion, np.float32)
    rounded = (one[0]._replace(storage="bfloat16"), *one[1:])
    merged = merged and fusion != "none"
    found = run(kernels, rounded, fusion, "state", merged)
    truth = run(reference, rounded, fusion, "state", merged)
    exact = run(reference, one, fusion, "state", merged)
    for name, value in truth.items():
        # CUDA rounds before it scales: another error of half a unit of 8 bits a term, which the
        # projection's quotient and the weights' sums over rows pass on.
        scale = np.abs(value).max()
        assert np.abs(found[name] - value).max() <= 2.0**-5 * scale, name
        error = np.abs(found[name] - exact[name]).max()
        assert error <= 2.0**-5 * scale, name
        assert error > 0 or (fusion == "none" and name == "p_sum"), name


def test_a_merged_layer_equals_two_equal_tables():
    one = problem(3, 9, 4, 6, 0.4, "left", False, "projection", np.float64)
    graph, _, z, *_ = one
    apart = cpu.layer(graph, z.copy(), z, None, None, "projection", "message", 0.3)
    merged = cpu.layer(graph, z, z, None, None, "projection", "message", 0.3)
    for a, b in zip(apart[:2], merged[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_no_threads_change_no_bit():
    one = problem(5, 300, 200, 24, 0.05, "left", True, "vanilla", np.float32)
    results = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            results.append(run(cpu, one, "vanilla", "message", False))
        finally:
            numba.set_num_threads(before)
    for name, value in results[0].items():
        assert value.tobytes() == results[1][name].tobytes(), name


@EACH
def test_inputs_stay_as_they_are(kernels):
    one = problem(7, 6, 5, 4, 0.5, "symmetric", False, "projection", np.float64)
    graph, p, z, *_ = one
    before = p.copy(), z.copy()
    *_, saved = kernels.layer(graph, p, z, p, z, "projection", "message", 1.0)
    d = np.ones_like(z)
    kernels.layer_adjoint(graph, d, d, d, d, saved, "projection", "message", 1.0)
    np.testing.assert_array_equal(p, before[0])
    np.testing.assert_array_equal(z, before[1])
    np.testing.assert_array_equal(d, np.ones_like(z))


@FAST
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 30),
    d=st.sampled_from([1, 5, 64]),
    zero=st.booleans(),
)
def test_project_and_its_adjoint(kernels, seed, n, d, zero):
    rng = np.random.default_rng(seed)
    a, c, d_out = rng.normal(size=(3, n, d))
    if zero:
        c[::2] = 0
    out, r, inverse = kernels.project(a, c)
    for found, wanted in zip((out, r, inverse), reference.project(a, c), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    found = kernels.project_adjoint(d_out, a, c, r, inverse)
    wanted = reference.project_adjoint(d_out, a, c, r, inverse)
    for f, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(f, w, rtol=1e-10, atol=1e-10)
        if zero:
            assert np.all(f[::2] == 0) or np.all(np.isfinite(f))


@EACH
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_users=st.integers(1, 40),
    n_items=st.integers(1, 40),
    d=st.sampled_from([1, 3, 8, 17, 64]),
    density=st.sampled_from([0.0, 0.05, 0.3]),
    normalization=st.sampled_from(NORMALIZATIONS),
    self_loops=st.booleans(),
    layers=st.integers(0, 4),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_layers_add_up(
    kernels, seed, n_users, n_items, d, density, normalization, self_loops, layers, dtype
):
    """Against the powers of a dense matrix; the inputs stay, and the result is a new array."""
    rng = np.random.default_rng(seed)
    graph = adjacency(
        pattern(rng, n_users, n_items, density), n_items, normalization, self_loops, dtype
    )
    x = rng.normal(size=(n_users + n_items, d)).astype(dtype)
    one = reference.spread(graph, np.eye(len(x), dtype=dtype)).astype(np.float64)
    wanted = term = x.astype(np.float64)
    for _ in range(layers):
        term = one @ term
        wanted = wanted + term
    before = x.copy()
    found = kernels.layer_sum(graph, x, layers)
    scale = max(np.abs(wanted).max(initial=0), 1)
    assert_agrees(found / scale, (wanted / scale).astype(dtype), dtype, "y")
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(found, x)


@EACH
def test_the_layer_sum_of_the_transposed_is_its_adjoint(kernels):
    rng = np.random.default_rng(3)
    for normalization in NORMALIZATIONS:
        graph = adjacency(pattern(rng, 8, 6, 0.4), 6, normalization, True, np.float64)
        x, y = rng.normal(size=(2, 14, 3))
        left = np.sum(kernels.layer_sum(graph, x, 3) * y)
        right = np.sum(x * kernels.layer_sum(graph.transposed, y, 3))
        assert left == pytest.approx(right, rel=1e-12)


@EACH
def test_the_sums_of_an_isolated_node_are_itself(kernels):
    graph = adjacency(Csr(np.array([0, 1, 1], np.int32), np.array([0], np.int32)), 2, "symmetric")
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_array_equal(kernels.layer_sum(graph, x, 3)[[1, 3]], x[[1, 3]])


def test_bf16_layers_add_up_but_for_what_neighbours_read():
    """Each layer rounds what it sends by 2⁻⁸ of it at most."""
    rng = np.random.default_rng(5)
    graph = adjacency(pattern(rng, 20, 15, 0.3), 15, "symmetric")
    x = rng.normal(size=(35, 64)).astype(np.float32)
    found = cpu.layer_sum(graph._replace(storage="bfloat16"), x, 2)
    exact = cpu.layer_sum(graph, x, 2)
    sent = reference.layer_sum(graph, np.abs(x), 2)  # bounds the sums of what is sent
    assert np.any(found != exact)
    assert np.all(np.abs(found - exact) <= 2 * 2.0**-8 * sent)


def test_spread_transposed_is_the_adjoint():
    rng = np.random.default_rng(0)
    for normalization in NORMALIZATIONS:
        graph = adjacency(pattern(rng, 8, 6, 0.4), 6, normalization, True, np.float64)
        x, y = rng.normal(size=(2, 14, 3))
        left = np.sum(cpu.spread(graph, x) * y)
        right = np.sum(x * cpu.spread(graph.transposed, y))
        assert left == pytest.approx(right, rel=1e-12)
