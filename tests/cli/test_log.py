"""`train --log`: a tracker beside metrics.jsonl, kept by a run that is resumed."""

from __future__ import annotations

import csv
import json
import sys

from commands import call, check_refusal

QUICK = ("--model", "mf-bpr", "--set", "d=8", "--select", "last", "--eval-every", 2)


def rows(folder):
    with open(folder / "metrics.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def records(folder):
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{name: str(one) for name, one in json.loads(line).items()} for line in lines]


def test_metrics_csv_is_metrics_jsonl_also_after_a_resume(shop, tmp_path):
    folder = tmp_path / "r"
    call("train", "--dataset", shop, "--out", folder, *QUICK, "--epochs", 3, "--log", "csv")
    call("train", "--resume", folder, "--epochs", 5)
    found = [{name: one for name, one in row.items() if one} for row in rows(folder)]
    assert [row["epoch"] for row in found] == ["1", "2", "3", "4", "5"]
    assert found == records(folder)


def test_a_model_without_steps_is_told_too(shop, tmp_path):
    folder = tmp_path / "r"
    call("train", "--dataset", shop, "--out", folder, "--model", "graph-rank", "--log", "csv")
    assert rows(folder) == records(folder)


def test_a_missing_extra_is_refused_before_anything_is_written(shop, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    where = ("train", "--dataset", shop, "--out", tmp_path / "r", *QUICK)
    check_refusal(call(*where, "--log", "wandb", code=2), ["--log wandb", "pkef-fast[wandb]"])
    assert not (tmp_path / "r").exists()
