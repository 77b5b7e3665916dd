"""The command line as a user meets it: results on stdout, progress on stderr, bad input refused."""

from __future__ import annotations

import csv
import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from click.testing import CliRunner

from pkef_fast import PKEF, load_dataset
from pkef_fast.cli import main
from pkef_fast.data import generate, save_native
from pkef_fast.models import MODELS

QUICK = ("--set", "d=8", "--epochs", "2")


def call(*args, code=0):
    """Run a command in this process; returns what it printed."""
    result = CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def last_json(result):
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A small data set on disk."""
    folder = tmp_path_factory.mktemp("data") / "shop"
    save_native(generate(n_users=50, n_items=40, seed=3), folder)
    return folder


@pytest.fixture(scope="module")
def run(shop, tmp_path_factory):
    """A finished run on it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    call("train", "--dataset", shop, "--out", folder, *QUICK)
    return folder


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
    lines = [json.loads(line) for line in (tmp_path / "r/metrics.jsonl").read_text().splitlines()]
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
    assert 'precision = "bf16-gather"' in (folder / "config.toml").read_text()
    assert (folder / "model.npz").read_bytes() != (run / "model.npz").read_bytes()
    line = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["HR@10"] == last_json(call("evaluate", folder, "--json"))["metrics"]["HR@10"]
    result = call("train", "--resume", folder, "--precision", "float32", code=2)
    check_refusal(result, ["--precision", "--resume"])
    call("train", "--resume", folder, "--epochs", 4)
    call(*where, "--out", tmp_path / "whole", "--set", "d=8", "--epochs", 4)
    assert (folder / "model.npz").read_bytes() == (tmp_path / "whole/model.npz").read_bytes()
    assert PKEF.load(folder).model.dtype is np.float32


def test_evaluate(run, tmp_path):
    ranks = tmp_path / "ranks.csv"
    result = call("evaluate", run, "--cutoffs", "5,10", "--ranks", ranks, "--json")
    found = last_json(result)
    assert set(found) == {"metrics", "users", "ties", "seconds"}
    assert set(found["metrics"]) == {"HR@5", "NDCG@5", "HR@10", "NDCG@10", "MRR"}
    rows = list(csv.DictReader(ranks.open()))
    assert len(rows) == found["users"]
    share = np.mean([int(row["rank"]) < 10 for row in rows])
    assert share == pytest.approx(found["metrics"]["HR@10"])
    assert "HR@10" in call("evaluate", run).stdout


def test_recommend_filters_what_was_bought(run, shop):
    data = load_dataset(shop)
    found = last_json(call("recommend", run, "--user", 3, "--user", "4", "-k", 5, "--json"))
    assert set(found["users"]) == {"3", "4"}
    seen = data.interactions[-1].indices[slice(*data.interactions[-1].indptr[3:5])]
    items = [one["item"] for one in found["users"]["3"]]
    assert len(items) == 5
    assert not set(items) & set(seen.tolist())
    scores = [one["score"] for one in found["users"]["3"]]
    assert scores == sorted(scores, reverse=True)
    everything = last_json(
        call("recommend", run, "--user", 3, "-k", 40, "--include-seen", "--json")
    )
    assert set(seen.tolist()) <= {one["item"] for one in everything["users"]["3"]}
    assert "place" in call("recommend", run, "--user", 3).stdout


def test_python_and_command_line_agree(run, shop):
    model = PKEF.load(run)
    data = load_dataset(shop)
    found = last_json(call("evaluate", run, "--json"))
    assert model.evaluate(data).metrics == found["metrics"]


def test_a_table_keeps_its_own_ids(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["user,item,behavior,timestamp"]
    for user in range(12):
        for behavior, count in (("view", 9), ("buy", 4)):
            for item in rng.choice(15, count, replace=False):
                lines.append(f"u-{user},sku {item},{behavior},{rng.integers(10**6)}")
    table = tmp_path / "log.csv"
    table.write_text("\n".join(lines) + "\n")
    call("train", "--dataset", table, "--out", tmp_path / "r", *QUICK)
    found = last_json(call("recommend", tmp_path / "r", "--user", "u-3", "-k", 2, "--json"))
    assert all(one["item"].startswith("sku ") for one in found["users"]["u-3"])
    result = call("recommend", tmp_path / "r", "--user", "u-99", code=2)
    assert "user 'u-99' is unknown" in result.stderr


def test_data_info_and_convert(shop, tmp_path):
    found = last_json(call("data", "info", shop, "--json"))
    assert found["users"] == 50
    assert "interactions" in call("data", "info", "demo").stdout
    out = tmp_path / "copy"
    call("data", "convert", shop, out)
    assert load_dataset(out).fingerprint() == load_dataset(shop).fingerprint()


def test_config_prints_a_commented_preset():
    text = call("config", "--preset", "paper", "--behaviors", "click,collect,cart,buy").stdout
    assert "layers = [4, 1, 1, 1]" in text
    assert text.count("\n# ") > 25


def test_tune_writes_a_config_that_train_takes(shop, tmp_path):
    pytest.importorskip("optuna")
    words = ("tune", "--dataset", shop, "--model", "graph-rank", "--protocol", "discovery")
    best = tmp_path / "best.toml"
    words = (*words, "--metric", "NDCG@10", "--trials", "2", "--out", best)
    result = last_json(call(*words, "--json"))
    assert result["config"] == str(best)
    assert result["trials"] == 2
    assert (tmp_path / "best.db").exists()
    trained = last_json(call("train", "--config", best, "--out", tmp_path / "run", "--json"))
    assert trained["model"] == "graph-rank"
    printed = call(*words).stdout  # a study that is complete is only reported
    assert f"pkef-fast train --config {best}" in printed
    assert "2 trials, 0 given up early" in printed
    text = call("tune", "--help").stdout
    for name, model in MODELS.items():
        assert f"Search space of {name}" in text
        for one in model.space(("view", "cart", "buy")):
            assert f"  {one}" in text


def test_doctor():
    text = call("doctor").stdout
    assert "numba" in text
    assert "device cpu" in text


def test_bench(shop, tmp_path, monkeypatch):
    small = ("bench", "--dataset", shop, "--rounds", 1, "--set", "d=8")
    found = last_json(call(*small, "--json", "--threads", 1))
    rows = {row["what"]: row for row in found["rows"]}
    for what in ("sample", "experts", "experts, adjoint", "loss", "update", "a step"):
        assert rows[what]["seconds"] > 0, what
    assert any(row["against"] == "T" for row in found["rows"])
    assert found["threads"] == 1
    text = call(*small).stdout
    for word in ("propagate view: both streams", "of gather", "T: SciPy", "an evaluation", "GB/s"):
        assert word in text
    # without a clone around, or without the libraries, --peers is one sentence
    monkeypatch.setattr(sys.modules["pkef_fast.cli.bench"], "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    check_refusal(call(*small, "--peers", code=2), ["bench/peers", "a clone"])


def test_bench_with_peers(shop, monkeypatch):
    small = ("bench", "--dataset", shop, "--rounds", 1, "--set", "d=8", "--peers")
    import peers

    with monkeypatch.context() as patched:
        patched.setattr(peers, "missing", lambda: list(peers.LIBRARIES))
        check_refusal(call(*small, code=2), ["torch", "implicit", "pip install 'pkef-fast[peers]'"])
    if peers.missing():
        pytest.skip(f"{' and '.join(peers.missing())} not installed (extra `peers`)")
    text = call(*small).stdout
    for word in ("PyTorch sparse CSR", "PyTorch step", "implicit BPR", "× step", "× epoch"):
        assert word in text


def test_a_gpu_that_is_not_there_is_one_sentence():
    for device in ("0", "cuda:0"):
        result = call("train", "--device", device, code=2)
        assert result.stderr.startswith("Error: device 'cuda:0' cannot be used: ")
        assert "use --device cpu" in result.stderr
        assert result.stderr.count("\n") == 1


def test_every_command_has_help_with_an_example():
    for words in (*([name] for name in main.list_commands(None)), ["data", "info"]):
        text = call(*words, "--help").stdout
        assert len(text) > 150, words


# ---- bad input: one sentence, exit code 2, nothing half-written ---------------------------------


def release(folder, **changes):
    """The release's layout with one file changed."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("pv", "cart", "buy"):
        matrix = sp.csr_matrix((rng.random((6, 8)) < 0.5).astype(float))
        (folder / f"trn_{name}").write_bytes(pickle.dumps(changes.get(name, matrix)))
    test = changes.get("test", [0, 1, None, 3, 4, 5])
    (folder / "tst_int").write_bytes(pickle.dumps(test))
    return folder


class Evil:
    def __reduce__(self):
        return (os.system, ("echo pwned > pwned",))


def matrix(*entries):
    rows, columns, values = zip(*entries, strict=True)
    return sp.csr_matrix((np.array(values, float), (rows, columns)), shape=(6, 8))


BAD_DATA = {
    "a pickle that runs code": ({"buy": Evil()}, ["trn_buy", "system"]),
    "a pickle of something else": ({"buy": "hello"}, ["trn_buy"]),
    "other shapes": (
        {"buy": sp.csr_matrix(np.ones((6, 9)))},
        ["trn_buy", "9", "8"],
    ),
    "a negative held-out item": ({"test": [0, -3, 1, 2, 3, 4]}, ["tst_int", "1", "-3"]),
    "a held-out item too large": ({"test": [0, 1, 8, 2, 3, 4]}, ["tst_int", "2", "8", "7"]),
    "a held-out list too short": ({"test": [0, 1]}, ["tst_int", "2", "6"]),
    "an empty behaviour": ({"cart": sp.csr_matrix((6, 8))}, ["cart"]),
    "NaN": ({"pv": matrix((1, 2, np.nan), (0, 0, 1))}, ["trn_pv", "nan"]),
    "a negative value": ({"pv": matrix((1, 2, -1), (0, 0, 1))}, ["trn_pv", "-1"]),
}


@pytest.mark.parametrize("case", BAD_DATA, ids=str)
def test_bad_data_is_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes, words = BAD_DATA[case]
    folder = release(tmp_path / "shop", **changes)
    result = call("train", "--dataset", folder, "--out", "r", *QUICK, code=2)
    check_refusal(result, words)
    assert not (tmp_path / "r").exists()
    assert not (tmp_path / "pwned").exists()


def check_refusal(result, words):
    """One sentence on stderr, nothing on stdout."""
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("Error: ")
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in lines[-1], lines[-1]
    assert result.stdout == ""


def test_held_out_items_that_were_trained_are_counted(tmp_path):
    buys = np.zeros((6, 8))
    buys[np.arange(6), [0, 1, 2, 3, 4, 5]] = 1
    folder = release(tmp_path / "shop", buy=sp.csr_matrix(buys), test=[0, 7, None, 3, 1, 1])
    result = call("train", "--dataset", folder, "--out", tmp_path / "r", *QUICK)
    assert "2 of 5 held-out items are also train 'buy' interactions" in result.stderr


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
}


@pytest.mark.parametrize("case", BAD_CALLS, ids=str)
def test_bad_calls_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, expected = BAD_CALLS[case]
    check_refusal(call(*words, code=2), expected)
    assert os.listdir(tmp_path) == []


def test_an_output_folder_with_another_run_is_refused(run, shop):
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    check_refusal(
        call("train", "--dataset", shop, "--out", run, *QUICK, code=2), [str(run), "another run"]
    )
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before


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
    made = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["epoch"]
    found = last_json(call("train", "--resume", out, "--epochs", made + 1, "--json"))
    assert found["epochs"] == made + 1


# ---- protocols, graph ranking, audit -------------------------------------------------------------


@pytest.fixture(scope="module")
def graph_run(shop, tmp_path_factory):
    """A run of graph-rank."""
    folder = tmp_path_factory.mktemp("runs") / "graph"
    call("train", "--dataset", shop, "--out", folder, "--model", "graph-rank")
    return folder


def test_graph_rank_is_a_run_like_any_other(graph_run, shop, tmp_path):
    assert set(os.listdir(graph_run)) == {"config.toml", "metrics.jsonl", "model.npz"}
    assert 'model = "graph-rank"' in (graph_run / "config.toml").read_text()
    found = last_json(call("evaluate", graph_run, "--json"))
    line = json.loads((graph_run / "metrics.jsonl").read_text())
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
    text = (tmp_path / "r/config.toml").read_text()
    assert "alpha = 0.7" in text
    assert "rounds = 3" in text


def test_config_prints_graph_rank(tmp_path):
    text = call("config", "--model", "graph-rank", "--preset", "tmall").stdout
    assert "beta = 0.2" in text
    (tmp_path / "g.toml").write_text(text)
    found = last_json(
        call("train", "--config", tmp_path / "g.toml", "--out", tmp_path / "r", "--json")
    )
    assert found["model"] == "graph-rank"


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
    assert len(list(csv.DictReader(ranks.open()))) == found["users"]


def test_train_by_protocols_and_the_best_trivial_rule(shop, tmp_path):
    where = ("train", "--dataset", shop, *QUICK, "--protocol", "all")
    found = last_json(call(*where, "--out", tmp_path / "a", "--json"))
    assert set(found["protocols"]) == {"paper", "discovery", "return"}
    assert found["protocols"]["paper"]["HR@10"] == found["metrics"]["HR@10"]
    assert found["trivial"]["rule"].startswith("own ")
    line = json.loads((tmp_path / "a/metrics.jsonl").read_text().splitlines()[-1])
    assert line["discovery.HR@10"] == found["protocols"]["discovery"]["HR@10"]
    text = call(*where, "--out", tmp_path / "b").stdout
    for word in ("popularity", found["trivial"]["rule"], "discovery"):
        assert word in text


def test_data_audit(shop, tmp_path):
    found = last_json(call("data", "audit", shop, "--json", "--plot", tmp_path / "a.svg"))
    assert {"visible", "own", "patterns", "nestedness", "rules", "verdict"} <= set(found)
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
    text = call("data", "audit", shop).stdout
    assert text.endswith("\n".join(found["verdict"]) + "\n")
    for word in ("own view, at random", "nowhere else", "best single list"):
        assert word in text


BAD_NEW_CALLS = {
    "unknown model": (["train", "--model", "graphrank"], ["graphrank", "did you mean"]),
    "unknown protocol": (["train", "--protocol", "papers"], ["papers", "did you mean 'paper'"]),
    "resume with a model": (["train", "--resume", "x", "--model", "pkef"], ["--model"]),
    "audit of nothing": (["data", "audit", "nowhere"], ["nowhere"]),
    "a plot that is none": (["data", "audit", "demo", "--plot", "a.png"], ["a.png", ".svg"]),
}


@pytest.mark.parametrize("case", BAD_NEW_CALLS, ids=str)
def test_bad_new_calls_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, expected = BAD_NEW_CALLS[case]
    check_refusal(call(*words, code=2), expected)
    assert os.listdir(tmp_path) == []


# ---- re-ranking ----------------------------------------------------------------------------------

FEW = ("--set", "epochs=2", "--set", "twin_epochs=1", "--set", "draws=1")


def test_rerank_becomes_part_of_the_run(shop, tmp_path):
    folder = tmp_path / "r"
    call("train", "--dataset", shop, "--out", folder, "--json", *QUICK)
    before = last_json(call("evaluate", folder, "--json"))
    assert "reranked" not in before
    assert call("evaluate", folder, "--rerank", "learned", code=2).output.count("no re-ranker") == 1
    found = last_json(call("rerank", folder, "--json", "--leave-out", "all", *FEW))
    assert found["model"]["HR@10"] == before["metrics"]["HR@10"]
    assert found["reranker"]["stays_visible"] == 0
    after = last_json(call("evaluate", folder, "--protocol", "all", "--json"))
    assert after["reranked"]
    assert after["metrics"]["HR@10"] == found["metrics"]["HR@10"]
    assert set(after["protocols"]) == {"paper", "discovery", "return"}
    plain = last_json(call("evaluate", folder, "--rerank", "none", "--json"))
    assert plain["metrics"] == before["metrics"]
    lists = [
        last_json(call("recommend", folder, "--user", 3, "--rerank", one, "--json"))["users"]["3"]
        for one in ("learned", "none")
    ]
    assert lists[0] != lists[1]
    told = last_json(call("recommend", folder, "--user", 3, "--explain", "--json"))["users"]["3"]
    assert [one["item"] for one in told] == [one["item"] for one in lists[0]]
    assert {"taste", "funnel", "popularity", "touched", "text"} <= set(told[0]["reason"])
    text = call("recommend", folder, "--user", 3, "--explain").stdout
    assert told[0]["reason"]["text"] in text
    assert "from own funnel" in text
    refused = call("recommend", folder, "--user", 3, "--explain", "--rerank", "none", code=2)
    assert "only a re-ranked order can be explained" in refused.output
    printed = call("rerank", folder, "--protocol", "all", *FEW)
    assert "re-ranker: learned from" in printed.stdout
    assert "discovery" in printed.stdout


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


def test_rerank_asks_how_the_data_was_split(tmp_path):
    folder = tmp_path / "unknown"
    save_native(replace(generate(n_users=50, n_items=40, seed=3), leave_out=None), folder)
    where = ("--dataset", folder, "--out", tmp_path / "r")
    refused = call("train", *where, "--rerank", "learned", *QUICK, code=2)
    assert "wanted --leave-out target" in refused.output
    assert not (tmp_path / "r").exists()
    refused = call("train", *where, "--rerank", "learned", "--leave-out", "most", *QUICK, code=2)
    assert "leave_out cannot be 'most'" in refused.output


def test_the_fields_of_the_re_ranker_are_listed():
    assert "neighbours = " in call("config", "--reranker").stdout
    refused = call("config", "--reranker", "--set", "kind=tree", code=2)
    assert "wanted" in refused.output or "Known" in refused.output


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
