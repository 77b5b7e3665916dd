"""Pools: what is one config, and what cannot be compared."""

from __future__ import annotations

import shutil

import pytest

from pkef_fast import InputError, Recommender
from pkef_fast.compare.pooled import pools
from pkef_fast.data import generate
from pkef_fast.store import checkpoint
from pkef_fast.store.runs import Run

FIELDS = {"d": 4, "epochs": 1}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by name: mf-bpr of two seeds, of other sizes and choices, and one without seeds."""
    folder = tmp_path_factory.mktemp("runs")
    data = generate(30, 20, seed=4)
    made = {
        "one": dict(seed=1, **FIELDS),
        "two": dict(seed=2, **FIELDS),
        "again": dict(seed=1, **FIELDS),
        "wide": {"seed": 1, **FIELDS, "d": 8},
    }
    for name, fields in made.items():
        Recommender("mf-bpr", **fields).fit(data, out=folder / name, select="last")
    Recommender("mf-bpr", seed=3, **FIELDS).fit(data, out=folder / "val", select="val")
    Recommender("graph-rank").fit(data, out=folder / "graph")
    Recommender("graph-rank").fit(generate(30, 20, seed=5), out=folder / "other")
    return {path.name: Run.open(path) for path in folder.iterdir()}


def names(found):
    return [[run.path.name for run in one.runs] for one in found]


def test_seeds_of_one_config_are_one_pool(runs):
    found = pools([runs[name] for name in ("graph", "two", "wide", "one")])
    assert names(found) == [["graph"], ["two", "one"], ["wide"]]
    assert [one.seeds for one in found] == [(None,), (2, 1), (1,)]
    assert [one.name for one in found][1:] == ["mf-bpr, d=4, epochs=1", "mf-bpr, d=8, epochs=1"]
    assert found[0].name.startswith("graph-rank")
    assert not any(one.reranked for one in found)
    assert names(pools([runs["two"], runs["one"]], each=True)) == [["two"], ["one"]]


def test_another_choice_of_the_epoch_is_another_thing(runs):
    found = pools([runs["one"], runs["val"]])
    assert names(found) == [["one"], ["val"]]
    assert [one.name for one in found] == [
        f"mf-bpr, d=4, epochs=1 ({runs[name].path})" for name in ("one", "val")
    ]


def test_a_start_from_other_parameters_is_another_thing(runs, tmp_path):
    data = generate(30, 20, seed=4)
    for name, seed in (("started", 5), ("too", 6)):
        Recommender("mf-bpr", seed=seed, **FIELDS).fit(
            data, out=tmp_path / name, select="last", init_from=runs["one"].path
        )
    found = pools([runs["one"], *(Run.open(tmp_path / name) for name in ("started", "too"))])
    assert names(found) == [["one"], ["started", "too"]]


def test_a_re_ranker_is_part_of_the_config_unless_it_is_left_out(runs, tmp_path):
    shutil.copytree(runs["two"].path, tmp_path / "two")
    data = generate(30, 20, seed=4)
    model = Recommender.load(tmp_path / "two")
    model.rerank(data, "target", epochs=1, twin_epochs=1, draws=1)
    model.save(tmp_path / "two" / "model.npz")
    two = Run.open(tmp_path / "two")
    found = pools([runs["one"], two])
    assert [one.reranked for one in found] == [False, True]
    assert found[1].name == "mf-bpr, d=4, epochs=1 re-ranked"
    assert names(pools([runs["one"], two], plain=True)) == [["one", "two"]]


def test_a_run_of_a_version_without_some_field_had_its_default(runs, tmp_path):
    shutil.copytree(runs["two"].path, tmp_path / "old")
    old = Run.open(tmp_path / "old")
    facts, arrays = checkpoint.read(old.model_file, "model")
    assert facts["config"].pop("average") == 0
    checkpoint.write(old.model_file, "model", facts, arrays)
    (found,) = pools([runs["one"], old])
    assert found.seeds == (1, 2)
    facts["config"]["average"] = 0.5
    checkpoint.write(old.model_file, "model", facts, arrays)
    assert names(pools([runs["one"], old])) == [["one"], ["old"]]


def test_epochs_that_were_added_later_count(runs, tmp_path):
    """config.toml says what was asked for first, the model file what there is."""
    shutil.copytree(runs["one"].path, tmp_path / "more")
    data = generate(30, 20, seed=4)
    fields = {**FIELDS, "epochs": 2}
    Recommender("mf-bpr", seed=1, **fields).fit(
        data, out=tmp_path / "more", resume=True, select="last"
    )
    found = pools([runs["one"], Run.open(tmp_path / "more")])
    assert [one.name for one in found] == ["mf-bpr, d=4, epochs=1", "mf-bpr, d=4, epochs=2"]


def test_what_cannot_be_compared_is_refused(runs, tmp_path):
    def refused(*given, words):
        with pytest.raises(InputError) as found:
            pools(list(given))
        text = str(found.value)
        assert text.count("\n") == 0
        for word in words:
            assert word in text, text

    refused(
        runs["graph"],
        runs["other"],
        words=["other was trained on other data or another split than", "fingerprint is", "wanted"],
    )
    refused(runs["one"], runs["one"], words=["named twice"])
    refused(runs["one"], runs["again"], words=["one config and one seed (1)", "--each"])
    shutil.copytree(runs["one"].path, tmp_path / "cut")
    (tmp_path / "cut" / "model.npz").unlink()
    refused(runs["one"], Run(tmp_path / "cut"), words=["not finished", "--resume"])
