"""`evaluate`: by cut-offs and protocols, and of damaged files."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from commands import call, check_refusal, last_json


def test_evaluate(run, tmp_path):
    ranks = tmp_path / "ranks.csv"
    result = call("evaluate", run, "--cutoffs", "5,10", "--ranks", ranks, "--json")
    found = last_json(result)
    assert set(found) == {"metrics", "users", "ties", "seconds"}
    assert set(found["metrics"]) == {"HR@5", "NDCG@5", "HR@10", "NDCG@10", "MRR"}
    rows = list(csv.DictReader(ranks.open(encoding="utf-8")))
    assert len(rows) == found["users"]
    share = np.mean([int(row["rank"]) < 10 for row in rows])
    assert share == pytest.approx(found["metrics"]["HR@10"])
    assert "HR@10" in call("evaluate", run).stdout


@pytest.mark.parametrize("which", ["run", "graph_run"])
def test_evaluate_by_all_protocols(which, request):
    folder = request.getfixturevalue(which)
    found = last_json(call("evaluate", folder, "--protocol", "all", "--json"))
    plain = last_json(call("evaluate", folder, "--json"))
    assert found["metrics"] == plain["metrics"]
    assert set(found) == {"metrics", "users", "ties", "seconds", "protocols"}
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
