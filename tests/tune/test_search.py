"""Searching by validation: what is proposed, that it resumes, and that test items have no say."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from pkef_fast import Recommender
from pkef_fast.config import toml
from pkef_fast.config.space import Choice, Range
from pkef_fast.data import generate
from pkef_fast.errors import InputError
from pkef_fast.holdout.validation import validation_items, validation_split
from pkef_fast.models import MODELS
from pkef_fast.tune.search import Search

optuna = pytest.importorskip("optuna")

NAMES = ("view", "cart", "buy")
FIXED = {"d": 4, "layers": "1,1,1", "batch_users": 64, "epochs": 2, "negatives": 2}


@pytest.fixture(scope="module")
def data():
    return generate(n_users=120, n_items=60, behaviors=NAMES, seed=0)


@pytest.fixture(autouse=True)
def cold(monkeypatch):
    """No tiny model before each trial: nobody waits here."""
    monkeypatch.setattr("pkef_fast.train.fit.warm_up", lambda *args: None)


def as_tuples(found):
    return [(one.number, one.value, one.epoch, one.fields, one.pruned) for one in found.trials]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("behaviors", [("buy",), NAMES, ("click", "collect", "cart", "buy")])
def test_every_value_of_every_space_is_one_that_the_config_takes(name, behaviors):
    model = MODELS[name]
    base = model.preset(model.default_preset(""), behaviors)
    space = model.space(behaviors)
    lows = {one.field: one.low for one in space if isinstance(one, Range)}
    for one in space:
        values = one.values if isinstance(one, Choice) else (one.low, one.high)
        for value in values:
            base.replaced(**{**lows, one.field: value}).checked(behaviors)
        assert one.field in str(one)


def test_a_range_may_have_what_another_one_leaves():
    beta = Range("beta", 0.05, 1.0, rest_of="alpha")
    assert beta.bounds({"alpha": 0.3}) == (0.05, 0.7)
    assert beta.bounds({"alpha": 0.99}) == (0.05, 0.05)
    assert str(beta) == "beta 0.05 … 1 − alpha"
    assert str(Range("lr", 1e-3, 1.0, log=True)) == "lr 0.001 … 1 (log)"


def test_a_search_finds_what_a_run_on_the_validation_items_gives(data, tmp_path):
    search = Search(data, changes=FIXED, metric="NDCG@10", protocol="paper", seed=3)
    found = search.run(tmp_path / "s.db", 4)
    assert [one.number for one in found.trials] == [0, 1, 2, 3]
    assert found.best.value == max(one.value for one in found.trials if not one.pruned)
    assert set(found.best.fields) == {one.field for one in MODELS["pkef"].space(NAMES)} - set(FIXED)
    search.write(found, tmp_path / "best.toml")
    fields, tables = toml.load(tmp_path / "best.toml")
    config = MODELS["pkef"].preset("official", NAMES).replaced(**fields).checked(NAMES)
    assert config == found.config
    assert config.epochs == found.best.epoch
    assert tables["run"] == {"model": "pkef", "preset": "official"}
    split = validation_split(data, validation_items(data, 1.0, 3))
    value = Recommender("pkef", config=config).fit(split).evaluate(split)["NDCG@10"]
    assert value == found.best.value == tables["tune"]["validation"]


@pytest.mark.parametrize("model", MODELS)
def test_the_test_items_change_nothing(data, tmp_path, model):
    changes = {"pkef": FIXED, "graph-rank": {}}.get(model, {"epochs": 3})
    others = replace(data, test_items=(data.test_items + 7) % data.n_items)
    none = replace(data, test_items=data.test_items[:0], test_users=data.test_users[:0])
    results = []
    for number, one in enumerate((data, others, none)):
        search = Search(one, model, changes=changes, protocol="discovery", seed=1)
        found = search.run(tmp_path / f"{number}.db", 3)
        results.append((as_tuples(found), search.toml(found), search._facts()))
        assert not np.shares_memory(search.data.test_items, one.test_items)
    assert results[0] == results[1] == results[2]


def test_a_study_resumes_and_does_not_repeat_itself(data, tmp_path):
    def search():
        return Search(data, "graph-rank", seed=2)

    first = search().run(tmp_path / "s.db", 3)
    more = search().run(tmp_path / "s.db", 6)
    assert as_tuples(more)[:3] == as_tuples(first)
    alphas = [one.fields["alpha"] for one in more.trials]
    assert len(alphas) == len(set(alphas)) == 6
    assert as_tuples(search().run(tmp_path / "s.db", 6)) == as_tuples(more)
    assert all(one.fields["alpha"] + one.fields["beta"] <= 1 for one in more.trials)
    assert more.best.epoch == 0
    same = search().run(tmp_path / "other.db", 3)
    assert as_tuples(same) == as_tuples(first)


def test_another_search_may_not_use_the_study(data, tmp_path):
    Search(data, "graph-rank", seed=2).run(tmp_path / "s.db", 1)
    with pytest.raises(InputError, match="of another search: its metric is 'HR@10', this one's"):
        Search(data, "graph-rank", seed=2, metric="MRR").run(tmp_path / "s.db", 2)
    with pytest.raises(InputError, match="of another search: its seed is 2"):
        Search(data, "graph-rank", seed=3).run(tmp_path / "s.db", 2)
    (tmp_path / "text.db").write_text("not a study at all", encoding="utf-8")
    with pytest.raises(InputError, match=r"text\.db is not a study"):
        Search(data, "graph-rank").run(tmp_path / "text.db", 1)


def test_trials_are_given_up_by_their_epochs(data, tmp_path, monkeypatch):
    """A pruner that gives up all but the first trial after their first epoch."""

    class AllButTheFirst(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number > 0

    monkeypatch.setattr(optuna.pruners, "NopPruner", AllButTheFirst)
    search = Search(data, changes=FIXED, pruner="none")
    found = search.run(tmp_path / "s.db", 3)
    assert [one.pruned for one in found.trials] == [False, True, True]
    assert found.best.number == 0
    assert all(one.epoch == 1 for one in found.trials[1:])


def test_a_trial_that_diverges_is_given_up(data, tmp_path):
    search = Search(data, changes=FIXED | {"lr": 1e30})
    with pytest.raises(InputError, match=r"no trial of .* came to its end"):
        search.run(tmp_path / "s.db", 2)


def test_a_timeout_ends_the_search(data, tmp_path):
    found = Search(data, "graph-rank").run(tmp_path / "s.db", 500, timeout=0.01)
    assert len(found.trials) == 1
    assert not math.isnan(found.best.value)


BAD = [
    ({"metric": "HR@5"}, "metric 'HR@5' is unknown"),
    ({"pruner": "medain"}, "pruner 'medain' is unknown; did you mean 'median'"),
    ({"protocol": "all"}, "protocol 'all' is several"),
    ({"protocol": "some"}, "protocol 'some' is unknown"),
    ({"changes": {"epochs": 0}}, "a trial of 0 epochs trains nothing"),
    ({"model": "graph-rank", "changes": {"alpha": 0, "beta": 1}}, "every field of model"),
    ({"protocol": "return", "visible": 0.0}, "no validation user of data set 'synthetic' counts"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD, ids=[one[1] for one in BAD])
def test_bad_searches_are_refused_in_a_sentence(data, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Search(data, **arguments)


def test_bad_numbers_are_refused_in_a_sentence(data, tmp_path):
    search = Search(data, "graph-rank")
    with pytest.raises(InputError, match="trials cannot be 0"):
        search.run(tmp_path / "s.db", 0)
    with pytest.raises(InputError, match="timeout cannot be -1"):
        search.run(tmp_path / "s.db", 1, timeout=-1)


def test_without_optuna_one_sentence_says_what_to_install(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'pkef-fast\[tune\]'"):
        Search(data, "graph-rank").run(tmp_path / "s.db", 1)
