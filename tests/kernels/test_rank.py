"""rank: ranks against a sort, ties, seen rows, extreme logits, and fast forms against NumPy."""

from __future__ import annotations

from itertools import pairwise

import numba
import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.kernels.rank import (
    EPSILON,
    DotScorer,
    ExpertsScorer,
    GatedScorer,
    InteractionScorer,
    RowsScorer,
    cpu,
    cuda,
    finite,
    of_users,
    reference,
)

EACH = pytest.mark.parametrize("kernels", forms("rank"))
FAST = pytest.mark.parametrize("kernels", forms("rank", "cpu", "emulator", "gpu"))
KINDS = ("dot", "gated", "interaction", "experts", "rows")
EACH_KIND = pytest.mark.parametrize("kind", KINDS)
DTYPES = (np.float32, np.float64)


def scorer(kind, seed, n_users, n_items, d, k, dtype, spread=1.0):
    """A random scorer; logits lie within ±spread."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(size=shape).astype(dtype)

    def logits(n):
        return (spread * rng.uniform(-1, 1, (n, k))).astype(dtype)

    if kind == "dot":
        return DotScorer(normal(n_users, d), normal(n_items, d))
    if kind == "rows":
        return RowsScorer(normal(n_users, n_items))
    if kind == "gated":
        return GatedScorer(
            normal(n_users, d),
            normal(n_items, d),
            logits(n_users),
            logits(n_items),
            normal(n_users, k),
            normal(n_items, k),
        )
    if kind == "experts":
        return ExpertsScorer(
            normal(n_users, k * d),
            normal(n_items, k * d),
            logits(n_users),
            logits(n_items),
            normal(d),
            0.3,
            0.1,
            10.0,
        )
    return InteractionScorer(
        normal(k, n_users, d),
        normal(k, n_items, d),
        int(rng.integers(k)),
        logits(n_users),
        logits(n_items),
        0.3,
        10.0,
    )


def integer_scorer(seed, n_users, n_items):
    """Small whole numbers: scores are exact, and very many are equal."""
    rng = np.random.default_rng(seed)
    left, right = (rng.integers(-2, 3, (n, 2)).astype(np.float32) for n in (n_users, n_items))
    return DotScorer(left, right)


def csr(rows):
    """(indptr, indices) of a list of rising item lists."""
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int32)
    return indptr, np.concatenate([np.zeros(0), *rows]).astype(np.int32)


def seen_rows(seed, n_users, n_items):
    """Rows of every length: none, some, all items."""
    rng = np.random.default_rng(seed)
    shares = rng.choice([0, 0.1, 0.6, 1], n_users)
    return csr([np.flatnonzero(rng.random(n_items) < share) for share in shares])


def replaced(one, **parts):
    """The scorer with float arrays of `parts` in its own dtype."""
    return one._replace(**{name: np.asarray(part, one[0].dtype) for name, part in parts.items()})


def in_float64(one):
    return one._make(x.astype(np.float64) if isinstance(x, np.ndarray) else x for x in one)


def of_items(one, items):
    """The scorer of only these items, in this order."""
    if isinstance(one, InteractionScorer):
        return one._replace(
            item_tables=np.ascontiguousarray(one.item_tables[:, items]),
            item_logits=one.item_logits[items],
        )
    if isinstance(one, RowsScorer):
        return RowsScorer(np.ascontiguousarray(one.rows[:, items]))
    names = [name for name in ("right", "item_logits", "item_scale") if hasattr(one, name)]
    return one._replace(**{name: getattr(one, name)[items] for name in names})


def ranks_by_sorting(s, users, items, indptr, indices):
    """(rank, tied) from a full sort of each user's candidates by −score, then number."""
    rank, tied = [], []
    for row, u, item in zip(s, users, items, strict=True):
        seen = set(indices[indptr[u] : indptr[u + 1]].tolist()) - {item}
        order = sorted((-row[v], v) for v in range(len(row)) if v not in seen)
        rank.append([v for _, v in order].index(item))
        tied.append(sum(value == -row[item] for value, _ in order) - 1)
    return rank, tied


def best_by_sorting(s, users, k, indptr, indices):
    best = []
    for row, u in zip(s, users, strict=True):
        seen = set(indices[indptr[u] : indptr[u + 1]].tolist())
        seen.update(np.flatnonzero(~(row > -np.inf)).tolist())
        order = sorted((-row[v], v) for v in range(len(row)) if v not in seen)[:k]
        best.append([v for _, v in order] + [-1] * (k - len(order)))
    return best


def assert_ranked(kernels, one, users, items, indptr, indices, k):
    """Ranks and the top k of a scorer are those of sorting its own scores, and so is a survey."""
    s = kernels.scores(one, users)
    rank, tied = kernels.ranks(one, users, items, indptr, indices)
    wanted = ranks_by_sorting(s, users, items, indptr, indices)
    assert rank.dtype == tied.dtype == np.int32
    assert rank.tolist() == wanted[0]
    assert tied.tolist() == wanted[1]
    best, values = kernels.top_k(one, users, k, indptr, indices)
    assert best.dtype == np.int32 and values.dtype == s.dtype
    assert best.shape == values.shape == (len(users), k)
    assert best.tolist() == best_by_sorting(s, users, k, indptr, indices)
    listed = best >= 0
    np.testing.assert_array_equal(values[listed], np.take_along_axis(s, best, 1)[listed])
    assert np.all(values[~listed] == -np.inf)
    rng = np.random.default_rng(len(users))
    asked = [np.flatnonzero(rng.random(s.shape[1]) < share) for share in rng.random(len(users))]
    asked_indptr, asked_items = csr(asked)
    found = kernels.survey(
        one, users, k, indptr, indices, asked_indptr.astype(np.int64), asked_items
    )
    np.testing.assert_array_equal(found[0], best)
    np.testing.assert_array_equal(found[1], values)
    assert found[2].dtype == s.dtype
    rows = np.repeat(np.arange(len(users)), np.diff(asked_indptr))
    np.testing.assert_array_equal(found[2], s[rows, asked_items])


@EACH
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_users=st.integers(1, 20),
    n_items=st.sampled_from([1, 2, 7, 127, 128, 129, 300]),
    k=st.sampled_from([0, 1, 5, 400]),
)
def test_ties_go_by_number(kernels, seed, n_users, n_items, k):
    rng = np.random.default_rng(seed)
    one = integer_scorer(seed, n_users, n_items)
    users = rng.integers(0, n_users, n_users + 3).astype(np.int32)  # some twice, some never
    items = rng.integers(0, n_items, len(users)).astype(np.int32)
    indptr, indices = seen_rows(seed, n_users, n_items)
    exact = one.left[users] @ one.right.T
    np.testing.assert_array_equal(kernels.scores(one, users), exact)
    assert_ranked(kernels, one, users, items, indptr, indices, k)


@FAST
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(KINDS),
    n_users=st.sampled_from([1, 2, 5, 130]),
    n_items=st.sampled_from([1, 3, 100, 129, 260]),
    d=st.sampled_from([1, 3, 8, 17, 64]),
    k=st.integers(1, 5),
    dtype=st.sampled_from(DTYPES),
    spread=st.sampled_from([0.0, 1.0, 30.0, 200.0, 1000.0]),
)
def test_fast_forms_equal_the_reference(kernels, seed, kind, n_users, n_items, d, k, dtype, spread):
    one = scorer(kind, seed, n_users, n_items, d, k, dtype, spread)
    users = np.random.default_rng(seed).permutation(n_users).astype(np.int32)
    truth = reference.scores(in_float64(one), users)
    plain, found = reference.scores(one, users), kernels.scores(one, users)
    assert found.dtype == dtype and found.shape == truth.shape
    assert np.all(np.isfinite(found))
    # Sums of products of d and of K terms round by d + 3K (cosines: 3d) units of their terms'
    # magnitudes; a logit of ±spread rounds by that many units, which exp passes on.
    if kind == "rows":
        size = np.zeros(truth.shape)  # nothing is computed
    elif kind == "interaction":
        sizes = [abs(one.user_tables[:, u, None] * one.item_tables).sum(-1).max(0) for u in users]
        size = one.score_scale * np.array(sizes)
    elif kind == "experts":
        towers = np.tile(abs(one.tower), k)
        ends = [abs(part) * towers for part in (one.left[users], one.right)]
        largest = [part.reshape(len(part), k, d).sum(2).max(1, initial=0) for part in ends]
        size = one.score_scale * (largest[0][:, None] + largest[1] + abs(one.offset))
    else:
        size = abs(one.left[users]) @ abs(one.right).T
    if kind == "gated":
        size = size * (abs(one.user_scale[users]).max(1)[:, None] * abs(one.item_scale).max(1))
    units = 3 * (d + k) + 4 * (spread if kind != "dot" else 0) + 16
    bound = 2 * abs(plain - truth) + units * np.finfo(dtype).eps * size
    assert np.all(abs(found - truth) <= bound)


@FAST
@EACH_KIND
@pytest.mark.parametrize("dtype", DTYPES)
def test_ranks_and_top_k_see_the_numbers_of_scores(kernels, kind, dtype):
    """More users than a chunk, more items than a tile, and pairs of equal items."""
    n_users, n_items = 150, 203
    rng = np.random.default_rng(0)
    one = scorer(kind, 1, n_users, n_items, 6, 3, dtype, 100.0)
    one = of_items(one, rng.permutation(np.arange(n_items) // 2 * 2))
    users = rng.permutation(n_users).astype(np.int32)
    items = rng.integers(0, n_items, n_users).astype(np.int32)
    assert_ranked(kernels, one, users, items, *seen_rows(2, n_users, n_items), 9)
    _, tied = kernels.ranks(one, users, items, *csr([[]] * n_users))
    # All but the last item have a twin (item 202 has none).
    assert np.mean(tied >= 1) > 0.95


@FAST
@EACH_KIND
def test_slabs_of_users_change_nothing(kernels, kind, monkeypatch):
    one = scorer(kind, 3, 70, 50, 5, 2, np.float32)
    users = np.arange(70, dtype=np.int32)
    items = np.full(70, 7, np.int32)
    rows = seen_rows(4, 70, 50)

    def everything():
        return (
            kernels.scores(one, users),
            *kernels.ranks(one, users, items, *rows),
            *kernels.top_k(one, users, 4, *rows),
            *kernels.survey(one, users, 3, *rows, np.arange(71), items),
        )

    whole = everything()
    monkeypatch.setattr(cpu, "SLAB", 8)
    monkeypatch.setattr(cuda, "USERS", 48)
    monkeypatch.setattr(cuda, "SLAB", 1)  # one tile of users at a time
    monkeypatch.setattr(cuda, "BLOCKS", 1)  # and all tiles of items in one block
    for found, wanted in zip(everything(), whole, strict=True):
        assert found.tobytes() == wanted.tobytes()


@FAST
@EACH_KIND
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", [1.0, 1000.0])
def test_a_score_depends_on_its_user_and_item_alone(kernels, kind, dtype, spread):
    """Not on the place in a tile or a block, nor on who else is asked for."""
    n_users, n_items = 33, 300
    one = scorer(kind, 5, n_users, n_items, 7, 3, dtype, spread)
    users = np.arange(n_users, dtype=np.int32)
    s = kernels.scores(one, users)
    rng = np.random.default_rng(6)
    for size in (1, 129, n_items):
        items = rng.permutation(n_items)[:size]
        some = rng.permutation(users)[: min(size, n_users)]
        found = kernels.scores(of_items(one, items), some)
        assert found.tobytes() == np.ascontiguousarray(s[some][:, items]).tobytes()


@EACH
@EACH_KIND
def test_rows_without_and_with_all_seen_items(kernels, kind):
    n_items = 140
    one = scorer(kind, 7, 4, n_items, 3, 2, np.float64)
    everything = np.arange(n_items)
    indptr, indices = csr([[], everything, np.delete(everything, 130), [130]])
    users = np.arange(4, dtype=np.int32)
    items = np.full(4, 130, np.int32)
    rank, tied = kernels.ranks(one, users, items, indptr, indices)
    s = kernels.scores(one, users)
    # A held-out item is a candidate even where it has been seen: alone, or among the others.
    assert rank.tolist() == [np.sum(s[0] > s[0, 130]), 0, 0, np.sum(s[3] > s[3, 130])]
    assert tied.tolist() == [0] * 4
    best, values = kernels.top_k(one, users, 2, indptr, indices)
    assert best[1].tolist() == [-1, -1] and values[1].tolist() == [-np.inf] * 2
    assert best[2].tolist() == [130, -1] and values[2].tolist() == [s[2, 130], -np.inf]
    assert 130 not in best[3]


@EACH
@EACH_KIND
def test_one_user_and_one_item(kernels, kind):
    one = scorer(kind, 8, 1, 1, 4, 1, np.float32)
    zero = np.zeros(1, np.int32)
    rank, tied = kernels.ranks(one, zero, zero, *csr([[]]))
    assert (rank.tolist(), tied.tolist()) == ([0], [0])
    best, values = kernels.top_k(one, zero, 3, *csr([[]]))
    assert best.tolist() == [[0, -1, -1]]
    assert values[0, 0] == kernels.scores(one, zero)[0, 0]


@EACH
@EACH_KIND
def test_nobody_and_nothing(kernels, kind):
    nobody = np.zeros(0, np.int32)
    one = scorer(kind, 9, 3, 5, 4, 2, np.float32)
    assert kernels.scores(one, nobody).shape == (0, 5)
    assert [len(part) for part in kernels.ranks(one, nobody, nobody, *csr([[]] * 3))] == [0, 0]
    assert kernels.top_k(one, nobody, 2, *csr([[]] * 3))[0].shape == (0, 2)
    nothing = scorer(kind, 9, 3, 0, 4, 2, np.float32)
    users = np.arange(3, dtype=np.int32)
    assert kernels.scores(nothing, users).shape == (3, 0)
    assert kernels.top_k(nothing, users, 2, *csr([[]] * 3))[0].tolist() == [[-1, -1]] * 3


@EACH_KIND
def test_a_scorer_of_some_users_numbers_them_by_place(kind):
    one = scorer(kind, 21, 12, 9, 4, 3, np.float64)
    users = np.array([5, 2, 5, 11], np.int32)
    found = reference.scores(of_users(one, users), np.arange(4))
    np.testing.assert_array_equal(found, reference.scores(one, users))


@EACH_KIND
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_sure_to_be_finite(kind, dtype):
    """Certain of usual tables; never where a score is not finite, or could be by rounding."""
    one = scorer(kind, 22, 5, 6, 4, 3, dtype, 1000.0)
    assert finite(one)
    parts = [n for n, part in enumerate(one) if getattr(part, "ndim", 0)]
    huge = np.finfo(dtype).max
    for n in parts:
        for wrong in (np.nan, np.inf, -np.inf):
            part = one[n].copy()
            part.flat[3] = wrong
            assert not finite(one._replace(**{one._fields[n]: part}))
    if kind != "rows":
        large = one._replace(**{one._fields[0]: one[0] * (huge / 10), one._fields[1]: one[1] * 10})
        assert not finite(large)


@EACH
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["gated", "interaction", "experts"])
@pytest.mark.parametrize("far", [200.0, 1000.0])
def test_extreme_logits_give_the_exact_softmax(kernels, kind, dtype, far):
    """User and item agree, disagree, or cancel: one slot wins, or two share evenly."""
    one = scorer(kind, 10, 4, 4, 5, 2, dtype)
    user_logits = np.array([[far, -far], [-far, far], [0, 0], [far, 0]])
    item_logits = np.array([[far, -far], [-far, far], [0, 0], [0, far]])
    one = replaced(one, user_logits=user_logits, item_logits=item_logits)
    users = np.arange(4, dtype=np.int32)
    found = kernels.scores(one, users)
    assert np.all(np.isfinite(found))

    gap = (user_logits[:, None] + item_logits) @ [1, -1]
    first = np.where(gap > 0, 1.0, np.where(gap < 0, 0.0, 0.5))  # e^−200 is nothing beside 1
    exact = in_float64(one)
    if kind == "experts":
        dots, sums = 1.0, (exact.left[:, None] + exact.right).reshape(4, 4, 2, 5)
        activated = np.where(sums > 0, sums, exact.slope * sums)
        shares = exact.score_scale * (activated @ exact.tower + exact.offset)
    elif kind == "gated":
        dots = exact.left @ exact.right.T
        shares = exact.user_scale[:, None] * exact.item_scale
    else:
        order = [one.own, 1 - one.own]
        q = exact.user_tables[order][:, :, None] * exact.item_tables[order][:, None]
        lengths = np.sqrt(np.sum(q * q, axis=-1) + EPSILON)
        cosine = np.sum(q[0] * q[1], axis=-1) / (lengths[0] * lengths[1])
        dots = one.score_scale * q[0].sum(axis=-1)
        shares = np.stack([np.ones_like(cosine), one.projection_scale * cosine], axis=-1)
    wanted = dots * (first * shares[..., 0] + (1 - first) * shares[..., 1])
    np.testing.assert_allclose(found, wanted, rtol=100 * np.finfo(dtype).eps, atol=0)


@EACH
@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_rows_score_zero(kernels, dtype):
    one = scorer("interaction", 11, 3, 4, 5, 3, dtype)
    one.user_tables[:, 1] = 0
    one.item_tables[2, 3] = 0
    s = kernels.scores(one, np.arange(3, dtype=np.int32))
    assert np.all(np.isfinite(s))
    assert np.all(s[1] == 0)


@EACH
def test_a_broken_model_never_looks_good(kernels):
    """NaN candidates count as higher; a held-out item with a NaN score comes last."""
    one = DotScorer(np.ones((1, 1)), np.array([[2.0], [np.nan], [3.0], [1.0], [np.nan]]))
    users, none = np.zeros(5, np.int32), csr([[]])
    rank, tied = kernels.ranks(one, users, np.arange(5, dtype=np.int32), *none)
    assert rank.tolist() == [3, 4, 2, 4, 4]
    assert tied.tolist() == [0] * 5
    rank, _ = kernels.ranks(one, users, np.arange(5, dtype=np.int32), *csr([[1, 2]]))
    assert rank.tolist() == [1, 3, 1, 2, 2]
    best, _ = kernels.top_k(one, users[:1], 5, *none)
    assert best.tolist() == [[2, 0, 3, -1, -1]]


@EACH
def test_the_gate_of_one_behavior_is_one(kernels):
    gated = scorer("gated", 12, 3, 6, 4, 1, np.float64)
    users = np.arange(3, dtype=np.int32)
    wanted = gated.left @ gated.right.T * (gated.user_scale @ gated.item_scale.T)
    np.testing.assert_allclose(kernels.scores(gated, users), wanted, rtol=1e-13)
    paper = scorer("interaction", 12, 3, 6, 4, 1, np.float64)
    wanted = 10 * paper.user_tables[0] @ paper.item_tables[0].T
    np.testing.assert_allclose(kernels.scores(paper, users), wanted, rtol=1e-12)


@EACH_KIND
def test_the_result_does_not_depend_on_the_threads(kind):
    one = scorer(kind, 13, 300, 150, 8, 3, np.float32, 50.0)
    users = np.arange(300, dtype=np.int32)
    items = (users % 150).astype(np.int32)
    rows = seen_rows(14, 300, 150)
    threads = numba.get_num_threads()
    results = []
    for number in {1, threads}:
        numba.set_num_threads(number)
        try:
            results.append(
                (
                    cpu.scores(one, users),
                    *cpu.ranks(one, users, items, *rows),
                    *cpu.top_k(one, users, 6, *rows),
                    *cpu.survey(one, users, 6, *rows, np.arange(301), items),
                )
            )
        finally:
            numba.set_num_threads(threads)
    for first, second in pairwise(results):
        for found, wanted in zip(first, second, strict=True):
            assert found.tobytes() == wanted.tobytes()


@FAST
@EACH_KIND
def test_inputs_are_only_read(kernels, kind):
    one = scorer(kind, 15, 9, 140, 3, 2, np.float32)
    users, items = np.arange(9, dtype=np.int32), np.arange(9, dtype=np.int32)
    rows = seen_rows(16, 9, 140)
    arrays = [x for x in (*one, users, items, *rows) if isinstance(x, np.ndarray)]
    before = [array.tobytes() for array in arrays]
    kernels.scores(one, users)
    kernels.ranks(one, users, items, *rows)
    kernels.top_k(one, users, 3, *rows)
    kernels.survey(one, users, 3, *rows, np.arange(10), items)
    assert [array.tobytes() for array in arrays] == before


@EACH
def test_arrays_of_two_types(kernels):
    one = DotScorer(np.zeros((2, 3)), np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match="DotScorer must share one dtype: float32, float64"):
        kernels.scores(one, np.zeros(1, np.int32))


@FAST
def test_a_held_out_item_must_exist(kernels):
    one = DotScorer(np.zeros((2, 3)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="items must lie in 0…3; found 4…4"):
        kernels.ranks(one, np.zeros(1, np.int32), np.array([4], np.int32), *csr([[], []]))


@EACH
@pytest.mark.parametrize("k", [1, 3, 300, 700])
@pytest.mark.parametrize("dtype", DTYPES)
def test_top_k_of_scores_that_share_their_digits(kernels, k, dtype):
    """Zeros of both signs, neighbours in the last place, many ties, more of them than threads."""
    one = np.array([1], dtype)
    values = np.concatenate(
        [
            np.full(400, 1, dtype),
            np.nextafter(one, 2),
            np.nextafter(one, 0),
            np.array([0.0, -0.0, 0.0, -1, -2, np.inf, -np.inf, np.nan, 2.5, -1e-30], dtype),
            np.full(200, -3, dtype),
        ]
    ).astype(dtype)
    values = values[np.random.default_rng(0).permutation(len(values))]
    # An infinite or broken score comes about in a product of one column.
    scorer_of_values = DotScorer(np.ones((2, 1), dtype), values[:, None])
    users, rows = np.array([1, 0], np.int32), csr([[3, 4, 5], []])
    found, scores = kernels.top_k(scorer_of_values, users, k, *rows)
    assert found.tolist() == best_by_sorting(np.stack([values] * 2), users, k, *rows)
    there = found >= 0
    np.testing.assert_array_equal(scores[there], values[found[there]])
    assert np.all(scores[~there] == -np.inf)


@EACH
@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_of_both_signs_tie(kernels, dtype):
    n_items = 9
    ones, nothing = np.ones((1, 1), dtype), np.zeros((n_items, 1), dtype)
    signs = np.resize(np.array([-1, 1], dtype), (n_items, 1))
    one = GatedScorer(ones, nothing, 0 * ones, nothing, ones, signs)
    zero = np.zeros(1, np.int32)
    assert np.signbit(kernels.scores(one, zero)).any()
    best, _ = kernels.top_k(one, zero, 4, *csr([[]]))
    assert best.tolist() == [[0, 1, 2, 3]]
    rank, tied = kernels.ranks(one, zero, zero + 5, *csr([[]]))
    assert (rank.tolist(), tied.tolist()) == ([5], [n_items - 1])
