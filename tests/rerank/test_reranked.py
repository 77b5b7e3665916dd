"""A re-ranked order stays a ranking, on every device, and can be stored."""

from __future__ import annotations

import dataclasses

import numba
import numpy as np
import pytest
from recorder import Recorder
from rerank_shops import QUICK, dense, ranker_of, rng_scores, shop

from pkef_fast import InputError, Recommender, load_dataset
from pkef_fast.data import Csr, Dataset
from pkef_fast.data.patterns import pattern, row_of_each
from pkef_fast.device import device, on
from pkef_fast.kernels.candidates import Limits, Weights
from pkef_fast.rerank import RerankConfig, Reranked, Reranker, learn
from pkef_fast.rerank.funnel import Funnel, features_of
from pkef_fast.rerank.reranker import graph_of


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
