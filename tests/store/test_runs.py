"""Run folders: what they hold, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from shops import dataset

from pkef_fast.config.fields import Fields, field
from pkef_fast.errors import InputError
from pkef_fast.store.runs import Run


@dataclass(frozen=True)
class Small(Fields):
    d: int = field(4, "Width.")


def made(path):
    data = dataset(source={"dataset": "somewhere", "seed": 3})
    return Run.create(path, Small(), data, {"eval_every": 5, "selected": None}), data


def test_a_run_holds_what_repeats_it(tmp_path):
    _, data = made(tmp_path / "run")
    fields, source, settings = Run.open(tmp_path / "run").settings()
    assert fields == {"d": 4}
    assert source == {"dataset": "somewhere", "seed": 3, "fingerprint": data.fingerprint()}
    assert settings == {"eval_every": 5}


def test_another_data_set_is_refused(tmp_path):
    run, data = made(tmp_path / "run")
    run.check_data(data)
    other = replace(data, test_items=np.array([2, 0], np.int32))
    with pytest.raises(InputError, match=r"data set 'shop' is not what .*run was trained on"):
        run.check_data(other)


def test_folders_that_are_taken_or_none(tmp_path):
    made(tmp_path / "run")
    with pytest.raises(InputError, match=r"already holds another run; .* go on with --resume"):
        made(tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/x").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="already holds other files"):
        made(tmp_path / "mine")
    with pytest.raises(InputError, match="is a file; wanted a folder for the run"):
        made(tmp_path / "mine/x")
    with pytest.raises(InputError, match="is not a run: it has no config"):
        Run.open(tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    made(tmp_path / "empty")


def test_records_and_checkpoints(tmp_path):
    run, _ = made(tmp_path / "run")
    assert run.records() == []
    records = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 1e-17, "HR@10": None}]
    run.write_records(records)
    assert run.records() == records
    run.write_checkpoint({"step": 3}, {"a": np.arange(3)})
    facts, arrays = run.read_checkpoint()
    assert facts == {"step": 3}
    assert arrays["a"].tolist() == [0, 1, 2]
    run.metrics_file.write_text('{"epoch": 1}\n{"epoch": \n', encoding="utf-8")
    with pytest.raises(InputError, match=r"metrics\.jsonl, line 2: not JSON"):
        run.records()
