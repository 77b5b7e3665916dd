"""What is planned, for how long, and what a budget leaves out."""

from __future__ import annotations

import doctest

import pytest

from pkef_fast.device import device
from pkef_fast.errors import InputError
from pkef_fast.reproduce import plan as plans
from pkef_fast.reproduce import worker
from pkef_fast.reproduce.experiments import PKEF, ROWS
from pkef_fast.reproduce.plan import Planned, Times, plan, tasks
from pkef_fast.reproduce.pool import Pool
from pkef_fast.reproduce.runs import Store, Task


@pytest.fixture
def timed(monkeypatch):
    """First steps that take a second an epoch, two for PKEF itself; the list of what was timed."""
    seen = []

    def first_steps(task, data, place):
        seen.append(task.configuration)
        return {"epoch": 2.0 if task.configuration == PKEF else 1.0, "evaluation": 0.5}

    monkeypatch.setattr(plans, "first_steps", first_steps)
    return seen


def planned(data, folder, names=("table4",), seeds=2, **named):
    store = Store(folder)
    wanted = tasks(names, data, seeds, "val", 10)
    return plan(wanted, store, Times(folder, "here"), data, device("cpu"), **named)


def test_a_configuration_that_tables_share_is_one_run(data):
    """Tables 3, 4 and 5: 10 + 4 + 8 rows and graph-rank, but PKEF and PKF+Bilinear twice."""
    for seeds in (1, 3):
        found = tasks(("table3", "table4", "table5"), data, seeds, "val")
        assert len(found) == seeds * (10 + 3 + 6) + 1
    grids = tasks(("fig4", "fig5"), data, 1, "val")
    assert len(grids) == 64 + 28 - 1  # both have the official preset
    short = tasks(("table3", "fig5"), data, 1, "val", None, 2)
    assert [one.config.epochs for one in short if one.seed] == [100] * 10 + [2] * 28
    with pytest.raises(InputError, match="seeds cannot be 0"):
        tasks(("fig2",), data, 0, "val")


def test_one_seed_of_everything_comes_first(data):
    found = [one.seed for one in tasks(("table4",), data, 3, "val")]
    assert found == [1, 1, 1, 1, None, 2, 2, 2, 2, 3, 3, 3, 3]


def test_seconds_are_those_of_epochs_and_evaluations(data, tmp_path, timed):
    found = planned(data, tmp_path)
    assert len(timed) == 5  # of two seeds each
    # 10 epochs, an evaluation each five of them and four at the end; a process starts in three.
    wanted = dict.fromkeys(ROWS["table4"].values(), 3 + 10 + 2 * 0.5 + 4 * 0.5)
    wanted[PKEF] += 10
    trained = [one for one in found.runs if one.task.seed]
    assert {one.task.configuration: one.seconds for one in trained} == wanted
    assert found.seconds == sum(one.seconds for one in found.runs)
    planned(data, tmp_path)
    assert len(timed) == 5  # kept


def test_a_budget_leaves_out_what_does_not_fit(data, tmp_path, timed):
    everything = planned(data, tmp_path)
    first = [one for one in everything.runs if one.task.seed in (1, None)]
    seconds = sum(one.seconds for one in first)
    found = planned(data, tmp_path, budget=seconds)
    assert found.runs == first
    assert {one.task.seed for one in found.left_out} == {2}
    shared = planned(data, tmp_path, budget=seconds, jobs=2)
    assert len(shared.runs) > len(first)
    assert shared.seconds <= seconds
    nothing = planned(data, tmp_path / "other", budget=0)
    assert (nothing.runs, len(nothing.left_out)) == ([], 9)
    assert len(timed) == 5  # nothing is timed for nothing


def test_the_time_that_a_run_took_stands_for_its_other_seeds(data, tmp_path, timed):
    first = planned(data, tmp_path).runs[0].task
    Times(tmp_path, "here").add(first, run=100.0)
    found = planned(data, tmp_path).runs
    assert {one.task.seed for one in found if one.seconds == 100} == {1, 2}
    times = Times(tmp_path, "here")
    assert times.seconds(first, made=4) == pytest.approx(60)
    assert not Times(tmp_path, "there").get(first)
    (tmp_path / "state" / "times.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"times\.json is not JSON"):
        planned(data, tmp_path)


def test_first_steps_are_timed(data):
    one = tasks(("fig2",), data, 1, "val", 1)[0]
    found = plans.first_steps(one, data, device("cpu"))
    assert 0 < found["epoch"] < 10
    assert 0 < found["evaluation"] < 10


def test_the_plan_as_a_table(data, tmp_path, timed):
    table = planned(data, tmp_path, budget=111).table()
    counts = [row[2:5] for row in table.rows]
    assert counts == [(0, 2, 0), (0, 2, 0), (0, 1, 1), (0, 1, 1), (0, 1, 0)]


def test_examples():
    assert doctest.testmod(plans).failed == 0


def test_the_pool_makes_runs_and_says_what_failed(data, tmp_path):
    store, done = Store(tmp_path), []
    good, wrong = tasks(("fig2",), data, 1, "last", 1)

    def order(task):
        source = data.source if task is good else {"dataset": str(tmp_path / "nowhere")}
        return worker.order(task, store, source, "cpu", 1)

    pool = Pool(store, order, 2, lambda task, seconds: done.append(task))
    made = pool.make([Planned(good, 1.0), Planned(wrong, 1.0)])
    assert made.runs == done == [good]
    assert store.done(good)
    assert not store.done(wrong)
    assert list(made.failed) == [wrong.name]
    assert "nowhere" in made.failed[wrong.name]
    late = pool.make([Planned(wrong, 1.0)], budget=-1.0)
    assert [one.task for one in late.left_out] == [wrong]


def test_a_task_of_a_model_without_seeds(data):
    found = tasks(("table2",), data, 2, "val")
    (graph,) = [one for one in found if one.seed is None]
    assert isinstance(graph, Task)
    assert graph.name == "graph-rank"
    assert graph.select == "last"
