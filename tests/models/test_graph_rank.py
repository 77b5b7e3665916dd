"""Graph ranking against dense float64 matrices, and as a model like any other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import dense_graph_rank as dense
import numpy as np
import pytest
from forms import emulated

from pkef_fast import PKEF, InputError, PkefError, Recommender, load_dataset
from pkef_fast.data import Csr, Dataset, generate
from pkef_fast.data.patterns import pattern
from pkef_fast.device import device
from pkef_fast.evaluate.rankers import RowsRanker, TableRanker
from pkef_fast.kernels.rank import DotScorer
from pkef_fast.models.graph_rank import GraphRank, GraphRankConfig

TESTS = Path(__file__).parent.parent
FIXTURES = sorted((TESTS / "fixtures").glob("graph_rank_*.npz"))
DEVICES = ("cpu", "reference", pytest.param("emulator", marks=pytest.mark.emulator))


def place_of(name):
    return emulated() if name == "emulator" else device(name)


def dataset(matrices):
    n_users, n_items = matrices[0].shape
    none = np.empty(0, np.int32)
    return Dataset(
        "dense",
        tuple(f"b{k}" for k in range(len(matrices))),
        n_users,
        n_items,
        tuple(pattern(*np.nonzero(m), n_users, n_items) for m in matrices),
        none,
        none,
    )


def model_of(data, place, **fields):
    config = GraphRankConfig().replaced(**fields).checked(data.behaviors)
    return GraphRank(config, data, place_of(place))


@pytest.mark.parametrize("place", DEVICES)
@pytest.mark.parametrize("file", FIXTURES, ids=lambda file: file.stem)
def test_stages_equal_the_dense_walk(file, place):
    with np.load(file) as z:
        behaviors = range(sum(name.startswith("R.") for name in z.files))
        data = dataset([z[f"R.{k}"] for k in behaviors])
        exact = {"precision": "float64", "tolerance": 1e-14, "rounds": 1000}
        model = model_of(data, place, alpha=float(z["alpha"]), beta=float(z["beta"]), **exact)
        users = np.arange(data.n_users, dtype=np.int32)
        for found in (model.stages(users), model.plain(users)):
            for k in behaviors:
                scores = model.device.to_host(found[k]).T
                np.testing.assert_allclose(scores, z[f"scores.{k}"], rtol=1e-9, atol=1e-13)


def test_there_are_fixtures():
    assert len(FIXTURES) == len(dense.CASES)


@pytest.mark.parametrize("rounds", range(1, 8))
def test_the_single_walk_gives_the_items_of_the_same_round(rounds):
    """First behaviour: exactly round n. Later ones start from users of round n + 1."""
    matrices = dense.interactions(5, 14, 10, 2)
    data = dataset(matrices)
    fixed = {"tolerance": 0.0, "rounds": rounds, "alpha": 0.2, "beta": 0.3, "precision": "float64"}
    model = model_of(data, "cpu", **fixed)
    assert model.rounds.tolist() == [rounds, rounds]
    users = np.arange(14, dtype=np.int32)
    single, both = model.stages(users), model.plain(users)
    np.testing.assert_allclose(single[0], both[0], rtol=1e-12, atol=1e-15)
    difference = np.abs(single[1] - both[1]).max()
    assert difference <= 0.5**rounds  # γ^n: one round more on the users' side changes no more
    np.testing.assert_allclose(both[0].T, dense.walk(matrices[:1], 0.2, 0.3, 0, rounds)[0][0])


def test_rounds_end_when_the_mean_change_of_all_users_is_small():
    matrices = dense.interactions(6, 20, 12, 2)  # fewer users than the probe: all are asked
    wanted, carried = [], None
    for m in matrices:
        a = np.block([[np.zeros((20, 20)), m], [m.T, np.zeros((12, 12))]])
        degree = np.maximum(a.sum(1), 1)
        a /= np.sqrt(np.outer(degree, degree))
        own = m / np.maximum(m.sum(1, keepdims=True), 1)
        r = q = np.vstack([np.eye(20), own.T])
        carried = q if carried is None else carried
        changes = []
        while not changes or changes[-1] > 1e-4:
            new = 0.3 * a @ r + 0.1 * q + 0.6 * carried
            changes.append(np.abs(new - r).sum() / 20)
            r = new
        carried = r
        wanted.append(len(changes))
    model = model_of(dataset(matrices), "cpu", precision="float64", alpha=0.1, beta=0.6)
    assert model.rounds.tolist() == wanted
    assert min(wanted) > 3
    capped = model_of(dataset(matrices), "cpu", alpha=0.1, beta=0.6, rounds=2)
    assert capped.rounds.tolist() == [2, 2]


def test_a_users_scores_do_not_depend_on_the_block_or_the_threads():
    import numba

    data = generate(150, 40, seed=2)
    model = model_of(data, "cpu")
    users = np.arange(10, 74, dtype=np.int32)
    whole = model.stages(users)
    for start, size in ((0, 1), (3, 17), (40, 24)):
        part = model.stages(users[start : start + size])
        for a, b in zip(whole, part, strict=True):
            np.testing.assert_array_equal(a[:, start : start + size], b)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        for a, b in zip(whole, model.stages(users), strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("place", DEVICES)
def test_a_block_ranker_equals_a_table_ranker(place):
    """Blocks of 4 users, users that repeat and stand in any order, against all scores at once."""
    random = np.random.default_rng(0)
    table = random.integers(0, 6, (11, 9)).astype(np.float32)  # many ties
    scorer = DotScorer(np.eye(11, dtype=np.float32), np.ascontiguousarray(table.T))
    where = place_of(place)
    whole = TableRanker(where.place(scorer), where)
    blocks = RowsRanker(lambda users: where.place(table[users].T.copy()), where, 9, 4)
    users = random.integers(0, 11, 30).astype(np.int32)
    items = random.integers(0, 9, 30).astype(np.int32)
    seen = pattern(*np.nonzero(random.random((11, 9)) < 0.3), 11, 9)
    np.testing.assert_array_equal(blocks.scores(users), table[users])
    for a, b in zip(blocks.ranks(users, items, seen), whole.ranks(users, items, seen), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(blocks.top_k(users, 8, seen), whole.top_k(users, 8, seen), strict=True):
        np.testing.assert_array_equal(a, b)
    none = np.empty(0, np.int32)
    assert blocks.scores(none).shape == (0, 9)
    assert blocks.top_k(none, 3, seen)[0].shape == (0, 3)
    assert len(blocks.ranks(none, none, seen)[0]) == 0


def test_it_recommends_what_it_ranks_and_is_saved_whole(tmp_path):
    data = generate(90, 30, seed=4)
    model = Recommender("graph-rank").fit(data)
    result = model.evaluate(data)
    best = model.recommend(data.test_users.tolist(), k=5)
    for rank, user, item in zip(result.ranks, data.test_users, data.test_items, strict=True):
        listed = [one.item for one in best[user]]
        assert (item in listed) == (rank < 5)
    model.save(tmp_path / "m.npz")
    again = Recommender.load(tmp_path / "m.npz")
    assert again.recommend([3, 7], k=4) == model.recommend([3, 7], k=4)
    np.testing.assert_array_equal(again.evaluate(data).ranks, result.ranks)
    with pytest.raises(InputError, match=r"m\.npz holds a model 'graph-rank'"):
        PKEF.load(tmp_path / "m.npz")


@pytest.mark.emulator
def test_cuda_ranks_as_the_cpu():
    data = generate(40, 25, seed=3)
    fields = {"precision": "float64", "tolerance": 1e-12}
    cuda, cpu = (
        Recommender("graph-rank", None, p, **fields).fit(data) for p in (emulated(), "cpu")
    )
    first, second = (one.evaluate(data, protocol="all") for one in (cuda, cpu))
    for name in first.protocols:
        np.testing.assert_array_equal(first.protocols[name].ranks, second.protocols[name].ranks)


def test_presets_are_chosen_by_the_data_sets_name():
    behaviors = ("click", "collect", "cart", "buy")
    assert GraphRank.preset(GraphRank.default_preset("tmall"), behaviors).alpha == 0.7
    assert GraphRank.preset(GraphRank.default_preset("tmall"), behaviors).beta == 0.2
    for name in ("taobao", "any shop"):
        config = GraphRank.preset(GraphRank.default_preset(name), ("view", "buy"))
        assert (config.alpha, config.beta) == (0.0, 0.9)
    data = dataclasses.replace(generate(30, 20, behaviors=behaviors, seed=0), name="tmall")
    assert Recommender("graph-rank").fit(data).model.config.alpha == 0.7


BAD = [
    ({"alpha": 0.7, "beta": 0.4}, "'alpha' 0.7 and 'beta' 0.4 have the sum 1.1"),
    ({"alpha": 0, "beta": 0}, "wanted more than 0 and at most 1"),
    ({"alpha": -0.1}, "'alpha' cannot be -0.1; wanted at least 0"),
    ({"rounds": 0}, "'rounds' cannot be 0; wanted at least 1"),
    ({"tolerance": "nan"}, "'tolerance' cannot be nan"),
    ({"layers": 3}, "'layers' is unknown"),
]


@pytest.mark.parametrize(("fields", "sentence"), BAD, ids=[str(one[0]) for one in BAD])
def test_bad_fields_are_refused(fields, sentence):
    with pytest.raises(InputError) as error:
        Recommender("graph-rank", **fields).fit(generate(20, 15, seed=0))
    assert sentence in str(error.value)


def test_what_it_cannot_do_is_said():
    with pytest.raises(InputError, match="model 'graph-rnk' is unknown; did you mean 'graph-rank'"):
        Recommender("graph-rnk")
    with pytest.raises(InputError, match="no steps, so there is none to resume"):
        Recommender("graph-rank").fit(generate(20, 15, seed=0), out="x", resume=True)
    with pytest.raises(PkefError, match="this Recommender has not been trained"):
        Recommender("graph-rank").recommend([0])


def test_taobaos_published_figures(real_data):
    """A sample of users, whose figures lie within four standard errors of the published ones."""
    data = load_dataset("taobao", real_data)
    some = slice(0, None, 12)
    sample = dataclasses.replace(
        data, test_users=data.test_users[some], test_items=data.test_items[some]
    )
    found = Recommender("graph-rank").fit(data).evaluate(sample)
    assert found.users > 1200
    assert found["HR@10"] == pytest.approx(0.3324, abs=4 * (0.332 * 0.668 / found.users) ** 0.5)
    assert found["NDCG@10"] == pytest.approx(0.1626, abs=4 * 0.26 / found.users**0.5)
    assert isinstance(data.interactions[0], Csr)
