"""allpairs: the brute-force sum, gradients by differences, and the fast forms against NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.device import device
from pkef_fast.kernels.allpairs import cpu, reference
from pkef_fast.tape import ops
from pkef_fast.tape.autograd import Tensor, backward

EACH = pytest.mark.parametrize("kernels", forms("allpairs"))
FAST = pytest.mark.parametrize("kernels", forms("allpairs", "cpu", "emulator", "gpu"))


def problem(rng, n_users=7, n_items=9, d=4):
    users, items = rng.normal(size=(n_users, d)), rng.normal(size=(n_items, d))
    return users, items, rng.normal(size=d), rng.random((n_users, n_items)) < 0.3


def brute_force(users, items, relation, met, weight):
    """Σ c·(y − s)² over every pair, c = 1 and y = 1 where they met, else w and 0."""
    errors = met - (users * relation) @ items.T
    return np.sum(np.where(met, 1, weight) * errors**2)


@EACH
@pytest.mark.parametrize("weight", [0.0, 0.1, 1.0])
def test_the_loss_is_the_brute_force_sum_over_all_pairs_up_to_the_number_that_met(kernels, weight):
    users, items, relation, met = problem(np.random.default_rng(0))
    everything = kernels.everything(users.T @ users, items.T @ items, relation, weight)[0]
    scores = ((users * relation) @ items.T)[met]
    found = everything + kernels.met(scores, weight)[0]
    wanted = brute_force(users, items, relation, met, weight) - np.count_nonzero(met)
    assert found == pytest.approx(wanted, rel=1e-12)


def test_gradients_are_those_of_the_brute_force_sum():
    """Through the tape, from both Gram matrices and the scores down to the tables."""
    rng, place, weight = np.random.default_rng(1), device("reference"), 0.3
    users, items, relation, met = problem(rng)
    n_users = len(users)
    left, right = (one.astype(np.int32) for one in np.nonzero(met))
    pairs = place.kernels.pairs.index_pairs(left, right + np.int32(n_users), n_users + len(items))
    z = Tensor(np.concatenate([users, items]), place, requires_grad=True)
    r = Tensor(np.stack([relation * 2, relation]), place, requires_grad=True)
    grams = [ops.gram(side) for side in ops.split_rows(z, at=n_users)]
    scores = ops.bilinear(z, r, k=1, pairs=pairs, score_scale=1.0)
    parts = ops.all_pairs(*grams, r, k=1, weight=weight), ops.met_pairs(scores, weight=weight)
    backward(ops.weigh(*parts, weights=(2.0, 2.0)))
    np.testing.assert_array_equal(r.grad[0], 0)
    for found, which in ((z.grad[:n_users], 0), (z.grad[n_users:], 1), (r.grad[1], 2)):
        inputs = [users, items, relation]
        direction, ends = rng.normal(size=inputs[which].shape), []
        for h in (1e-6, -1e-6):
            moved = list(inputs)
            moved[which] = moved[which] + h * direction
            ends.append(2 * brute_force(*moved, met, weight))
        numeric = (ends[0] - ends[1]) / 2e-6
        assert np.sum(found * direction) == pytest.approx(numeric, rel=1e-7)


@EACH
def test_no_pairs_are_a_loss_of_zero_and_an_absent_one_adds_nothing(kernels):
    for scores in (np.zeros(0, np.float32), np.zeros(3, np.float32)):
        loss, d_scores = kernels.met(scores, 0.1)
        assert loss == 0 and loss.dtype == np.float64
        assert (d_scores.shape, d_scores.dtype) == (scores.shape, np.float32)


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 9, 1024, 2500]),
    d=st.sampled_from([1, 2, 5, 33, 64]),
    weight=st.sampled_from([0.0, 0.01, 1.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_fast_forms_equal_numpy(kernels, seed, n, d, weight, dtype):
    rng = np.random.default_rng(seed)
    users, items, relation, _ = (one.astype(dtype) for one in problem(rng, 6, 8, d))
    grams = users.T @ users, items.T @ items
    found = kernels.everything(*grams, relation, weight)
    wanted = reference.everything(*grams, relation, weight)
    scores = rng.normal(size=n).astype(dtype)
    found += kernels.met(scores, weight)
    wanted += reference.met(scores, weight)
    # everything is summed in float64; a score's term is rounded to F twice or three times
    bound = 8 * np.finfo(dtype).eps * max(1, np.sqrt(n))
    for one, other in zip(found, wanted, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert np.abs(one - other).max(initial=0) <= bound * np.abs(other).max(initial=1)


def test_threads_change_no_bit():
    scores = np.random.default_rng(2).normal(size=5000).astype(np.float32)
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            found.append(cpu.met(scores, 0.1)[0])
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1]
