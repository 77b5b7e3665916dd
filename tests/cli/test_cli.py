"""All commands: help, and calls that are refused in one sentence with exit code 2."""

from __future__ import annotations

import os

import pytest
from commands import call, check_refusal

from pkef_fast.cli import main


def test_every_command_has_help_with_an_example():
    for words in (*([name] for name in main.list_commands(None)), ["data", "info"]):
        text = call(*words, "--help").stdout
        assert len(text) > 150, words


BAD_CALLS = {
    "no such file": (["train", "--dataset", "nowhere"], ["nowhere"]),
    "no such data dir": (["train", "--dataset", "taobao", "--data-dir", "none"], ["none"]),
    "unknown name": (["train", "--dataset", "taobo"], ["taobo", "did you mean 'taobao'"]),
    "unknown preset": (["train", "--preset", "papr"], ["papr", "did you mean 'paper'"]),
    "unknown field": (["train", "--set", "layer=4"], ["layer", "did you mean 'layers'"]),
    "no equals sign": (["train", "--set", "layers"], ["layers", "field=value"]),
    "value out of range": (["train", "--set", "d=0"], ["'d'", "0", "at least 1"]),
    "wrong number of layers": (["train", "--set", "layers=4,1"], ["layers", "2", "3"]),
    "wrong number of coefficients": (["train", "--set", "coefficients=1"], ["coefficients", "3"]),
    "unknown behaviour": (["train", "--behaviors", "view,byu"], ["byu", "did you mean 'buy'"]),
    "unknown device": (["train", "--device", "tpu"], ["tpu", "cpu"]),
    "too many threads": (["train", "--threads", "9999"], ["threads", "9999"]),
    "no run": (["evaluate", "none"], ["none", "not a run"]),
    "no run to resume": (["train", "--resume", "none"], ["none", "not a run"]),
    "resume with other data": (["train", "--resume", "x", "--dataset", "demo"], ["--dataset"]),
    "bad cutoffs": (["evaluate", "none", "--cutoffs", "0"], ["--cutoffs", "0"]),
    "a metric that is not searched by": (["tune", "--metric", "HR@5"], ["metric", "HR@5"]),
    "several protocols": (["tune", "--protocol", "all"], ["protocol", "all"]),
    "no share": (["tune", "--leave-out", "some"], ["leave_out", "some", "'target', 'all'"]),
    "a field that no config has": (["tune", "--set", "layer=4"], ["layer", "did you mean"]),
    "no config file": (["train", "--config", "none.toml"], ["none.toml"]),
    "unknown model": (["train", "--model", "graphrank"], ["graphrank", "did you mean"]),
    "unknown protocol": (["train", "--protocol", "papers"], ["papers", "did you mean 'paper'"]),
    "resume with a model": (["train", "--resume", "x", "--model", "pkef"], ["--model"]),
    "audit of nothing": (["data", "audit", "nowhere"], ["nowhere"]),
    "a plot that is none": (["data", "audit", "demo", "--plot", "a.png"], ["a.png", ".svg"]),
}


@pytest.mark.parametrize("case", BAD_CALLS, ids=str)
def test_bad_calls_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, expected = BAD_CALLS[case]
    check_refusal(call(*words, code=2), expected)
    assert os.listdir(tmp_path) == []
