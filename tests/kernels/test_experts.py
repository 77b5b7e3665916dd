"""experts: adjoints by central differences, fast forms against NumPy on random batches."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import emulator, forms
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_rows import assert_near, draw_pairs

from pkef_fast.kernels import Unsupported
from pkef_fast.kernels.experts import Columns, cpu, cuda, reference
from pkef_fast.kernels.pairs import cuda as cuda_pairs
from pkef_fast.kernels.pairs import reference as plain_pairs

EACH = pytest.mark.parametrize("kernels", forms("experts"))
FAST = pytest.mark.parametrize("kernels", forms("experts", "cpu", "emulator", "gpu"))

SCALES = (0.1, 3.0)  # slope, score_scale


def columns_of(rng, n_own, n_shared, width, gated):
    """Columns of a mixture among others that it does not read, and how many there are."""
    gaps = rng.integers(0, 3, 3)
    own = int(gaps[0])
    shared = own + n_own * width + int(gaps[1])
    gate = shared + n_shared * width + int(gaps[2])
    total = gate + n_own + n_shared
    return Columns(own, n_own, shared, n_shared, gate if gated else -1), total


def problem(seed, n_users, n_items, rows, width, n_own, n_shared, dtype, absent=0.0, aligned=False):
    rng = np.random.default_rng(seed)
    gated = bool(rng.integers(2)) or n_own + n_shared > 1
    columns, total = columns_of(rng, n_own, n_shared, width, gated)
    if aligned:  # rows of whole vectors
        columns = Columns(0, n_own, n_own * width, n_shared, (n_own + n_shared) * width)
        total = -(-(columns.gate + columns.count) // 4) * 4
    users, d_users = rng.normal(size=(2, n_users, total)).astype(dtype)
    items, d_items = rng.normal(size=(2, n_items, total)).astype(dtype)
    tower, offset = (rng.normal(size=n).astype(dtype) for n in (width, 1))
    left, right = draw_pairs(rng, n_users, n_items, rows, absent)
    pairs = plain_pairs.index_pairs(left, right, n_users + n_items)
    d_scores = rng.normal(size=rows).astype(dtype)
    return (users, items, tower, offset, pairs, columns), (d_scores, d_users, d_items)


def everything(kernels, *shape, **more):
    """Scores and gradients of a problem, by name; what was in the gradients before counts."""
    inputs, (d_scores, d_users, d_items) = problem(*shape, **more)
    scores, saved = kernels.mixture(*inputs, *SCALES)
    results = {"scores": scores, "gates": saved[0], "parts": saved[1]}
    d_users, d_items = d_users.copy(), d_items.copy()
    results["d_tower"] = kernels.mixture_adjoint(
        d_scores, *inputs, *SCALES, saved, d_users, d_items
    )
    results["d_users"], results["d_items"] = d_users, d_items
    return results


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_users=st.sampled_from([1, 3, 40]),
    n_items=st.sampled_from([1, 5, 70]),
    rows=st.sampled_from([0, 1, 2, 33, 300]),
    width=st.sampled_from([1, 3, 8, 12, 64]),
    experts=st.sampled_from([(0, 1), (1, 0), (0, 3), (1, 2), (2, 1), (2, 6)]),
    dtype=st.sampled_from([np.float32, np.float64]),
    absent=st.sampled_from([0, 0, 0.4, 1]),
    aligned=st.booleans(),
)
def test_fast_forms_equal_numpy(
    kernels, seed, n_users, n_items, rows, width, experts, dtype, absent, aligned
):
    shape = (seed, n_users, n_items, rows, width, *experts)
    more = {"absent": absent, "aligned": aligned}
    found, wanted = (everything(form, *shape, dtype, **more) for form in (kernels, reference))
    assert_near(found, wanted, everything(reference, *shape, np.float64, **more), dtype)


@EACH
@pytest.mark.parametrize("experts", [(0, 1), (0, 3), (2, 1)])
def test_adjoints_by_central_differences(kernels, experts):
    inputs, (d_scores, *_) = problem(3, 4, 5, 14, 3, *experts, np.float64, absent=0.2)
    pairs, columns = inputs[4:]
    _, saved = kernels.mixture(*inputs, *SCALES)
    d_users, d_items = (np.zeros_like(x) for x in inputs[:2])
    d_tower = kernels.mixture_adjoint(d_scores, *inputs, *SCALES, saved, d_users, d_items)
    rng = np.random.default_rng(1)
    for position, gradient in enumerate((d_users, d_items, d_tower)):
        assert np.any(gradient != 0)
        direction, ends = rng.normal(size=gradient.shape), []
        for h in (1e-6, -1e-6):
            moved = list(inputs[:4])
            moved[position] = moved[position] + h * direction
            ends.append(np.sum(kernels.mixture(*moved, pairs, columns, *SCALES)[0] * d_scores))
        numeric = (ends[0] - ends[1]) / 2e-6
        assert numeric == pytest.approx(np.sum(gradient * direction), rel=1e-7)


@EACH
def test_one_pair_by_hand(kernels):
    """Two experts: −1 and 3 under a tower of 2 and slope ½; logits 0 and log 3."""
    users = np.array([[-2.0, 1.0, 0.0, 0.0]])
    items = np.array([[1.0, 2.0, 0.0, np.log(3)]])
    pairs = plain_pairs.index_pairs(np.zeros(1, np.int32), np.ones(1, np.int32), 2)
    inputs = (users, items, np.array([2.0]), np.array([0.5]), pairs, Columns(0, 1, 1, 1, 2))
    scores, (gates, parts) = kernels.mixture(*inputs, 0.5, 10.0)
    np.testing.assert_allclose(parts, [[-1, 6]])
    np.testing.assert_allclose(gates, [[0.25, 0.75]])
    np.testing.assert_allclose(scores, [10 * (-0.25 + 4.5 + 0.5)])


@EACH
def test_extreme_logits(kernels):
    """One gate wins outright; nothing overflows."""
    users = np.array([[1.0, 2.0, 1000.0, -1000.0]], np.float32)
    pairs = plain_pairs.index_pairs(np.zeros(1, np.int32), np.ones(1, np.int32), 2)
    one = np.ones(1, np.float32)
    inputs = (users, users.copy(), one, one, pairs, Columns(0, 0, 0, 2, 2))
    scores, (gates, _) = kernels.mixture(*inputs, 0.1, 1.0)
    assert (gates.tolist(), scores.tolist()) == ([[1, 0]], [3])


@FAST
@pytest.mark.parametrize("aligned", [False, True])
def test_a_node_with_very_many_pairs(kernels, aligned):
    """The whole block works on it."""
    shape = (6, 1, 2, 900, 8, 1, 2)
    found, wanted = (
        everything(form, *shape, np.float64, aligned=aligned) for form in (kernels, reference)
    )
    assert_near(found, wanted, wanted, np.float64)


def test_threads_change_no_bit():
    results = []
    before = numba.get_num_threads()
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        results.append(everything(cpu, 4, 200, 900, 4000, 24, 1, 2, np.float32))
    numba.set_num_threads(before)
    for name, value in results[0].items():
        assert value.tobytes() == results[1][name].tobytes(), name


@EACH
def test_several_experts_need_a_gate(kernels):
    inputs, _ = problem(0, 2, 2, 3, 2, 0, 2, np.float64)
    with pytest.raises(ValueError, match="2 experts need a gate"):
        kernels.mixture(*inputs[:5], Columns(0, 0, 0, 2), *SCALES)


@pytest.mark.emulator
def test_cuda_takes_eight_experts():
    inputs, _ = problem(0, 2, 2, 3, 2, 3, 6, np.float64)
    with pytest.raises(Unsupported, match="at most 8 experts, not 9"):
        cuda.Form(emulator()).mixture(*inputs, *SCALES)


def test_the_numbers_of_the_launcher_are_those_of_the_source():
    header = (cuda.SOURCE.parent.parent / "pairs" / "pairs.cuh").read_text(encoding="utf-8")
    assert f"LANES = {cuda.MAX_EXPERTS};" in header
    assert cuda_pairs.GROUPS * cuda.MAX_EXPERTS == cuda_pairs.THREADS
