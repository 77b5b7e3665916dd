"""What times add to the re-ranker: against a plain statement of it, and what it may know."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pkef_fast import Recommender
from pkef_fast.data import Csr, generate
from pkef_fast.data.patterns import row_of_each, without
from pkef_fast.device import device
from pkef_fast.evaluate.rankers import TableRanker
from pkef_fast.holdout.left_out import LeftOut, without_left_out
from pkef_fast.kernels.candidates import Limits
from pkef_fast.kernels.neighbours import REACH
from pkef_fast.kernels.rank import RowsScorer
from pkef_fast.rerank import reasons
from pkef_fast.rerank.funnel import Funnel, features_of
from pkef_fast.rerank.sessions import columns_of, sessions, touches

NAMES = ("view", "cart", "buy")
FLOOR = 1e-6


def shop(names=NAMES, timed=None, seed=0, n_users=40, n_items=30, span=4000):
    """A shop with random times, many of them equal; of the behaviours `timed` alone, or of all."""
    data = generate(n_users=n_users, n_items=n_items, behaviors=names, seed=seed, degree=8.0)
    random = np.random.default_rng(seed)
    times = tuple(
        random.integers(span, size=len(csr.indices)) if timed is None or name in timed else None
        for name, csr in zip(names, data.interactions, strict=True)
    )
    return replace(data, times=times)


def funnel(data, most=1000, limits=(4, 3, 2, 5)):
    return Funnel(data, most, Limits(*limits), 0.0, 0.9)


def everything(source):
    """Candidates of all users, of a model without an opinion."""
    data = source.dataset
    users = np.arange(data.n_users, dtype=np.int32)
    scores = np.random.default_rng(7).normal(size=(data.n_users, data.n_items))
    table = TableRanker(RowsScorer(scores.astype(np.float32)), device("cpu"))
    return source.block(users, table)


# ---- a plain statement --------------------------------------------------------------------------


def told(data):
    """The touches of each user, (time, item) in order, and the unit of time."""
    rows = [{} for _ in range(data.n_users)]
    for csr, times in zip(data.interactions, data.times, strict=True):
        if times is not None:
            for u, i, t in zip(row_of_each(csr), csr.indices, times, strict=True):
                rows[u][int(i)] = max(rows[u].get(int(i), t), t)
    rows = [sorted((t, i) for i, t in row.items()) for row in rows]
    steps = [b[0] - a[0] for row in rows for a, b in pairwise(row) if b[0] > a[0]]
    return rows, np.quantile(steps, 0.25) if steps else 1.0


def alike(data):
    """S (I, I)."""
    rows, unit = told(data)
    S, touched = np.zeros((data.n_items, data.n_items)), np.zeros(data.n_items)
    for row in rows:
        for p, (t, i) in enumerate(row):
            touched[i] += 1
            for q, (other, v) in enumerate(row):
                if p != q and abs(p - q) <= REACH:
                    S[i, v] += (1 + abs(t - other) / unit) ** -2
    roots = np.sqrt(np.maximum(touched, 1))
    return S / roots[:, None] / roots


def items_of(csr, u):
    return set(csr.indices[csr.indptr[u] : csr.indptr[u + 1]].tolist())


def stated(data, u):
    """(K + 2 sums, the largest S, the gap) of all items for a user: K + 4 rows, before logs."""
    rows, unit = told(data)
    S, row = alike(data), rows[u]
    bought = items_of(data.interactions[-1], u)
    places = [p for p, (_, i) in enumerate(row) if i in bought] or [len(row) - 1]
    kinds = []
    for csr, times in zip(data.interactions, data.times, strict=True):
        own = items_of(csr, u) if times is not None else ()
        kinds.append([float(i in own) for _, i in row])
    kinds.append([(1 + min(abs(p - q) for q in places)) ** -2.0 for p in range(len(row))])
    kinds.append([(len(row) - p) ** -2.0 for p in range(len(row))])
    sums = []
    for weights in kinds:
        total = sum(weights) or 1.0
        sums.append(
            sum((w / total * S[i] for w, (_, i) in zip(weights, row, strict=True)), 0 * S[0])
        )
    sums.append(np.max([S[i] for _, i in row], axis=0, initial=0) if row else 0 * S[0])
    everyone = [one for each in rows for one in each]
    span = (max(everyone)[0] - min(everyone)[0]) / unit
    asked = max(row[p][0] for p in places) if row else None
    gap = np.full(data.n_items, span)
    for t, i in everyone if row else ():
        gap[i] = min(gap[i], abs(t - asked) / unit)
    return np.array([*sums, gap])


@pytest.mark.parametrize(
    ("names", "timed"),
    [
        (("buy",), None),
        (("view", "buy"), None),
        (NAMES, None),
        (NAMES, ("view", "buy")),
        (NAMES, ("view",)),
        (NAMES, ("buy",)),
    ],
    ids=str,
)
def test_features_of_times_are_those_of_a_plain_statement(names, timed):
    data = shop(names, timed)
    source, K = funnel(data), len(names)
    found = everything(source)
    width = K + 4
    assert [one.name for one in source.columns[-width:]] == columns_of(names)
    assert found.features.shape[1] == source.width == len(features_of(names)) + width
    assert len({one.name for one in source.columns}) == source.width
    for u in range(data.n_users):
        part = slice(found.indptr[u], found.indptr[u + 1])
        expected = stated(data, u)[:, found.items[part]]
        expected = np.concatenate([np.log(expected[:-1] + FLOOR), np.log1p(expected[-1:])])
        np.testing.assert_allclose(found.features[part, -width:].T, expected, rtol=1e-4, atol=1e-4)


def test_the_best_mates_become_candidates():
    data = shop()
    source = funnel(data, limits=(0, 0, 0, 4))
    found = everything(source)
    for u in range(data.n_users):
        values = stated(data, u)
        near, equal = values[len(NAMES)], 0 * values[0]
        row = told(data)[0][u]
        for _, i in row:
            equal += alike(data)[i] / len(row)
        chosen = near + equal
        own = set().union(*(items_of(csr, u) for csr in data.interactions[:-1]))
        bought = items_of(data.interactions[-1], u)
        free = [v for v in range(data.n_items) if v not in own | bought and chosen[v] > 0]
        items = set(found.items[found.indptr[u] : found.indptr[u + 1]].tolist())
        assert items >= own - bought
        more = items - own
        assert len(more) == min(4, len(free))
        assert not more & bought
        if more:
            left = [chosen[v] for v in free if v not in more]
            assert min(chosen[list(more)]) >= max(left, default=0) * (1 - 1e-5)


def test_only_the_strongest_mates_are_kept():
    data = shop()
    S = alike(data)
    found = sessions(data, 3, device("cpu"))
    for i in range(data.n_items):
        kept = found.mates[i][found.mates[i] < data.n_items]
        np.testing.assert_allclose(found.strength[i, : len(kept)], S[i, kept], rtol=1e-5)
        assert len(kept) == min(3, np.count_nonzero(S[i]))
        assert S[i, kept].min() >= np.delete(S[i], kept).max() * (1 - 1e-5)
        assert np.all(found.strength[i, len(kept) :] == 0)


def test_what_is_many_touches_apart_is_not_counted():
    count = REACH + 10
    one = Csr(np.array([0, count], np.int32), np.arange(count, dtype=np.int32))
    data = generate(n_users=1, n_items=count, behaviors=("buy",))
    data = replace(data, interactions=(one,), times=(np.arange(count) // 2,))
    found = sessions(data, count, device("cpu"))
    S = alike(data)
    assert S[0, REACH] > 0 == S[0, REACH + 1]
    dense = np.zeros((count, count + 1))
    dense[np.arange(count)[:, None], found.mates] = found.strength
    np.testing.assert_allclose(dense[:, :-1], S, rtol=1e-5)


def test_the_unit_of_time_does_not_matter():
    data = shop()
    other = replace(data, times=tuple(10**9 + 3600 * one for one in data.times))
    found, again = (everything(funnel(one)) for one in (data, other))
    assert np.array_equal(found.items, again.items)
    np.testing.assert_allclose(found.features, again.features, rtol=1e-5, atol=1e-5)


def test_one_time_for_everything_is_no_trouble():
    data = shop(span=1)
    found = everything(funnel(data))
    assert np.isfinite(found.features).all()
    assert touches(data).times.max() == 0


# ---- what may be known --------------------------------------------------------------------------


def test_without_times_nothing_changes():
    data = shop()
    plain = everything(funnel(replace(data, times=None)))
    timed = everything(funnel(data, limits=(4, 3, 2, 0)))
    width = len(features_of(NAMES))
    assert plain.features.shape[1] == width
    assert np.array_equal(plain.items, timed.items)
    assert np.array_equal(plain.features, timed.features[:, :width])


def test_a_user_without_touches_gets_the_same_for_all_items():
    data = shop()
    empty = np.array([3, 7])
    gone = []
    for csr in data.interactions:
        rows = row_of_each(csr)
        away = np.isin(rows, empty)
        gone.append((rows[away], csr.indices[away]))
    data = without(data, gone)
    found = everything(funnel(data))
    for u in empty:
        x = found.features[found.indptr[u] : found.indptr[u + 1], -len(NAMES) - 4 :]
        assert len(x)
        np.testing.assert_allclose(x[:, :-1], np.log(FLOOR), rtol=1e-6)
        assert len(np.unique(x[:, -1])) == 1


@pytest.mark.parametrize("visible", [False, True])
def test_the_time_of_a_left_out_purchase_is_not_known(visible):
    data = shop()
    target = data.interactions[-1]
    users = np.flatnonzero(np.diff(target.indptr) > 1).astype(np.int32)
    places = target.indptr[users]
    items = target.indices[places]
    left = LeftOut(users, items, np.full(len(users), visible))
    changed = [one.copy() for one in data.times]
    changed[-1][places] += 12345
    if not visible:
        for csr, one in zip(data.interactions[:-1], changed[:-1], strict=True):
            for u, i in zip(users, items, strict=True):
                one[csr.indptr[u] : csr.indptr[u + 1]][
                    csr.indices[csr.indptr[u] : csr.indptr[u + 1]] == i
                ] += 54321
    other = replace(data, times=tuple(changed))
    found, again = (everything(funnel(without_left_out(one, left))) for one in (data, other))
    assert not np.array_equal(everything(funnel(data)).features, found.features)
    assert np.array_equal(found.items, again.items)
    assert np.array_equal(found.features, again.features)


def test_held_out_items_are_not_known():
    data = shop()
    other = replace(data, test_items=(data.test_items + 1) % data.n_items)
    found, again = (everything(funnel(one)) for one in (data, other))
    assert np.array_equal(found.features, again.features)


# ---- the re-ranker ------------------------------------------------------------------------------


def test_a_saved_re_ranker_knows_the_times(tmp_path):
    data = shop(n_users=80)
    model = Recommender("graph-rank").fit(data)
    model.rerank(data, epochs=2, hidden=4, draws=1)
    model.save(tmp_path / "model.npz")
    again = Recommender.load(tmp_path / "model.npz")
    users = np.arange(data.n_users, dtype=np.int32)
    seen = data.interactions[-1]
    lists = [one.ranker().top_k(users, 5, seen) for one in (model, again)]
    for one, other in zip(*lists, strict=True):
        assert np.array_equal(one, other)
    ranker = model.ranker()
    for user in (0, 7):
        found, learned = ranker.candidates(np.array([user], np.int32))
        average = ranker.f(found.features.mean(axis=0, keepdims=True))[0]
        told = reasons(ranker, user, found.items)
        for value, reason in zip(learned, told, strict=True):
            lead = reason.taste + reason.funnel + reason.popularity
            assert lead == pytest.approx(value - average, abs=1e-4)
        assert any("same visit" in one.text or "just then" in one.text for one in told)
