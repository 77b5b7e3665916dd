"""The epoch and the re-ranker chosen by validation items."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rerank_shops import QUICK, shop

from pkef_fast import InputError, Recommender
from pkef_fast.data import Csr
from pkef_fast.data.patterns import pattern, row_of_each
from pkef_fast.rerank import RerankConfig, checked_users


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


def test_a_reranker_that_nobody_could_test_is_said_to_be():
    """The one user set aside to check it by gave no validation item."""
    data = shop()
    model = Recommender("graph-rank").fit(data, select="val")
    gave = np.diff(data.interactions[-1].indptr) >= 3
    assert not gave.all()
    seed = next(
        seed
        for seed in range(500)
        if not gave[checked_users(RerankConfig(seed=seed, check=0.01), data.n_users)].any()
    )
    model.rerank(data, seed=seed, check=0.01, **QUICK)
    assert model.selection.reranker == {"model": None, "re-ranked": None, "kept": True}
    said = model.selection.sentence("buy")
    assert said.endswith("; re-ranker kept, with no user left to test it on.")
