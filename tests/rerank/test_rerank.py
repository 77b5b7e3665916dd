"""The re-ranker: its sums against dense ones, what it may know, and that it stays a ranking."""

from __future__ import annotations

import dataclasses

import numba
import numpy as np
import pytest
from recorder import Recorder

from pkef_fast import InputError, Recommender, load_dataset
from pkef_fast.data import Csr, Dataset, generate
from pkef_fast.data.patterns import contains, pattern, row_of_each
from pkef_fast.device import device, on
from pkef_fast.evaluate.rankers import TableRanker
from pkef_fast.holdout.left_out import leave_out, without_left_out
from pkef_fast.holdout.visibility import visibility_of
from pkef_fast.kernels.candidates import Limits, Weights
from pkef_fast.kernels.rank import RowsScorer
from pkef_fast.rerank import (
    RerankConfig,
    Reranked,
    Reranker,
    checked_users,
    learn,
    reasons,
)
from pkef_fast.rerank import learner as learning
from pkef_fast.rerank.funnel import Funnel, features_of
from pkef_fast.rerank.learner import Learner, Questions, ndcg, together
from pkef_fast.rerank.neighbours import neighbours
from pkef_fast.rerank.reranker import funnel, graph_of, questions
from pkef_fast.tape import ops
from pkef_fast.tape.autograd import Tensor, backward

NAMES = ("view", "collect", "cart", "buy")
FORMS = pytest.mark.parametrize("form", ["reference", "cpu"])
QUICK = {"epochs": 2, "twin_epochs": 1, "hidden": 4, "draws": 1}


def shop(n_behaviors=3, seed=0, n_users=60, n_items=40):
    names = NAMES[:1] if n_behaviors == 1 else NAMES[: n_behaviors - 1] + NAMES[-1:]
    return generate(n_users=n_users, n_items=n_items, behaviors=names, seed=seed)


def dense(csr, data):
    result = np.zeros((data.n_users, data.n_items))
    result[row_of_each(csr), csr.indices] = 1
    return result


def two_hops(data):
    """T (K, K, I, I) from dense float64 matrices."""
    normal = []
    for csr in data.interactions:
        matrix = dense(csr, data)
        roots = [np.sqrt(np.maximum(matrix.sum(axis=axis), 1)) for axis in (1, 0)]
        normal.append(matrix / roots[0][:, None] / roots[1])
    return np.array([[a.T @ b for b in normal] for a in normal])


def rng_scores(data, seed=0):
    return np.random.default_rng(seed).normal(size=(data.n_users, data.n_items)).astype(np.float32)


def ranker_of(scores):
    """A ranker of given scores (U, I)."""
    return TableRanker(RowsScorer(scores), device("cpu"))


def logs(sums):
    return np.log(sums + 1e-6)


# ---- sums ---------------------------------------------------------------------------------------


@FORMS
@pytest.mark.parametrize("n_behaviors", [1, 2, 3, 4])
@pytest.mark.parametrize("most", [5, 1000])
def test_neighbours_are_the_largest_of_the_dense_sums(n_behaviors, most, form):
    data = shop(n_behaviors)
    truth = two_hops(data)
    found = neighbours(data, most, device(form))
    total = truth.sum(axis=(0, 1))
    np.fill_diagonal(total, 0)
    for i in range(data.n_items):
        row = slice(found.indptr[i], found.indptr[i + 1])
        items = found.items[row]
        assert np.all(np.diff(items) > 0)
        assert i not in items
        expected = truth[:, :, i, items].reshape(n_behaviors**2, -1).T
        np.testing.assert_allclose(found.values[row], expected, rtol=1e-5, atol=1e-7)
        left = np.delete(total[i], items)
        assert len(items) == min(most, np.count_nonzero(total[i]))
        if len(items):
            assert left.max(initial=0) <= total[i, items].min() * (1 + 1e-5)


@FORMS
@pytest.mark.parametrize("n_behaviors", [1, 2, 3, 4])
def test_features_are_those_of_dense_sums(n_behaviors, form):
    data, K = shop(n_behaviors), n_behaviors
    T = two_hops(data)
    np.einsum("abii->abi", T)[...] = 0  # an item is no neighbour of itself
    scores = rng_scores(data)
    alpha, beta = 0.3, 0.4
    source = Funnel(data, 1000, Limits(4, 3, 2), alpha, beta, device(form))
    names = [feature.name for feature in features_of(data.behaviors)]
    assert len(names) == len(set(names)) == source.width
    users = np.arange(data.n_users, dtype=np.int32)
    found = source.block(users, ranker_of(scores))
    rows = [dense(csr, data) for csr in data.interactions]
    counts = np.array([matrix.sum(axis=0) for matrix in rows])
    for u in users:
        part = slice(found.indptr[u], found.indptr[u + 1])
        items, x = found.items[part], dict(zip(names, found.features[part].T, strict=True))
        shares = [matrix[u] / max(matrix[u].sum(), 1) for matrix in rows]
        graph = np.zeros(data.n_items)
        for s in range(K):
            stage = (alpha + beta * (s == 0)) * beta ** (K - 1 - s)
            graph += stage * sum(shares[s] @ T[a, b] for a in range(s, K) for b in range(a, K))
        bought, own = rows[-1][u] > 0, np.zeros(data.n_items, bool)
        for matrix in rows[:-1]:
            own |= matrix[u] > 0
        own &= ~bought
        expected = set(np.flatnonzero(own))
        for sums, most in ((graph, 4), (shares[0] @ T[0, 0], 3)):
            free = np.array([v for v in range(data.n_items) if v not in expected and not bought[v]])
            best = free[np.argsort(-sums[free], kind="stable")][:most]
            expected |= {v for v in best if sums[v] > 0}
        free = np.where(bought, -np.inf, scores[u])
        expected |= set(np.argsort(-free, kind="stable")[: min(2, int((~bought).sum()))])
        assert set(items) == expected
        assert len(items) == len(expected)
        close = {"rtol": 2e-4, "atol": 2e-3}
        np.testing.assert_allclose(x["graph"], logs(graph[items]), **close)
        for s in range(K):
            a = data.behaviors[s]
            np.testing.assert_allclose(x[f"{a}s of the item"], np.log1p(counts[s][items]), **close)
            np.testing.assert_allclose(x[f"{a}s of the user"], np.log1p(rows[s][u].sum()), **close)
            for b in range(K):
                name = f"alike by {a}, {data.behaviors[b]}"
                np.testing.assert_allclose(x[name], logs((shares[s] @ T[s, b])[items]), **close)
        for s in range(K - 1):
            assert np.array_equal(x[f"own {data.behaviors[s]}"], rows[s][u][items])
        if len(items) > 1:
            assert abs(x["model"].mean()) < 1e-3
            order = np.argsort(np.argsort(-scores[u][items], kind="stable"))
            np.testing.assert_allclose(x["model, place"], np.log1p(order), **close)


def test_broken_scores_of_a_model_give_finite_features():
    data = shop()
    scores = rng_scores(data)
    scores[0], scores[1, ::2], scores[2] = np.nan, -np.inf, np.inf
    found = Funnel(data, 20, Limits(4, 3, 2), 0.0, 0.9).block(
        np.arange(data.n_users, dtype=np.int32), ranker_of(scores)
    )
    assert np.isfinite(found.features).all()


# ---- what may be known --------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_left_out_purchases_are_hidden_where_they_shall_be(share):
    data = shop()
    (left,) = leave_out(data, share, 2, seed=3)
    degrees = np.diff(data.interactions[-1].indptr)
    assert np.array_equal(left.users, np.flatnonzero(degrees >= 2))
    assert contains(data.interactions[-1], left.users, left.items, data.n_items).all()
    assert abs(left.visible.mean() - share) < 0.2
    rest = without_left_out(data, left)
    assert not contains(rest.interactions[-1], left.users, left.items, data.n_items).any()
    assert len(rest.interactions[-1].indices) + len(left.users) == degrees.sum()
    for before, after in zip(data.interactions[:-1], rest.interactions[:-1], strict=True):
        was, now = (contains(csr, left.users, left.items, data.n_items) for csr in (before, after))
        assert np.array_equal(now, was & left.visible)
        assert len(before.indices) - len(after.indices) == np.count_nonzero(was & ~left.visible)
    assert not len(rest.test_users)


def test_draws_of_a_user_differ_as_long_as_there_are_others():
    data = shop()
    draws = leave_out(data, 1.0, 2, seed=0, rounds=3)
    degrees = np.diff(data.interactions[-1].indptr)[draws[0].users]
    distinct = [len({one.items[n] for one in draws}) for n in range(len(degrees))]
    assert distinct == np.minimum(degrees, 3).tolist()


def test_questions_know_nothing_of_what_is_left_out():
    """Features of a left-out purchase are those of a data set that never had it."""
    data = shop()
    (left,) = leave_out(data, 0.0, 2, seed=0)
    other = dataclasses.replace(data, interactions=without_left_out(data, left).interactions)
    config = RerankConfig(graph=8, alike=4, model=4)

    base = ranker_of(rng_scores(data))
    for source in (without_left_out(data, left), other):
        for csr in source.interactions:
            assert not contains(csr, left.users, left.items, data.n_items).any()
    a, b = (
        questions(base, funnel(config, graph_of(data), one), left)
        for one in (without_left_out(data, left), other)
    )
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("model", ["pkef", "graph-rank"])
def test_held_out_items_change_no_bit_of_the_re_ranker(model):
    data = shop()
    random = np.random.default_rng(5)
    other = dataclasses.replace(
        data, test_items=random.integers(data.n_items, size=len(data.test_items)).astype(np.int32)
    )
    fields = {"epochs": 2, "d": 4} if model == "pkef" else {}
    found = [
        Recommender(model, **fields).fit(
            one, rerank="learned", rerank_config=RerankConfig().replaced(**QUICK)
        )
        for one in (data, other)
    ]
    first, second = (one.reranker.arrays() for one in found)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert found[0].reranker.report == found[1].reranker.report
    assert found[0].recommend([0, 1, 2]) == found[1].recommend([0, 1, 2])
    assert found[0].evaluate(data) != found[1].evaluate(other)


def test_how_to_leave_out_is_known_from_the_record_or_asked():
    data = shop()
    assert visibility_of(data).share == 1.0  # so it was generated
    words = {"target": 1, "all": 0, "0.3": 0.3, 0.3: 0.3}
    assert {word: visibility_of(data, word).share for word in words} == words
    unknown = dataclasses.replace(data, leave_out=None)
    with pytest.raises(InputError, match=r"--leave-out target .*, all .*, or the share"):
        visibility_of(unknown)
    for wrong in ("some", "1.5", -0.1, "nan"):
        with pytest.raises(InputError, match="wanted 'target', 'all', or the share"):
            visibility_of(data, wrong)
    assert visibility_of(dataclasses.replace(data, leave_out="all")).share == 0.0
    assert visibility_of(dataclasses.replace(shop(1), leave_out=None)).share == 1.0


def test_a_split_out_of_all_behaviors_shows_in_the_train_data_alone():
    """Everybody buys most of what is in the cart; yet few have anything left in it."""
    users, items = np.repeat(np.arange(50), 4), np.tile(np.arange(4), 50)
    buys = pattern(users, items, 50, 10)
    extra = np.arange(10)
    carts = pattern(np.append(users, extra), np.append(items, np.full(10, 7)), 50, 10)
    views = pattern(np.append(users, np.arange(50)), np.append(items, np.full(50, 8)), 50, 10)
    none = np.empty(0, np.int32)
    data = Dataset("x", ("view", "cart", "buy"), 50, 10, (views, carts, buys), none, none)
    found = visibility_of(data)
    assert found.share == 0.0
    assert "'cart'" in found.reason
    kept = dataclasses.replace(data, interactions=(views, views, buys))
    with pytest.raises(InputError, match="wanted --leave-out"):
        visibility_of(kept)


# ---- learning -----------------------------------------------------------------------------------


def test_the_gradient_of_the_loss_is_that_of_central_differences():
    random = np.random.default_rng(0)
    x = random.normal(size=(7, 1))
    places = np.array([0, 1, 2, 4, 5, 8, 9])
    answers = np.array([1, 0, 1])

    def loss(values):
        tensor = Tensor(values, device("reference"), requires_grad=True)
        table = learning.padded(tensor, places=places, shape=(3, 4))
        return tensor, ops.cross_entropy(table, answers=answers)

    tensor, value = loss(x)
    by_hand = [np.log(np.exp(x[r, 0]).sum()) - x[r[a], 0] for r, a in zip(
        (np.arange(3), np.arange(3, 5), np.arange(5, 7)), answers, strict=True)]  # fmt: skip
    assert float(value.data) == pytest.approx(np.mean(by_hand))
    backward(value)
    for n in range(7):
        ends = []
        for h in (1e-6, -1e-6):
            moved = x.copy()
            moved[n] += h
            ends.append(float(loss(moved)[1].data))
        assert tensor.grad[n, 0] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def planted(seed, n=150, curved=False):
    """Users with 5 to 9 candidates; the answer is the best by a rule of two of three features."""
    random = np.random.default_rng(seed)
    parts = []
    for _ in range(n):
        x = random.normal(size=(random.integers(5, 10), 3)).astype(np.float32)
        rule = -np.abs(x[:, 0]) if curved else x[:, 0] - 0.5 * x[:, 2]
        indptr = np.array([0, len(x)])
        parts.append(Questions(indptr, x * 5 + 2, np.array([np.argmax(rule)]), 0 * x[:, 0]))
    return together(parts)


@pytest.mark.parametrize(("hidden_places", "curved", "least"), [(0, False, 0.97), (8, True, 0.9)])
def test_a_planted_rule_is_found(hidden_places, curved, least):
    learner = Learner(hidden_places, 0.05, 1000, 0.0, 12, 12, 16, 0, device("cpu"))
    train, check = planted(0, curved=curved), planted(1, curved=curved)
    weights, records = learner.learn(train, check)
    assert max(one["NDCG@10"] for one in records) > least
    again, _ = learner.learn(train, check)
    assert all(np.array_equal(a, b) for a, b in zip(weights, again, strict=True))
    if not hidden_places:
        effect = weights.outer * weights.scale
        assert effect[2] / effect[0] == pytest.approx(-0.5, abs=0.1)


def test_thinning_keeps_answers_and_the_sum_of_a_softmax():
    random = np.random.default_rng(0)
    whole = planted(0, n=2000)
    whole.answers[::10] = -1
    always = random.random(len(whole.features)) < 0.3
    scores = 0.1 * random.normal(size=len(whole.features))
    ids = np.arange(len(whole.features), dtype=np.float32)[:, None]
    few = whole._replace(features=ids).thinned(always, 0.25, random)
    rows = few.features[:, 0].astype(int)
    answered = whole.indptr[:-1][whole.answers >= 0] + whole.answers[whole.answers >= 0]
    weights = np.exp(few.offsets)
    weights[np.isin(rows, answered)] = 0  # they are always there
    others = ~np.isin(np.arange(len(ids)), answered)
    total = (np.exp(scores[rows]) * weights).sum() / np.exp(scores[others]).sum()
    assert total == pytest.approx(1, abs=0.03)
    assert np.array_equal(few.answers < 0, whole.answers < 0)
    for n in np.flatnonzero(whole.answers >= 0):
        assert rows[few.indptr[n] + few.answers[n]] == whole.indptr[n] + whole.answers[n]
    assert set(np.flatnonzero(always)) <= set(rows)


def test_learning_stops_early_and_keeps_the_best():
    train = planted(0, n=30)
    noise = planted(1)
    noise = noise._replace(answers=np.zeros_like(noise.answers))
    learner = Learner(4, 0.1, 1000, 0.0, 50, 2, 8, 0, device("cpu"))
    weights, records = learner.learn(train, noise)
    assert len(records) < 50
    best = min(range(len(records)), key=lambda n: records[n]["check loss"])
    assert best == len(records) - 3
    x = (noise.features - weights.mean) * weights.scale
    scores = np.maximum(x @ weights.inner + weights.inner_bias, 0) @ weights.outer
    assert ndcg(noise, scores) == pytest.approx(records[best]["NDCG@10"], abs=1e-6)


# ---- ranking ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    data = shop(3)
    config = RerankConfig(graph=6, alike=3, model=3).replaced(**QUICK)
    model = Recommender("pkef", epochs=1, d=4).fit(data, rerank="learned", rerank_config=config)
    return data, model


def test_the_order_is_full_with_candidates_first_and_others_as_the_model_has_them(fitted):
    data, model = fitted
    ranker, users = model.ranker(), np.arange(data.n_users, dtype=np.int32)
    base = ranker.base.scores(users)
    scores = ranker.scores(users)
    found, learned = ranker.candidates(users)
    assert np.isfinite(scores).all()
    for u in users:
        part = slice(found.indptr[u], found.indptr[u + 1])
        inside = np.zeros(data.n_items, bool)
        inside[found.items[part]] = True
        assert np.array_equal(scores[u, found.items[part]], learned[part].astype(float))
        if inside.any():
            assert scores[u, inside].min() > scores[u, ~inside].max(initial=-np.inf)
        outside = np.flatnonzero(~inside)
        assert np.array_equal(
            outside[np.argsort(-base[u, outside], kind="stable")],
            outside[np.argsort(-scores[u, outside], kind="stable")],
        )


def test_ranks_and_top_k_are_those_of_the_scores(fitted):
    data, model = fitted
    ranker, seen = model.ranker(), data.interactions[-1]
    users = np.array([5, 3, 5, 40, 0], np.int32)
    items = np.array([1, 7, 9, 0, 39], np.int32)
    scores = ranker.scores(users)
    rank, tied = ranker.ranks(users, items, seen)
    best, values = ranker.top_k(users, 6, seen)
    for n, (u, v) in enumerate(zip(users, items, strict=True)):
        free = np.ones(data.n_items, bool)
        free[seen.indices[seen.indptr[u] : seen.indptr[u + 1]]] = False
        order = np.flatnonzero(free)
        order = order[np.argsort(-scores[n, order], kind="stable")]
        assert best[n].tolist() == order[:6].tolist()
        assert values[n].tolist() == scores[n, order[:6]].tolist()
        free[v] = False
        assert rank[n] == np.count_nonzero(scores[n, free] > scores[n, v]) + np.count_nonzero(
            scores[n, :v][free[:v]] == scores[n, v]
        )
        assert tied[n] == np.count_nonzero(scores[n, free] == scores[n, v])
        assert np.array_equal(ranker.scores(users[n : n + 1])[0], scores[n])  # whoever else asks


def test_a_data_set_with_other_features_is_refused(fitted):
    data, model = fitted
    timed = dataclasses.replace(
        data, times=tuple(np.arange(len(csr.indices)) for csr in data.interactions)
    )
    base = model.ranker().base
    model.reranker.ranker(base, data)
    with pytest.raises(InputError, match="features of a candidate"):
        model.reranker.ranker(base, timed)


@pytest.mark.emulator
@pytest.mark.parametrize("model", ["pkef", "graph-rank"])
def test_a_model_on_another_device_is_re_ranked_alike(model):
    """On a device whose arrays are not NumPy's and whose kernels take the types that they name."""
    data = shop()
    place = on(Recorder(), "recorder")
    fields = {"d": 8, "epochs": 2, "layers": "1,1,1"} if model == "pkef" else {}
    models = [
        Recommender(model, device=one, precision="float64", **fields).fit(data)
        for one in ("cpu", place)
    ]
    few = {"graph": 4, "alike": 2, "model": 2, "epochs": 1, "twin_epochs": 1}
    for one in models:
        one.rerank(data, leave_out="target", config=RerankConfig(**few))
    for protocol in ("paper", "discovery"):
        one, other = (found.evaluate(data, protocol=protocol) for found in models)
        np.testing.assert_array_equal(one.ranks, other.ranks)
        assert one.ranks.min() >= 0
    lists = [found.ranker().top_k(np.arange(9), 12, data.interactions[-1]) for found in models]
    np.testing.assert_array_equal(lists[0][0], lists[1][0])


def merged(base, found, learned):
    """Whole rows of scores: f for candidates, the base's below the least f for all others."""
    result = base.astype(np.float64)
    for u, row in enumerate(result):
        part = slice(found.indptr[u], found.indptr[u + 1])
        there = row[np.isfinite(row)]
        if part.stop > part.start and len(there):
            row += np.float64(learned[part].min()) - 1 - there.max()
        row[found.items[part]] = learned[part]
    return result


def in_order(row, free):
    """The free items by falling score and rising number; NaN first, for it counts as higher."""
    keys = np.where(np.isnan(row), np.inf, row)
    order = np.lexsort((-np.isnan(row).astype(int), -keys))
    return order[free[order]]


@pytest.mark.parametrize("form", ["mlp", "linear", "constant"])
@pytest.mark.parametrize("base", ["normal", "ties", "nan", "infinite", "dead"])
@pytest.mark.parametrize("limits", [Limits(0, 0, 0), Limits(2, 1, 2), Limits(12, 6, 50)])
def test_ranks_without_rows_are_those_of_whole_rows(base, form, limits):
    """Ties in f and in the base, seen candidates, lists that go beyond the candidates, NaN."""
    data, random = shop(n_users=30, n_items=70), np.random.default_rng(1)
    scores = rng_scores(data)
    if base != "normal":
        scores = random.integers(0, 4, scores.shape).astype(np.float32)
    if base in ("nan", "infinite"):
        wrong = random.random(scores.shape) < np.linspace(0, 1, data.n_users)[:, None]
        bad = [np.nan] if base == "nan" else [np.inf, -np.inf]
        scores[wrong] = random.choice(bad, np.count_nonzero(wrong))
    if base == "dead":
        scores[:] = 0
    source = Funnel(data, 16, limits, 0.1, 0.7)
    width, hidden_places = source.width, 0 if form == "linear" else 3
    scale = np.zeros(width) if form == "constant" else np.ones(width)
    shapes = (width, hidden_places), (hidden_places,), (hidden_places or width,), (1,)
    weights = Weights(
        np.zeros(width, np.float32),
        scale.astype(np.float32),
        *(random.normal(size=shape).astype(np.float32) for shape in shapes),
    )
    ranker = Reranked(ranker_of(scores), source, weights)
    everybody = np.arange(data.n_users, dtype=np.int32)
    whole = merged(scores, *ranker.candidates(everybody))
    np.testing.assert_array_equal(ranker.scores(everybody), whole)
    users = random.integers(0, data.n_users, 200).astype(np.int32)
    items = random.integers(0, data.n_items, 200).astype(np.int32)
    nothing = Csr(np.zeros(data.n_users + 1, np.int32), np.empty(0, np.int32))
    some = pattern(*np.nonzero(random.random(scores.shape) < 0.4), *scores.shape)
    for seen in (data.interactions[-1], some, nothing):
        rank, tied = ranker.ranks(users, items, seen)
        best, values = ranker.top_k(users, 45, seen)
        for n, (u, v) in enumerate(zip(users, items, strict=True)):
            row, free = whole[u], dense(seen, data)[u] == 0
            listed = [i for i in in_order(row, free) if row[i] > -np.inf][:45]
            assert best[n].tolist() == listed + [-1] * (45 - len(listed))
            assert values[n, : len(listed)].tolist() == row[listed].tolist()
            free[v] = True
            others = in_order(row, free)
            others = others[others != v]
            before = ~(row[others] <= row[v]) | ((row[others] == row[v]) & (others < v))
            assert rank[n] == np.count_nonzero(before)
            assert tied[n] == np.count_nonzero(row[others] == row[v])
    other = ranker_of(ranker.scores(everybody))
    for a, b in zip(ranker.of(everybody[5:9]).ranks(np.arange(4), items[:4], nothing),
                    other.ranks(everybody[5:9], items[:4], nothing), strict=True):  # fmt: skip
        np.testing.assert_array_equal(a, b)


def test_f_of_a_candidate_does_not_depend_on_the_others(fitted):
    """Whoever else is asked for, and however many threads there are: the same bits."""
    data, model = fitted
    ranker, source = model.ranker(), model.ranker().source
    users = np.arange(data.n_users, dtype=np.int32)
    found, learned = ranker.candidates(users)
    again, values = source.scored(users, ranker.base.of(users), ranker.form)
    assert np.array_equal(again.indices, found.items)
    assert values.tobytes() == learned.tobytes()
    order = np.random.default_rng(0).permutation(len(learned))
    assert ranker.f(found.features[order]).tobytes() == learned[order].tobytes()
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        for some in (users[7:8], users[3:40:3]):
            part, of_part = source.scored(some, ranker.base.of(some), ranker.form)
            wanted = np.concatenate([learned[found.indptr[u] : found.indptr[u + 1]] for u in some])
            assert of_part.tobytes() == wanted.tobytes()
            assert len(part.indices) == len(wanted)
    finally:
        numba.set_num_threads(threads)


@pytest.mark.parametrize("timed", [False, True])
def test_the_reference_forms_re_rank_alike(timed):
    """Ranks, lists and scores by NumPy are those by Numba, but for rounding."""
    data, random = shop(4, n_users=40, n_items=50), np.random.default_rng(0)
    if timed:
        times = tuple(random.integers(900, size=len(csr.indices)) for csr in data.interactions)
        data = dataclasses.replace(data, times=times)
    base = ranker_of(rng_scores(data))
    width = len(features_of(data.behaviors, timed))
    shapes = (width,), (width,), (width, 5), (5,), (5,), (1,)
    weights = Weights(*(random.normal(size=shape).astype(np.float32) for shape in shapes))
    config = RerankConfig(graph=6, alike=3, model=3, soon=4, neighbours=7)
    found = Reranker(config, weights, graph_of(data))
    one, other = (found.ranker(base, data, device(form)) for form in ("reference", "cpu"))
    users = np.arange(data.n_users, dtype=np.int32)
    seen = data.interactions[-1]
    np.testing.assert_allclose(one.scores(users), other.scores(users), rtol=1e-4, atol=1e-3)
    items = random.integers(data.n_items, size=(5, data.n_users)).astype(np.int32)
    for some in (data.test_items, *items):
        asked = data.test_users if some is data.test_items else users
        ranks = [ranker.ranks(asked, some, seen) for ranker in (one, other)]
        np.testing.assert_array_equal(*ranks)
    lists = [ranker.top_k(users, 30, seen)[0] for ranker in (one, other)]
    np.testing.assert_array_equal(*lists)


def test_it_is_saved_and_loaded(fitted, tmp_path):
    data, model = fitted
    model.save(tmp_path / "m.npz")
    again = Recommender.load(tmp_path / "m.npz")
    assert again.reranker.report == model.reranker.report
    assert again.evaluate(data, protocol="all").protocols["paper"].as_dict() == (
        model.evaluate(data, protocol="all").protocols["paper"].as_dict()
    )
    assert again.recommend([0, 9]) == model.recommend([0, 9])


@pytest.mark.parametrize("n_behaviors", [1, 2, 4])
@pytest.mark.parametrize("model", ["pkef", "graph-rank"])
@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_any_number_of_behaviors(n_behaviors, model, kind):
    data = shop(n_behaviors, n_users=50)
    fields = {"epochs": 1, "d": 4} if model == "pkef" else {}
    found = Recommender(model, **fields).fit(
        data, rerank="learned", rerank_config=RerankConfig(kind=kind).replaced(**QUICK)
    )
    protocols = found.evaluate(data, protocol="all").protocols
    assert protocols["paper"].users == len(np.unique(data.test_users))
    assert all(np.isfinite(values).all() for values in found.reranker.arrays().values())


def test_users_without_anything_keep_the_order_of_the_model():
    data = shop(2)
    patterns = []
    for csr in data.interactions:  # user 0 has nothing at all
        kept = row_of_each(csr) != 0
        patterns.append(
            pattern(row_of_each(csr)[kept], csr.indices[kept], data.n_users, data.n_items)
        )
    data = dataclasses.replace(data, interactions=tuple(patterns))
    config = RerankConfig(model=0).replaced(**QUICK)
    model = Recommender("pkef", epochs=1, d=4).fit(data, rerank="learned", rerank_config=config)
    ranker = model.ranker()
    found, _ = ranker.candidates(np.array([0], np.int32))
    assert not len(found.items)
    assert np.array_equal(ranker.scores(np.array([0]))[0], ranker.base.scores(np.array([0]))[0])


def test_nothing_to_leave_out_is_said_in_a_sentence():
    none = np.empty(0, np.int32)
    one = pattern(np.arange(5), np.arange(5), 5, 6)
    data = Dataset("few", ("view", "buy"), 5, 6, (one, one), none, none, leave_out="target")
    with pytest.raises(InputError, match="no user of data set 'few' has two train 'buy'"):
        Recommender("graph-rank").fit(data, rerank="learned")
    with pytest.raises(InputError, match="rerank cannot be 'leaned'; did you mean 'learned'"):
        Recommender("graph-rank").fit(data, rerank="leaned")


def test_it_beats_its_model_where_users_buy_what_they_viewed():
    data = load_dataset("demo")
    model = Recommender("graph-rank").fit(data)
    before = model.evaluate(data)["NDCG@10"]
    model.rerank(data, draws=1, epochs=4)
    assert model.evaluate(data)["NDCG@10"] > 1.15 * before


def test_learn_reads_no_held_out_item():
    data = shop()
    bare = dataclasses.replace(data, test_users=Csr(*[np.empty(0, np.int32)] * 2)[0],
                               test_items=np.empty(0, np.int32))  # fmt: skip

    base = ranker_of(rng_scores(data))
    config = RerankConfig().replaced(**QUICK)
    a, b = (
        learn(config, one, lambda rest, draws: base, 1.0, device("cpu")) for one in (data, bare)
    )
    assert a.report == b.report


# ---- selection -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["pkef", "graph-rank"])
def test_held_out_items_change_nothing_but_the_test_figures(model, tmp_path):
    """--select val: epoch, parameters, re-ranker and lists are the same for other test items."""
    data = shop()
    random = np.random.default_rng(5)
    other = dataclasses.replace(
        data, test_items=random.integers(data.n_items, size=len(data.test_items)).astype(np.int32)
    )
    fields = {"epochs": 3, "d": 4, "lr": 0.05} if model == "pkef" else {}
    config = RerankConfig().replaced(**QUICK)
    found = [
        Recommender(model, **fields).fit(
            one,
            out=tmp_path / str(n),
            select="val",
            eval_every=1,
            rerank="learned",
            rerank_config=config,
        )
        for n, one in enumerate((data, other))
    ]
    a, b = found
    assert a.selection == b.selection
    assert a.selection.users == np.count_nonzero(np.diff(data.interactions[-1].indptr) >= 3)
    for name, array in a.model.stored().items():
        assert np.array_equal(array, b.model.stored()[name])
    if a.reranker or b.reranker:
        for name, array in a.reranker.arrays().items():
            assert np.array_equal(array, b.reranker.arrays()[name])
    if model == "pkef":
        assert a.history == b.history
        assert [name for name in a.history[0] if "@" in name] == ["val.HR@10", "val.NDCG@10"]
    assert a.recommend([0, 1, 2]) == b.recommend([0, 1, 2])
    assert a.evaluate(data) != b.evaluate(other)
    loaded = Recommender.load(tmp_path / "0")
    assert loaded.selection == a.selection
    assert loaded.recommend([0, 1, 2]) == a.recommend([0, 1, 2])


def test_the_best_epoch_on_validation_is_kept_also_when_resumed(tmp_path):
    data = shop()
    fields = {"d": 4, "lr": 0.2, "seed": 3}
    whole = Recommender("pkef", epochs=6, **fields).fit(data, select="val", eval_every=1)
    figures = [one["val.NDCG@10"] for one in whole.history]
    assert whole.selection.epoch == 1 + int(np.argmax(figures))
    assert whole.selection.metrics["NDCG@10"] == max(figures)
    calls = []
    stopped = Recommender("pkef", epochs=6, **fields).fit(
        data,
        select="val",
        eval_every=1,
        out=tmp_path / "r",
        should_stop=lambda: calls.append(1) or len(calls) == 4,
    )
    resumed = Recommender("pkef", epochs=6, **fields).fit(
        data, select="val", eval_every=1, out=tmp_path / "r", resume=True
    )
    assert stopped.history == whole.history[: len(stopped.history)]
    assert resumed.selection == whole.selection
    for name, array in whole.model.stored().items():
        assert np.array_equal(array, resumed.model.stored()[name])


def test_validation_needs_three_purchases():
    data = shop()
    rows, columns = row_of_each(data.interactions[-1]), data.interactions[-1].indices
    few = pattern(rows[::7], columns[::7], data.n_users, data.n_items)
    few = Csr(np.minimum(few.indptr, 2), few.indices[:2])
    data = dataclasses.replace(data, interactions=(*data.interactions[:-1], few))
    with pytest.raises(InputError, match=r"no user .* has 3 train 'buy' interactions"):
        Recommender("graph-rank").fit(data, select="val")
    with pytest.raises(InputError, match="select cannot be 'best'"):
        Recommender("graph-rank").fit(data, select="best")


def test_the_seed_of_the_model_is_the_re_ranker_s_unless_it_has_one():
    data = shop()
    found = {}
    for seed in (3, 4):
        model = Recommender("pkef", seed=seed, epochs=1, d=4).fit(data)
        found[seed] = model.rerank(data, config=RerankConfig(**QUICK))
        assert found[seed].config.seed == model.reranker.config.seed == seed
    own = model.rerank(data, config=RerankConfig(**QUICK), seed=7)
    assert own.config.seed == 7
    weights = [one.arrays()["outer"] for one in (found[3], found[4], own)]
    assert not np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[1], weights[2])
    aside = [checked_users(one.config, data.n_users) for one in (found[3], found[4])]
    assert not np.array_equal(*aside)
    assert Recommender("graph-rank").fit(data).rerank(data, **QUICK).config.seed == 0


# ---- explanations --------------------------------------------------------------------------------


def test_reasons_sum_to_the_lead_over_the_average_candidate(fitted):
    data, model = fitted
    ranker = model.ranker()
    for user in (0, 7):
        found, learned = ranker.candidates(np.array([user], np.int32))
        average = ranker.f(found.features.mean(axis=0, keepdims=True))[0]
        for item, value, reason in zip(
            found.items, learned, reasons(ranker, user, found.items), strict=True
        ):
            lead = reason.taste + reason.funnel + reason.popularity
            assert lead == pytest.approx(value - average, abs=1e-4)
            for name, csr in zip(data.behaviors, data.interactions, strict=True):
                row = csr.indices[csr.indptr[user] : csr.indptr[user + 1]]
                assert (name in reason.touched) == (item in row)


def test_each_group_gets_what_its_features_do():
    """A linear f of one feature: all of the lead is its group's."""
    data = shop()
    source = Funnel(data, 100, Limits(6, 3, 3), 0.0, 0.9)
    columns = features_of(data.behaviors)
    for name, group in (("own cart", "funnel"), ("buys of the item", "popularity"),
                        ("graph", "taste")):  # fmt: skip
        outer = np.array([float(column.name == name) for column in columns], np.float32)
        width = len(columns)
        weights = Weights(
            np.zeros(width, np.float32),
            np.ones(width, np.float32),
            np.zeros((width, 0), np.float32),
            np.zeros(0, np.float32),
            outer,
            np.zeros(1, np.float32),
        )

        ranker = Reranked(ranker_of(rng_scores(data)), source, weights)
        found, learned = ranker.candidates(np.array([4], np.int32))
        for value, reason in zip(learned, reasons(ranker, 4, found.items), strict=True):
            lead = pytest.approx(value - learned.mean(), abs=1e-4)
            assert getattr(reason, group) == lead
            rest = {"taste", "funnel", "popularity"} - {group}
            assert all(abs(getattr(reason, one)) < 1e-5 for one in rest)


def test_explanations_are_in_words(fitted):
    data, model = fitted
    best = model.recommend([3], k=40)[3]
    (found,) = model.explain([3], [[one.item for one in best]]).values()
    assert len(found) == len(best)
    assert any("taste alone" in reason.text for reason in found)  # behind the candidates
    assert any("the customer has it in" in reason.text for reason in found)
    with pytest.raises(InputError, match="item 'x' is unknown"):
        model.explain([3], [["x"]])
    plain = Recommender("graph-rank").fit(data)
    with pytest.raises(InputError, match="only a re-ranked order can be explained"):
        plain.explain([3], [[1]])
