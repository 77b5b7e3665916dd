"""The store of runs: what a run is called, when it is done, and how it goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pkef_fast import Recommender
from pkef_fast.device import device
from pkef_fast.evaluate.figures import gains
from pkef_fast.reproduce import worker
from pkef_fast.reproduce.experiments import GRAPH_RANK, PKEF, ROWS, Configuration
from pkef_fast.reproduce.runs import Busy, Store, Task

SMALL = Configuration("pkef", "official", (("d", 4), ("layers", (2, 1, 1))))


def task(data, configuration=SMALL, select="val", seed=1, epochs=7):
    return Task.of(configuration, data, data.fingerprint(), select, seed, epochs)


def contents(folder):
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A store with a run that nobody disturbed."""
    store = Store(tmp_path_factory.mktemp("store"))
    assert store.make(task(data), data, device("cpu"))
    return store


def test_a_runs_name_says_what_its_figures_depend_on(data):
    one = task(data)
    assert one.key == task(data).key
    others = [
        task(data, seed=2),
        task(data, epochs=8),
        task(data, select="last"),
        task(data, PKEF),
        Task.of(SMALL, data, "other data", "val", 1, 7),
    ]
    assert len({one.key, *(other.key for other in others)}) == 6
    assert task(data, seed=2).pool == one.pool
    assert one.pool not in {other.pool for other in others[1:]}
    # The same config by another way is the same run; a model without seeds is one run.
    spelt = Configuration("pkef", "wide", (("d", 64), ("negatives", 1)))
    assert task(data, spelt).key == task(data, PKEF).key
    assert task(data, GRAPH_RANK).key == task(data, GRAPH_RANK, "last", seed=2, epochs=1).key
    without = ROWS["table3"]["w/o PME"], ROWS["table5"]["PKF+Bilinear"]
    assert len({task(data, each).key for each in without}) == 1


def test_epochs_are_a_cap(data):
    own = task(data, epochs=None)
    assert task(data, epochs=own.config.epochs - 1).config.epochs == own.config.epochs - 1
    assert task(data, epochs=own.config.epochs + 1).key == own.key


def test_the_result_is_that_of_the_library(whole, data):
    one = task(data)
    model = Recommender("pkef", "official", "cpu", one.config)
    model.fit(data, select="val", eval_every=5)
    wanted = model.evaluate(data, protocol="all").protocols
    found = whole.result(one)
    for name, figures in wanted.items():
        assert found.metric("NDCG@10", name) == figures.metrics["NDCG@10"]
        users, values = found.values(name)
        np.testing.assert_array_equal(users, figures.test_users)
        np.testing.assert_array_equal(values["NDCG@10"], gains(figures.ranks, 10)[1])
        np.testing.assert_array_equal(found.arrays[f"{name}.rank_from_1"], figures.ranks + 1)
    assert found.facts["chosen"] == model.selection.epoch
    loaded = whole.model(one, device("cpu")).evaluate(data)
    np.testing.assert_array_equal(loaded.ranks, wanted["paper"].ranks)


def test_a_run_that_is_done_is_not_made_again(whole, data, monkeypatch):
    before = contents(whole.folder)
    monkeypatch.setattr(Recommender, "fit", lambda *words, **named: pytest.fail("made again"))
    assert whole.make(task(data), data, device("cpu"))
    assert contents(whole.folder) == before
    assert {name.rpartition("/")[2] for name in before} == {
        "config.toml",
        "metrics.jsonl",
        "model.npz",
        "result.npz",
    }


def test_a_point_of_a_grid_keeps_no_model(whole, data, tmp_path):
    store, one = Store(tmp_path), task(data)
    point = Configuration(SMALL.model, SMALL.preset, SMALL.fields, keeps_model=False)
    assert task(data, point).key == one.key
    order = worker.order(task(data, point), store, data.source, "cpu", 1)
    assert json.loads(order)["configuration"][-1] is False
    assert store.make(task(data, point), data, device("cpu"))
    kept = contents(whole.folder)
    model = next(name for name in kept if name.endswith("model.npz"))
    assert contents(tmp_path) == {name: kept[name] for name in kept if name != model}
    store.make(one, data, device("cpu"))  # done, with or without it


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_a_run_that_was_stopped_goes_on_to_the_same_files(whole, data, tmp_path, steps):
    store, one, left = Store(tmp_path), task(data), iter(range(100))
    assert not store.make(one, data, device("cpu"), lambda: next(left) + 1 >= steps)
    assert not store.done(one)
    assert store.result(one) is None
    (store.path(one) / ".best.npz.half").touch()  # what a killed process leaves
    assert store.make(one, data, device("cpu"))
    assert contents(tmp_path) == contents(whole.folder)


class Killed(BaseException):
    """Nothing in the library catches it."""


@pytest.mark.parametrize("select", ["val", "last"])
def test_a_run_killed_before_any_of_its_files_goes_on_to_the_same_files(
    data, tmp_path, monkeypatch, select
):
    """The process may end between any two files that it writes, checkpoint and records too."""
    one = task(data, Configuration("lightgcn", None, (("patience", 5),)), select, epochs=15)
    replace, written = os.replace, []

    def killing(at):
        written.clear()

        def replaced(source, target):
            if tmp_path in Path(target).parents:  # Numba writes files too
                written.append(target)
                if len(written) == at:
                    raise Killed
            replace(source, target)

        monkeypatch.setattr(os, "replace", replaced)

    killing(0)
    Store(tmp_path / "whole").make(one, data, device("cpu"))
    total = len(written)
    assert total > 6
    for at in range(1, total + 1):
        store = Store(tmp_path / str(at))
        killing(at)
        with pytest.raises(Killed):
            store.make(one, data, device("cpu"))
        killing(0)
        assert store.make(one, data, device("cpu"))
        assert contents(store.folder) == contents(tmp_path / "whole"), f"killed at file {at}"


@pytest.mark.parametrize("kept", [(), ("config.toml",), ("config.toml", "metrics.jsonl")])
def test_a_run_without_a_checkpoint_begins_anew(whole, data, tmp_path, kept):
    store, one = Store(tmp_path), task(data)
    store.path(one).mkdir(parents=True)
    for name in kept:
        text = (whole.path(one) / name).read_bytes()
        (store.path(one) / name).write_bytes(text)
    assert store.make(one, data, device("cpu"))
    assert contents(tmp_path) == contents(whole.folder)


def test_two_processes_do_not_make_the_same_run(data, tmp_path):
    store, one = Store(tmp_path), task(data)
    with store.locked(one), pytest.raises(Busy, match="seed 1 is being made by another"):
        Store(tmp_path).make(one, data, device("cpu"))
    assert not store.path(one).exists()


def ask(line, **named):
    command = [sys.executable, "-m", "pkef_fast.reproduce.worker"]
    return subprocess.run(command, input=line, encoding="utf-8", capture_output=True, **named)


def test_a_worker_ends_with_the_process_that_ordered_it(whole, data, tmp_path):
    """`input` is closed at once, as it is when the orderer is killed."""
    one = task(data, epochs=100_000)
    done = ask(worker.order(one, Store(tmp_path), data.source, "cpu", 1), timeout=60)
    assert done.returncode == worker.WRONG
    assert not Store(tmp_path).done(one)


def test_a_worker_says_what_is_wrong(data, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "pkef_fast.reproduce.worker"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    line = worker.order(task(data), Store(tmp_path), data.source, "cpu", 1)
    process.stdin.write(json.dumps({**json.loads(line), "data": "other"}) + "\n")
    process.stdin.flush()
    assert process.wait(60) == worker.WRONG
    assert (
        process.stderr.read() == "data set 'synthetic' has changed since the runs were planned.\n"
    )
    process.stdin.close()
