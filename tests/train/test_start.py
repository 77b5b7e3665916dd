"""Starting a model from another one's parameters: what is taken, what is refused, what is noted."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from commands import call, check_refusal, last_json

from pkef_fast import Recommender
from pkef_fast.config import toml
from pkef_fast.data import generate
from pkef_fast.errors import InputError

NAMES = ("view", "cart", "buy")
SMALL = {"d": 6, "batch": 16, "epochs": 2, "patience": None}


def shop(**changes):
    return generate(**{"n_users": 40, "n_items": 30, "behaviors": NAMES, "seed": 0, **changes})


@pytest.fixture
def views(tmp_path):
    """A run of LightGCN on the views."""
    data, out = shop(), tmp_path / "views"
    Recommender("lightgcn", behavior="view", **SMALL).fit(data, out=out, select="last")
    return out


def test_tables_start_where_the_other_model_stopped_and_the_rest_as_ever(views):
    data = shop()
    other = Recommender.load(views).model.stored()
    own = Recommender("mb-cgcn", **{**SMALL, "epochs": 0}).fit(data, select="last").model.stored()
    for source in (views, views / "model.npz"):
        model = Recommender("mb-cgcn", **{**SMALL, "epochs": 0, "average": 0.5})
        found = model.fit(data, select="last", init_from=source).model
        for name, value in found.stored().items():
            wanted = other if name in other else own
            np.testing.assert_array_equal(value, wanted[name])
            np.testing.assert_array_equal(value, found.parameters[name].data)
        assert not np.array_equal(other["user_embedding"], own["user_embedding"])


def test_going_on_needs_nothing_of_the_other_run(views, tmp_path):
    data, fields = shop(), {**SMALL, "epochs": 4}
    whole = Recommender("mb-cgcn", **fields).fit(
        data, select="last", out=tmp_path / "whole", init_from=views
    )
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == 3

    cut = tmp_path / "cut"
    Recommender("mb-cgcn", **fields).fit(
        data, select="last", out=cut, init_from=views, should_stop=stop
    )
    _, tables = toml.load(cut / "config.toml")
    assert tables["run"]["init_from"] == str(views)
    shutil.rmtree(views)
    Recommender("mb-cgcn", **fields).fit(data, select="last", out=cut, resume=True)
    assert (cut / "model.npz").read_bytes() == (tmp_path / "whole" / "model.npz").read_bytes()
    plain = Recommender("mb-cgcn", **fields).fit(data, select="last")
    assert plain.history != whole.history


def refused(data, source, words, name="mb-cgcn", fields=SMALL, select="last", **settings):
    with pytest.raises(InputError) as error:
        Recommender(name, **fields).fit(data, init_from=source, select=select, **settings)
    for word in words:
        assert word in str(error.value)


def test_what_does_not_fit_is_refused_in_one_sentence(views, tmp_path):
    data = shop()
    refused(shop(seed=1), views, ["trained on other data", "same train interactions"])
    refused(shop(n_users=41), views, ["trained on other data"])
    fields = {**SMALL, "d": 8}
    refused(data, views, ["user_embedding is (40, 6)", "wanted (40, 8)"], fields=fields)
    refused(data, tmp_path / "nowhere.npz", ["does not exist"])
    Recommender("graph-rank").fit(data, out=tmp_path / "graphs")
    refused(data, tmp_path / "graphs", ["no parameters to start from", "user_embedding"])
    refused(data, views, ["'graph-rank' has no parameters"], name="graph-rank", fields={})
    refused(data, views, ["its own checkpoint"], out=tmp_path / "views", resume=True)


def test_a_run_chosen_on_validation_items_starts_from_one_that_has_not_seen_them(views, tmp_path):
    data = shop()
    refused(data, views, ["validation items", "--select val too"], select="val")
    out = tmp_path / "chosen"
    Recommender("lightgcn", behavior="view", **SMALL).fit(data, out=out, select="val", eval_every=1)
    model = Recommender("mb-cgcn", **{**SMALL, "epochs": 1})
    assert model.fit(data, init_from=out, select="val").selection.users > 0


def test_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ("--epochs", "1", "--set", "d=6", "--set", "batch=256", "--json")
    first = last_json(call("train", "--model", "lightgcn", "--set", "behavior=view", *small))
    assert first["run"].endswith("demo-lightgcn-1")
    words = ("train", "--model", "mb-cgcn", "--init-from", first["run"])
    run = last_json(call(*words, *small))["run"]
    _, tables = toml.load(tmp_path / run / "config.toml")
    assert tables["run"]["init_from"] == first["run"]
    again = call("train", "--resume", run, "--init-from", first["run"], code=2)
    check_refusal(again, ["--init-from", "--resume"])
    # The run's config file repeats it, the other run included.
    repeated = last_json(call("train", "--config", f"{run}/config.toml", "--json"))["run"]
    there, here = (np.load(tmp_path / one / "model.npz") for one in (run, repeated))
    for name in there.files:
        np.testing.assert_array_equal(there[name], here[name])
    check_refusal(call(*words[:-1], "runs/none", *small, code=2), ["runs/none"])
