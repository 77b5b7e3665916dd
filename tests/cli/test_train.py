"""`train`: what is printed and written, and how a run ends early."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
from commands import FEW, QUICK, call, check_refusal, last_json

from pkef_fast import PKEF


def test_train_prints_what_scripts_need(shop, tmp_path):
    where = ("--dataset", shop, "--out", tmp_path / "r")
    result = call("train", *where, "--json", "--seed", 7, *QUICK)
    found = last_json(result)
    assert found["run"] == str(tmp_path / "r")
    for name in ("metrics", "popularity"):
        assert set(found[name]) == {"HR@10", "NDCG@10"}
        assert all(0 <= value <= 1 for value in found[name].values())
    assert (found["epochs"], found["steps"], found["seed"]) == (2, 2, 7)
    assert found["device"] == "cpu"
    assert found["seconds_per_step"] > 0
    assert found["peak_memory_bytes"] > 10**7
    lines = [
        json.loads(line)
        for line in (tmp_path / "r/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[-1]["HR@10"] == found["metrics"]["HR@10"]
    assert set(os.listdir(tmp_path / "r")) == {
        "config.toml",
        "metrics.jsonl",
        "checkpoint.npz",
        "model.npz",
    }


def test_train_ends_with_a_table_and_the_next_command(shop, tmp_path):
    result = call("train", "--dataset", shop, "--out", tmp_path / "r", *QUICK)
    for text in ("HR@10", "popularity", "ms a step", f"next: pkef-fast evaluate {tmp_path / 'r'}"):
        assert text in result.stdout
    assert "epoch    1" in result.stderr


def test_a_runs_config_repeats_it_to_the_byte(run, tmp_path):
    call("train", "--config", run / "config.toml", "--out", tmp_path / "again")
    assert (tmp_path / "again/model.npz").read_bytes() == (run / "model.npz").read_bytes()


def test_resume_goes_on_to_more_epochs(run, shop, tmp_path):
    folder = tmp_path / "r"
    call("train", "--dataset", shop, "--out", folder, *QUICK)
    found = last_json(call("train", "--resume", folder, "--epochs", 4, "--json"))
    assert found["epochs"] == 4
    whole = tmp_path / "whole"
    call("train", "--dataset", shop, "--out", whole, "--set", "d=8", "--epochs", 4)
    assert (folder / "model.npz").read_bytes() == (whole / "model.npz").read_bytes()


def test_a_run_with_narrow_gathers_keeps_them(shop, run, tmp_path):
    folder, where = tmp_path / "r", ("train", "--dataset", shop, "--precision", "bf16-gather")
    call(*where, "--out", folder, *QUICK)
    assert 'precision = "bf16-gather"' in (folder / "config.toml").read_text(encoding="utf-8")
    assert (folder / "model.npz").read_bytes() != (run / "model.npz").read_bytes()
    line = json.loads((folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert line["HR@10"] == last_json(call("evaluate", folder, "--json"))["metrics"]["HR@10"]
    result = call("train", "--resume", folder, "--precision", "float32", code=2)
    check_refusal(result, ["--precision", "--resume"])
    call("train", "--resume", folder, "--epochs", 4)
    call(*where, "--out", tmp_path / "whole", "--set", "d=8", "--epochs", 4)
    assert (folder / "model.npz").read_bytes() == (tmp_path / "whole/model.npz").read_bytes()
    assert PKEF.load(folder).model.dtype is np.float32


def test_train_by_protocols_and_the_best_trivial_rule(shop, tmp_path):
    where = ("train", "--dataset", shop, *QUICK, "--protocol", "all")
    found = last_json(call(*where, "--out", tmp_path / "a", "--json"))
    assert set(found["protocols"]) == {"paper", "discovery", "return"}
    assert found["protocols"]["paper"]["HR@10"] == found["metrics"]["HR@10"]
    assert found["trivial"]["rule"].startswith("own ")
    line = json.loads((tmp_path / "a/metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert line["discovery.HR@10"] == found["protocols"]["discovery"]["HR@10"]
    text = call(*where, "--out", tmp_path / "b").stdout
    for word in ("popularity", found["trivial"]["rule"], "discovery"):
        assert word in text


def test_graph_rank_is_a_run_like_any_other(graph_run, shop, tmp_path):
    assert set(os.listdir(graph_run)) == {"config.toml", "metrics.jsonl", "model.npz"}
    assert 'model = "graph-rank"' in (graph_run / "config.toml").read_text(encoding="utf-8")
    found = last_json(call("evaluate", graph_run, "--json"))
    line = json.loads((graph_run / "metrics.jsonl").read_text(encoding="utf-8"))
    assert line["HR@10"] == found["metrics"]["HR@10"] > 0
    assert "place" in call("recommend", graph_run, "--user", 3).stdout
    call("train", "--config", graph_run / "config.toml", "--out", tmp_path / "again")
    assert (tmp_path / "again/model.npz").read_bytes() == (graph_run / "model.npz").read_bytes()
    result = call("train", "--resume", graph_run, code=2)
    check_refusal(result, ["graph-rank", "no steps"])


def test_graph_rank_takes_its_own_fields(shop, tmp_path):
    where = ("train", "--dataset", shop, "--out", tmp_path / "r", "--model", "graph-rank")
    check_refusal(call(*where, "--set", "layers=3", code=2), ["layers", "unknown"])
    check_refusal(call(*where, "--preset", "official", code=2), ["official", "taobao"])
    check_refusal(call(*where, "--epochs", 3, code=2), ["epochs", "unknown"])
    assert not (tmp_path / "r").exists()
    found = last_json(call(*where, "--preset", "tmall", "--set", "rounds=3", "--json"))
    assert (found["model"], found["epochs"], found["seconds_per_step"]) == ("graph-rank", 0, None)
    text = (tmp_path / "r/config.toml").read_text(encoding="utf-8")
    assert "alpha = 0.7" in text
    assert "rounds = 3" in text


def test_train_reranks_and_resumes(shop, tmp_path):
    folder = tmp_path / "r"
    where = ("--dataset", shop, "--out", folder, "--rerank", "learned")
    found = last_json(call("train", *where, "--json", *QUICK))
    assert found["reranker"]["users_trained"] > 0
    assert (
        last_json(call("evaluate", folder, "--json"))["metrics"]["HR@10"]
        == (found["metrics"]["HR@10"])
    )
    longer = last_json(call("train", "--resume", folder, "--epochs", 3, "--json"))
    assert longer["epochs"] == 3
    assert longer["reranker"]["users_trained"] == found["reranker"]["users_trained"]
    refused = call("train", "--resume", folder, "--rerank", "none", code=2)
    assert "--rerank cannot be combined with --resume" in refused.output


def test_what_was_chosen_on_validation_says_so_everywhere(shop, tmp_path):
    folder = tmp_path / "r"
    where = ("--dataset", shop, "--out", folder, "--rerank", "learned", "--select", "val")
    printed = call("train", *where, *QUICK)
    said = "chosen on one more held-out buy of"
    assert said in printed.stdout
    assert "val.NDCG@10" in printed.stderr
    assert said in call("evaluate", folder).stdout
    assert said in call("recommend", folder, "--user", 3).stdout
    assert said in call("rerank", folder, *FEW).stdout
    for command in (("evaluate", folder), ("recommend", folder, "--user", 3)):
        found = last_json(call(*command, "--json"))["selection"]
        assert found["epoch"] in (1, 2)
        assert set(found["metrics"]) == {"HR@10", "NDCG@10"}
    again = last_json(call("train", "--resume", folder, "--epochs", 3, "--json"))
    assert again["selection"]["epoch"] in (1, 2, 3)


def test_an_output_folder_with_another_run_is_refused(run, shop):
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    check_refusal(
        call("train", "--dataset", shop, "--out", run, *QUICK, code=2), [str(run), "another run"]
    )
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before


def test_a_diverging_run_stops_and_keeps_a_checkpoint(shop, tmp_path):
    out = tmp_path / "r"
    result = call(
        "train", "--dataset", shop, "--out", out, "--set", "lr=1e6", "--epochs", "9", code=2
    )
    check_refusal(result, ["step ", "is not finite", str(out / "checkpoint.npz")])


def test_a_full_disk_is_one_sentence_and_leaves_nothing(shop, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    out = tmp_path / "r"
    result = call("train", "--dataset", shop, "--out", out, *QUICK, code=2)
    check_refusal(result, ["No space left on device", "config.toml"])
    assert list(out.rglob("*")) == []


def test_ctrl_c_ends_after_the_step_with_a_checkpoint(shop, tmp_path):
    out = tmp_path / "r"
    command = [sys.executable, "-m", "pkef_fast.cli", "train", "--dataset", str(shop)]
    process = subprocess.Popen(
        [*command, "--out", str(out), "--set", "d=8", "--epochs", "100000", "--eval-every", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("epoch    3"):
            break
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    rest = process.stderr.read()
    assert process.wait(60) == 130
    assert time.monotonic() - start < 60
    assert f"go on with: pkef-fast train --resume {out}" in rest
    assert (out / "checkpoint.npz").exists()
    made = json.loads((out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])["epoch"]
    found = last_json(call("train", "--resume", out, "--epochs", made + 1, "--json"))
    assert found["epochs"] == made + 1
