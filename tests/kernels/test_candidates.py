"""candidates: the forms against each other on random shops, and what must not change a number.

`tests/rerank` holds both forms to dense sums over whole data sets.
"""

from __future__ import annotations

import numba
import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.kernels.candidates import (
    LANES,
    Form,
    Graph,
    Limits,
    Soon,
    Stacked,
    Weights,
    n_features,
    n_sums,
    reference,
)
from pkef_fast.kernels.candidates.ranks import scratch, write_ranks
from pkef_fast.kernels.rows import offsets

EACH = pytest.mark.parametrize("kernels", forms("candidates", "reference", "cpu"))
FAST = pytest.mark.parametrize("kernels", forms("candidates", "cpu"))


def lists(random, n_rows, n_items, most, width):
    """Rows of distinct items padded with n_items, and which places are no padding."""
    items = np.full((n_rows, width), n_items, np.uint32)
    for row in items:
        size = random.integers(min(most, n_items) + 1)
        row[:size] = np.sort(random.choice(n_items, size, replace=False))
    return items, items < n_items


class Shop:
    """Random arguments of the kernels: sums in 1/16 of small numbers are exact, so that ties are.

    `exact`: all numbers are such, and own items of a behaviour 0, 1, 2 or 4.
    """

    def __init__(self, seed, n_users, n_items, n_behaviors, *, timed, exact):
        self.random = random = np.random.default_rng(seed)
        K, self.n_items, self.exact = n_behaviors, n_items, exact
        rows = []
        for _ in range(n_users * K):
            sizes = [0, 1, 2, 4] if exact else range(12)
            size = min(int(random.choice(sizes)), n_items)
            size = size if size != 3 or not exact else 2
            rows.append(np.sort(random.choice(n_items, size, replace=False)))
        self.own = Stacked(
            offsets([len(row) for row in rows]), np.concatenate([*rows, []]).astype(np.int32)
        )
        width = -(-n_sums(K) // LANES) * LANES
        items, there = lists(random, n_items, n_items, 20, 2 * LANES)
        values = np.zeros((n_items, 2 * LANES, width), np.float32)
        values[there, : n_sums(K)] = self.numbers((int(there.sum()), n_sums(K)))
        choosing = self.numbers((n_items, K + 1, 2 * LANES)) * there[:, None]
        self.graph = Graph(
            items,
            choosing.reshape(n_items, -1),
            values.reshape(-1, width),
            self.numbers(K) + np.float32(0.25),
            random.normal(size=(n_items, K + K * (K - 1) // 2)).astype(np.float32),
        )
        self.soon = self.touches(n_users, K, timed)
        self.users = random.permutation(n_users).astype(np.int32)

    def numbers(self, shape):
        if self.exact:
            return self.random.integers(8, size=shape).astype(np.float32) / 16
        return np.abs(self.random.normal(size=shape)).astype(np.float32)

    def touches(self, n_users, K, timed):
        if not timed:
            return Soon(np.empty((0, 1), np.uint32), np.empty((0, 1), np.float32),
                        np.zeros(1, np.int64), np.empty(0, np.int32),
                        np.empty((0, 1), np.float32), np.empty(0, np.float32),
                        np.zeros(1, np.int64), np.empty(0), np.empty(0), 0.0)  # fmt: skip
        random, n_items = self.random, self.n_items
        mates, there = lists(random, n_items, n_items, 5, 5)
        counts = random.integers(5, size=n_users)
        count = int(counts.sum())
        each = random.integers(4, size=n_items)
        times = [np.sort(random.normal(size=n)) for n in each]
        asked = random.normal(size=n_users)
        asked[random.random(n_users) < 0.3] = np.nan
        return Soon(
            mates, (self.numbers(mates.shape) * there).astype(np.float32), offsets(counts),
            random.integers(n_items, size=count).astype(np.int32), self.numbers((count, K + 2)),
            self.numbers(count), offsets(each), np.concatenate([*times, []]), asked, 2.0,
        )  # fmt: skip

    def survey(self, nominated, k, dtype, broken=False):
        """What a model may say: some items, and scores of these and of the nominated."""
        random, w = self.random, len(self.users)
        scores = random.normal(size=(w, self.n_items)).astype(dtype)
        if self.exact:
            scores = np.round(scores)
        if broken:
            scores[random.random(scores.shape) < 0.5] = random.choice([np.nan, np.inf, -np.inf])
        best = np.full((w, k), -1, np.int32)
        for row in best:
            size = random.integers(min(k, self.n_items) + 1)
            row[:size] = random.choice(self.n_items, size, replace=False)
        rows = np.repeat(np.arange(w), np.diff(nominated[0]))
        known = np.take_along_axis(scores, np.maximum(best, 0), axis=1)
        return best, known, scores[rows, nominated[1]]

    @property
    def tables(self):
        return self.own, self.graph, self.soon


def form_of(random, width, hidden):
    shapes = (width,), (width,), (width, hidden), (hidden,), (hidden or width,), (1,)
    return Form.of(Weights(*(random.normal(size=one).astype(np.float32) for one in shapes)))


@FAST
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_users=st.sampled_from([0, 1, 9, 70]),
    n_items=st.sampled_from([1, 2, 30, 200]),
    n_behaviors=st.integers(1, 4),
    timed=st.booleans(),
    exact=st.booleans(),
    limits=st.sampled_from([(0, 0, 0, 0), (1, 1, 1, 1), (5, 3, 4, 2), (300, 300, 300, 300)]),
    dtype=st.sampled_from([np.float32, np.float64]),
    broken=st.booleans(),
    hidden=st.sampled_from([0, 1, 7]),
)
def test_fast_forms_equal_numpy(
    kernels, seed, n_users, n_items, n_behaviors, timed, exact, limits, dtype, broken, hidden
):
    shop = Shop(seed, n_users, n_items, n_behaviors, timed=timed, exact=exact)
    limits = Limits(*limits)
    nominated, wanted = (
        form.nominate(shop.users, *shop.tables, limits) for form in (kernels, reference)
    )
    for a, b in zip(nominated, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    survey = shop.survey(nominated, min(limits.model, n_items), dtype, broken)
    arguments = shop.users, *shop.tables, nominated, survey
    found, wanted = (form.describe(*arguments) for form in (kernels, reference))
    for a, b in zip(found[:2], wanted[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    assert found[2].shape == (len(found[1]), n_features(shop.graph, shop.soon))
    # Logarithms of sums of up to 80 terms, in which products may be fused.
    np.testing.assert_allclose(found[2], wanted[2], rtol=2e-5, atol=2e-5)
    form = form_of(shop.random, found[2].shape[1], hidden)
    indptr, items, f = kernels.score(*arguments, form)
    np.testing.assert_array_equal(indptr, found[0])
    np.testing.assert_array_equal(items, found[1])
    assert f.tobytes() == kernels.score_rows(found[2], form).tobytes()
    truth = reference.score_rows(found[2].astype(np.float64), form)
    size = 1 + np.abs(found[2]).max(initial=0) * np.abs(form.rows).max() * form.rows.shape[1]
    assert np.abs(f - truth).max(initial=0) <= 1e-6 * size * (1 + np.abs(form.outer).sum())


@EACH
def test_own_items_come_first_and_bought_ones_never(kernels):
    """Two behaviours; user 0 has 1 and 2, and bought 2 and 4; user 1 has nothing."""
    own = Stacked(np.array([0, 2, 4, 4, 4]), np.array([1, 2, 2, 4], np.int32))
    items = np.full((6, LANES), 6, np.uint32)
    items[1, :3], items[2, :2] = [0, 4, 5], [3, 5]
    choosing = np.zeros((6, 3, LANES), np.float32)
    choosing[1, 0, :3], choosing[2, 0, :2] = [1, 9, 2], [4, 2]
    choosing[1, 2, :3] = [0.5, 0, 0]
    values = np.zeros((6 * LANES, LANES), np.float32)
    known = np.zeros((6, 3), np.float32)
    graph = Graph(items, choosing.reshape(6, -1), values, np.ones(2, np.float32), known)
    none = Shop(0, 0, 1, 2, timed=False, exact=True).soon
    users = np.array([0, 1], np.int32)

    def listed(*limits):
        indptr, found = kernels.nominate(users, own, graph, none, Limits(*limits))
        assert indptr.tolist() == [0, len(found), len(found)]
        return found.tolist()

    assert listed(0, 0, 0) == [1]
    assert listed(1, 0, 0) == [1, 3]  # 3 and 5 have a sum of 2: the lower number
    assert listed(1, 1, 0) == [0, 1, 3]
    assert listed(9, 0, 0) == [0, 1, 3, 5]


@EACH
@pytest.mark.parametrize("linear", [False, True])
def test_f_is_that_of_its_weights(kernels, linear):
    random = np.random.default_rng(0)
    F, H = 6, 0 if linear else 5
    shapes = (F,), (F,), (F, H), (H,), (H or F,), (1,)
    weights = Weights(*(random.normal(size=one).astype(np.float32) for one in shapes))
    x = random.normal(size=(300, F)).astype(np.float32)
    standard = (x - weights.mean).astype(np.float64) * weights.scale
    inner = standard if linear else np.maximum(standard @ weights.inner + weights.inner_bias, 0)
    wanted = inner @ weights.outer + weights.outer_bias
    f = kernels.score_rows(x, Form.of(weights))
    assert f.dtype == np.float32
    np.testing.assert_allclose(f, wanted, atol=2e-5)
    order = random.permutation(300)
    assert kernels.score_rows(x[order], Form.of(weights)).tobytes() == f[order].tobytes()


@FAST
def test_a_user_s_numbers_depend_on_nobody_else(kernels):
    shop = Shop(1, 150, 90, 3, timed=True, exact=False)
    limits = Limits(8, 4, 4, 4)
    nominated = kernels.nominate(shop.users, *shop.tables, limits)
    survey = shop.survey(nominated, 4, np.float32)
    form = form_of(shop.random, n_features(shop.graph, shop.soon), 5)
    indptr, items, f = kernels.score(shop.users, *shop.tables, nominated, survey, form)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        for w in (0, 77, 149):
            one = shop.users[w : w + 1]
            first = kernels.nominate(one, *shop.tables, limits)
            here = slice(nominated[0][w], nominated[0][w + 1])
            assert first[1].tolist() == nominated[1][here].tolist()
            said = survey[0][w : w + 1], survey[1][w : w + 1], survey[2][here]
            _, alone, value = kernels.score(one, *shop.tables, first, said, form)
            part = slice(indptr[w], indptr[w + 1])
            assert alone.tolist() == items[part].tolist()
            assert value.tobytes() == f[part].tobytes()
    finally:
        numba.set_num_threads(threads)


def test_ranks_are_those_of_a_sort():
    random = np.random.default_rng(0)
    of_rank = np.arange(500, dtype=np.float32)
    kinds = (
        random.normal(size=300),
        random.integers(-2, 3, 300) * 1.5,
        np.exp(random.normal(-9, 3, 300)),
        np.zeros(7),
        np.array([0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-45]),
        np.zeros(0),
    )
    for values in kinds:
        for dtype in (np.float32, np.float64):
            one = values.astype(dtype)
            result = np.empty(len(one), np.float32)
            write_ranks(one, of_rank, scratch(max(len(one), 1)), result)
            rounded = one.astype(np.float32)
            assert result.tolist() == (rounded > rounded[:, None]).sum(axis=1).tolist()
