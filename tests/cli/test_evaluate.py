"""`evaluate`: by cut-offs and protocols, and of damaged files."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from commands import call, check_refusal, last_json

from pkef_fast.data import generate, save_native
from pkef_fast.report.ranks import read_ranks


def test_evaluate(run, tmp_path):
    ranks = tmp_path / "ranks.csv"
    result = call("evaluate", run, "--cutoffs", "5,10", "--ranks", ranks, "--json")
    found = last_json(result)
    assert set(found) == {"metrics", "users", "items", "ties", "seconds"}
    assert set(found["metrics"]) == {"HR@5", "NDCG@5", "HR@10", "NDCG@10", "MRR"}
    rows = list(csv.DictReader(ranks.open(encoding="utf-8")))
    assert len(rows) == found["users"]
    assert list(rows[0]) == ["user", "item", "rank_from_1"]
    places = np.array([int(row["rank_from_1"]) for row in rows])
    assert places.min() >= 1
    assert np.mean(places <= 10) == pytest.approx(found["metrics"]["HR@10"])
    assert np.mean(1 / places) == pytest.approx(found["metrics"]["MRR"])
    assert "HR@10" in call("evaluate", run).stdout


@pytest.mark.parametrize("which", ["run", "graph_run"])
def test_evaluate_by_all_protocols(which, request):
    folder = request.getfixturevalue(which)
    found = last_json(call("evaluate", folder, "--protocol", "all", "--json"))
    plain = last_json(call("evaluate", folder, "--json"))
    assert found["metrics"] == plain["metrics"]
    assert set(found) == {"metrics", "users", "items", "ties", "seconds", "protocols"}
    assert list(found["protocols"]) == ["paper", "discovery", "return"]
    for one in found["protocols"].values():
        assert {"users", "HR@10", "NDCG@10", "interval"} <= set(one)
    users = {name: one["users"] for name, one in found["protocols"].items()}
    assert users["paper"] == users["discovery"] + users["return"] == found["users"]
    text = call("evaluate", folder, "--protocol", "all").stdout
    for word in ("paper", "discovery", "return", "(95 %)"):
        assert word in text


def test_evaluate_by_one_protocol(run, tmp_path):
    ranks = tmp_path / "ranks.csv"
    found = last_json(call("evaluate", run, "--protocol", "discovery", "--json", "--ranks", ranks))
    assert list(found["protocols"]) == ["discovery"]
    assert found["metrics"]["HR@10"] == found["protocols"]["discovery"]["HR@10"]
    assert len(list(csv.DictReader(ranks.open(encoding="utf-8")))) == found["users"]


def test_evaluate_several_runs(run, graph_run, tmp_path):
    """A row a run, a list in JSON, and one file of ranks that names the run."""
    ranks = tmp_path / "ranks.csv"
    alone = [last_json(call("evaluate", one, "--json")) for one in (run, graph_run)]
    found = last_json(call("evaluate", run, graph_run, "--json", "--ranks", ranks))
    assert [one["run"] for one in found] == [str(run), str(graph_run)]
    assert [one["metrics"] for one in found] == [one["metrics"] for one in alone]
    table = read_ranks(ranks)
    assert table.columns == ("run", "user", "item", "rank_from_1")
    for one in found:
        places = [row["rank_from_1"] for row in table.records() if row["run"] == one["run"]]
        assert np.mean(np.array(places) <= 10) == pytest.approx(one["metrics"]["HR@10"])
    lines = call("evaluate", run, graph_run).stdout.splitlines()
    assert lines[0].split() == ["run", "model", "users", "HR@10", "NDCG@10", "MRR"]
    for line, path, model, one in zip(
        lines[1:], (run, graph_run), ("pkef", "graph-rank"), alone, strict=True
    ):
        figures = [f"{value:.4f}" for value in one["metrics"].values()]
        assert line.split() == [str(path), model, str(one["users"]), *figures]
    lines = call("evaluate", run, graph_run, "--protocol", "all").stdout.splitlines()
    assert len(lines) == 1 + 2 * 3
    words = ["--rerank", "learned"]
    check_refusal(call("evaluate", run, graph_run, *words, code=2), [str(run), "no re-ranker"])


def test_runs_of_different_data_are_rows_that_cannot_be_compared(run, graph_run, tmp_path):
    save_native(generate(n_users=30, n_items=25, seed=1), tmp_path / "other")
    other = tmp_path / "run"
    call("train", "--dataset", tmp_path / "other", "--out", other, "--model", "graph-rank")
    assert "cannot be compared" in call("evaluate", run, other).stdout
    assert "cannot be compared" not in call("evaluate", run, graph_run).stdout
    check_refusal(
        call("evaluate", run, other, "--dataset", tmp_path / "other", code=2),
        ["is not what", str(run), "fingerprint"],
    )


def test_a_damaged_model_and_checkpoint_are_refused(run, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in run.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    for name, words in (
        ("model.npz", ["evaluate", copy]),
        ("checkpoint.npz", ["train", "--resume", copy, "--epochs", "3"]),
    ):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[: len(content) // 2])
        check_refusal(call(*words, code=2), [name, "damaged or cut short"])
