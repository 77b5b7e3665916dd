"""pme: adjoints by central differences, fast forms against NumPy on random batches, edge cases."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import emulator, forms
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_rows import assert_near, draw_pairs

from pkef_fast.kernels.pairs import cuda as cuda_pairs
from pkef_fast.kernels.pairs import reference as plain_pairs
from pkef_fast.kernels.pme import cpu, cuda, reference

EACH = pytest.mark.parametrize("kernels", forms("pme"))
FAST = pytest.mark.parametrize("kernels", forms("pme", "cpu", "emulator", "gpu"))
CUDA = pytest.mark.parametrize("kernels", forms("pme", "emulator", "gpu"))

SCALES = (0.3, 2.0)  # projection_scale, score_scale


def problem(seed, n_users, n_items, rows, d, n_behaviors, dtype, absent=0.0):
    rng = np.random.default_rng(seed)
    nodes = n_users + n_items
    tables = rng.normal(size=(n_behaviors, nodes, d)).astype(dtype)
    weight = rng.normal(size=(2 * d, n_behaviors)).astype(dtype) / np.sqrt(d).astype(dtype)
    bias = rng.normal(size=n_behaviors).astype(dtype)
    d_scores = rng.normal(size=rows).astype(dtype)
    return tables, weight, bias, draw_pairs(rng, n_users, n_items, rows, absent), d_scores


def everything(kernels, seed, n_users, n_items, rows, d, n_behaviors, dtype, absent=0.0):
    """All scores and gradients of a problem, by name."""
    tables, weight, bias, (left, right), d_scores = problem(
        seed, n_users, n_items, rows, d, n_behaviors, dtype, absent
    )
    pairs = plain_pairs.index_pairs(left, right, tables.shape[1])
    k = seed % n_behaviors
    results = {}
    for level in ("side", "interaction"):
        gated = getattr(kernels, f"gated_{level}")
        settings_ = (tables, n_users, k, weight, bias, pairs, *SCALES)
        scores, saved = gated(*settings_)
        results[f"gated {level}"], results[f"gates {level}"] = scores, saved[0]
        adjoint = getattr(kernels, f"gated_{level}_adjoint")
        for part, value in zip(
            ("d_tables", "d_weight", "d_bias"), adjoint(d_scores, *settings_, saved), strict=True
        ):
            results[f"gated {level} {part}"] = value
        if n_behaviors > 1:
            j = (k + 1) % n_behaviors
            settings_ = (tables[j], tables[k], pairs, *SCALES)
            scores, saved = getattr(kernels, f"unique_{level}")(*settings_)
            results[f"unique {level}"] = scores
            gradients = getattr(kernels, f"unique_{level}_adjoint")(d_scores, *settings_, saved)
            results[f"unique {level} d_j"], results[f"unique {level} d_k"] = gradients
    return {name: value for name, value in results.items() if value is not None}


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_users=st.sampled_from([1, 3, 40]),
    n_items=st.sampled_from([1, 5, 70]),
    rows=st.sampled_from([0, 1, 2, 33, 300]),
    d=st.sampled_from([1, 3, 8, 17, 64]),
    n_behaviors=st.integers(1, 5),
    dtype=st.sampled_from([np.float32, np.float64]),
    absent=st.sampled_from([0, 0, 0.4, 1]),
)
def test_fast_forms_equal_numpy(
    kernels, seed, n_users, n_items, rows, d, n_behaviors, dtype, absent
):
    shape = (seed, n_users, n_items, rows, d, n_behaviors)
    found, wanted = (everything(form, *shape, dtype, absent) for form in (kernels, reference))
    assert_near(found, wanted, everything(reference, *shape, np.float64, absent), dtype)


def value_of(kernels, kind, level, tables, weight, bias, pairs, n_users, k, d_scores):
    if kind == "gated":
        scores, _ = getattr(kernels, f"gated_{level}")(
            tables, n_users, k, weight, bias, pairs, *SCALES
        )
    else:
        j = (k + 1) % len(tables)
        scores, _ = getattr(kernels, f"unique_{level}")(tables[j], tables[k], pairs, *SCALES)
    return np.sum(scores * d_scores)


@pytest.mark.parametrize("level", ["side", "interaction"])
@pytest.mark.parametrize("kind", ["gated", "unique"])
@pytest.mark.parametrize("n_behaviors", [1, 2, 4])
def test_adjoints_by_central_differences(kind, level, n_behaviors):
    if kind == "unique":
        n_behaviors += 1
    tables, weight, bias, (left, right), d_scores = problem(2, 4, 5, 12, 3, n_behaviors, np.float64)
    pairs = plain_pairs.index_pairs(left, right, 9)
    k, rng = n_behaviors // 2, np.random.default_rng(1)
    if kind == "gated":
        settings_ = (tables, 4, k, weight, bias, pairs, *SCALES)
        _, saved = getattr(reference, f"gated_{level}")(*settings_)
        gradients = getattr(reference, f"gated_{level}_adjoint")(d_scores, *settings_, saved)
    else:
        j = (k + 1) % n_behaviors
        settings_ = (tables[j], tables[k], pairs, *SCALES)
        _, saved = getattr(reference, f"unique_{level}")(*settings_)
        d_tables = np.zeros_like(tables)
        d_tables[j], d_tables[k] = getattr(reference, f"unique_{level}_adjoint")(
            d_scores, *settings_, saved
        )
        gradients = (d_tables,)
    inputs = [tables, weight, bias]
    for position, gradient in enumerate(gradients):
        direction = rng.normal(size=gradient.shape)
        ends = []
        for h in (1e-6, -1e-6):
            moved = list(inputs)
            moved[position] = moved[position] + h * direction
            ends.append(value_of(reference, kind, level, *moved, pairs, 4, k, d_scores))
        exact = np.sum(gradient * direction)
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(exact, rel=1e-6, abs=1e-8)


@CUDA
def test_cuda_gates_of_eight_behaviors_and_no_more(kernels):
    shape = (3, 2, 3, 7, 4)
    found, wanted = (everything(form, *shape, 8, np.float64) for form in (kernels, reference))
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-11, atol=1e-11, err_msg=name)
    with pytest.raises(ValueError, match="at most 8 behaviors, not 9"):
        everything(kernels, *shape, 9, np.float64)


@pytest.mark.emulator
def test_cuda_repeats_a_captured_step_on_other_rows():
    """All shapes fixed, no look at a value from the host: what a CUDA graph needs."""
    backend = emulator()
    kernels, rows_of = cuda.Form(backend), cuda_pairs.Form(backend)
    tables, weight, bias, _, d_scores = problem(8, 6, 9, 20, 4, 3, np.float32)
    left, right = np.zeros((2, 20), np.int32)

    def step():
        nodes, (l, r) = rows_of.compact([left, right], 15)
        pairs = rows_of.index_pairs(l, r, len(nodes))
        rows = rows_of.gather(list(tables), nodes)
        settings_ = (rows, None, 1, weight, bias, pairs, *SCALES)
        scores, saved = kernels.gated_side(*settings_)
        d_rows, d_weight, d_bias = kernels.gated_side_adjoint(d_scores, *settings_, saved)
        return scores, *rows_of.gather_adjoint(d_rows, nodes, 15), d_weight, d_bias

    step()
    replay = backend.capture(step)
    for seed, absent in ((1, 0.0), (2, 0.5), (3, 1.0)):
        left[:], right[:] = draw_pairs(np.random.default_rng(seed), 6, 9, 20, absent)
        replay()
        pairs = plain_pairs.index_pairs(left, right, 15)
        settings_ = (tables, 6, 1, weight, bias, pairs, *SCALES)
        scores, saved = reference.gated_side(*settings_)
        d_tables, *d_gate = reference.gated_side_adjoint(d_scores, *settings_, saved)
        for found, wanted in zip(replay.kept, (scores, *d_tables, *d_gate), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@EACH
def test_zero_rows_score_zero_and_pass_finite_gradients(kernels):
    tables, weight, bias, (left, right), d_scores = problem(1, 4, 4, 10, 6, 3, np.float32)
    tables[:, ::2] = 0
    pairs = plain_pairs.index_pairs(left, right, 8)
    touched = np.isin(left, [0, 2]) | np.isin(right, [4, 6])
    for level in ("side", "interaction"):
        settings_ = (tables, 4, 1, weight, bias, pairs, *SCALES)
        scores, saved = getattr(kernels, f"gated_{level}")(*settings_)
        assert np.all(scores[touched] == 0)
        for gradient in getattr(kernels, f"gated_{level}_adjoint")(d_scores, *settings_, saved):
            assert np.all(np.isfinite(gradient))


def test_threads_change_no_bit():
    results = []
    before = numba.get_num_threads()
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        results.append(everything(cpu, 4, 200, 300, 4000, 24, 3, np.float32))
    numba.set_num_threads(before)
    for name, value in results[0].items():
        assert value.tobytes() == results[1][name].tobytes(), name
