"""Learning curves: every number of metrics.jsonl, and whose it is."""

from __future__ import annotations

import pytest

from pkef_fast import InputError
from pkef_fast.analysis.curves import COLUMNS, curves
from pkef_fast.store.runs import Run


def run_of(folder, *lines):
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(f"{one}\n" for one in lines), encoding="utf-8")
    return Run(folder)


def test_curves_are_the_records(tmp_path):
    one = run_of(
        tmp_path / "one",
        '{"epoch": 0, "step": 0, "HR@10": 0.1}',
        '{"epoch": 1, "step": 9, "loss": 2.5, "HR@10": NaN, "note": "x", "done": true}',
    )
    two = run_of(tmp_path / "two", '{"epoch": 1, "step": 9, "loss": 3}')
    found = curves([one, two, run_of(tmp_path / "three")])
    assert found.columns == COLUMNS
    assert found.rows == [
        ("one", 0, "HR@10", 0.1),
        ("one", 1, "loss", 2.5),
        ("two", 1, "loss", 3),
    ]


def test_folders_of_one_name_are_told_apart(tmp_path):
    runs = [run_of(tmp_path / name / "run", '{"epoch": 1, "loss": 1}') for name in "ab"]
    assert curves(runs).column("run") == [str(tmp_path / name / "run") for name in "ab"]


@pytest.mark.parametrize("line", ['{"loss": 1}', "[1]", '{"epoch": "1"}'])
def test_a_record_without_an_epoch_is_refused(tmp_path, line):
    with pytest.raises(InputError, match=r"metrics\.jsonl, line 1: no whole number 'epoch'"):
        curves([run_of(tmp_path / "run", line)])
