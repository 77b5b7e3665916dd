"""A fit that chooses its epochs by validation items, and then learns from everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from commands import call, last_json

from pkef_fast import Recommender
from pkef_fast.data import generate, load_dataset
from pkef_fast.errors import InputError
from pkef_fast.holdout.validation import everything
from pkef_fast.train.refit import FILE

SMALL = {"d": 4, "epochs": 6, "seed": 3}


@pytest.fixture(scope="module")
def data():
    return generate(n_users=60, n_items=40, seed=2)


def stored(model):
    return model.model.stored()


def assert_equal(one, other):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("name", ["mf-bpr", "pkef"])
def test_it_is_a_fit_of_everything_for_the_chosen_epochs(data, name):
    model = Recommender(name, **SMALL).fit(data, select="val", refit=True, eval_every=2)
    chosen = Recommender(name, **SMALL).fit(data, select="val", eval_every=2)
    assert model.selection.epoch == chosen.selection.epoch
    assert model.selection.metrics == chosen.selection.metrics
    whole = Recommender(name, **{**SMALL, "epochs": chosen.selection.epoch})
    whole.fit(data, select="last")
    assert_equal(stored(model), stored(whole))
    assert model.trainer.epoch == chosen.selection.epoch
    assert "trained anew on everything" in model.selection.sentence("buy")


def test_it_learns_from_validation_pairs_and_from_all_of_a_production_fit(data, tmp_path):
    own = (data.test_users[::2].copy(), data.test_items[::2].copy())
    none = np.empty(0, np.int32)
    data = replace(data, validation=own, test_users=none, test_items=none, split="none")
    model = Recommender("mf-bpr", **SMALL).fit(data, select="val", refit=True, out=tmp_path / "run")
    learned = model.fitting.trained_on
    count = len(data.interactions[-1].indices)
    assert len(learned.interactions[-1].indices) == count + len(own[0])
    assert learned.validation is None
    whole = Recommender("mf-bpr", **{**SMALL, "epochs": model.selection.epoch})
    assert_equal(stored(model), stored(whole.fit(everything(data), select="last")))
    loaded = Recommender.load(tmp_path / "run")
    assert loaded.selection.refit
    user = int(own[0][0])
    offered = {one.item for one in loaded.recommend([user], k=40)[user]}
    assert int(own[1][0]) not in offered  # known, and so not offered again


@pytest.mark.parametrize("steps", [1, 4, 9, 14])
def test_it_goes_on_where_it_was_stopped(data, tmp_path, steps):
    whole = Recommender("mf-bpr", **SMALL).fit(data, select="val", refit=True, eval_every=1)
    made = whole.trainer.steps_per_epoch * (6 + whole.selection.epoch)
    left = iter(range(made + 1))
    out = tmp_path / "run"
    model = Recommender("mf-bpr", **SMALL).fit(
        data, select="val", refit=True, eval_every=1, out=out,
        should_stop=lambda: next(left) + 1 >= steps,
    )  # fmt: skip
    assert model.fitting.finished == (steps >= made)
    again = Recommender("mf-bpr", **SMALL)
    again.fit(data, select="val", refit=True, eval_every=1, out=out, resume=True)
    assert again.fitting.finished
    assert_equal(stored(again), stored(whole))
    assert again.selection == whole.selection
    assert (out / FILE).is_file()


def test_it_starts_where_the_first_one_did(data, tmp_path):
    Recommender("mf-bpr", **SMALL).fit(data, select="val", out=tmp_path / "mf")
    words = {"select": "val", "refit": True, "eval_every": 1}
    one = Recommender("lightgcn", **SMALL).fit(data, init_from=tmp_path / "mf", **words)
    plain = Recommender("lightgcn", **SMALL).fit(data, **words)
    tables = [stored(model)["user_embedding"] for model in (one, plain)]
    assert not np.array_equal(*tables)
    stopped = Recommender("lightgcn", **SMALL).fit(
        data, init_from=tmp_path / "mf", out=tmp_path / "run", should_stop=lambda: True, **words
    )
    assert not stopped.fitting.finished
    again = Recommender("lightgcn", **SMALL)
    again.fit(data, out=tmp_path / "run", resume=True, **words)
    assert_equal(stored(again), stored(one))


def test_nothing_to_choose_is_refused(data):
    with pytest.raises(InputError, match="wanted select 'val' beside refit"):
        Recommender("mf-bpr", **SMALL).fit(data, select="last", refit=True)


def test_a_model_without_steps_is_fitted_to_everything_anyway(data):
    model = Recommender("graph-rank").fit(data, select="val", refit=True)
    plain = Recommender("graph-rank").fit(data)
    np.testing.assert_array_equal(model.evaluate(data).ranks, plain.evaluate(data).ranks)


def test_the_command(tmp_path):
    rows = "".join(f"{u},{(u * 7 + i) % 19},buy,{i}\n" for u in range(30) for i in range(6))
    (tmp_path / "log.csv").write_text(f"user,item,behavior,time\n{rows}", encoding="utf-8")
    words = ("--dataset", tmp_path / "log.csv", "--split", "none", "--model", "mf-bpr")
    out = tmp_path / "run"
    found = last_json(
        call("train", *words, "--epochs", 4, "--set", "d=4", "--refit", "--out", out, "--json")
    )
    assert found["selection"]["refit"] is True
    assert found["epochs"] == found["selection"]["epoch"]
    assert found["metrics"] == {"HR@10": None, "NDCG@10": None}
    data = load_dataset(tmp_path / "log.csv", split="none")
    assert sum(map(len, (csr.indices for csr in data.interactions))) == 180
    found = last_json(call("recommend", out, "--user", 3, "-k", 13, "--json"))
    bought = {(3 * 7 + i) % 19 for i in range(6)}
    offered = {one["item"] for one in found["users"]["3"]}
    assert len(offered) == 13
    assert not offered & bought
    assert "lies in" in call("train", "--resume", out).stdout
