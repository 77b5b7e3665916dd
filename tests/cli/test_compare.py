"""`compare`: every figure against `evaluate` and its ranks, counted again in plain Python."""

from __future__ import annotations

import csv
import math
import shutil
import statistics

import numpy as np
import pytest
from commands import QUICK, call, check_refusal, last_json

from pkef_fast import load_dataset
from pkef_fast.analysis.user_groups import by_activity, by_correlation
from pkef_fast.compare.significance import holm, paired
from pkef_fast.data import generate, save_native
from pkef_fast.report.ranks import read_ranks
from pkef_fast.report.table import Table

METRICS = ("HR@10", "NDCG@10")


@pytest.fixture(scope="module")
def seed_7(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "seed-7"
    call("train", "--dataset", shop, "--out", folder, *QUICK, "--seed", "7")
    return folder


@pytest.fixture(scope="module")
def tables(run, seed_7, graph_run, tmp_path_factory):
    """What `compare` says of graph-rank and of PKEF with two seeds; also as CSV, and shown."""
    folder = tmp_path_factory.mktemp("tables") / "csv"
    result = call("compare", graph_run, run, seed_7, "--json", "--csv", folder)
    return last_json(result), folder, call("compare", graph_run, run, seed_7).stdout


def values(folder, tmp_path):
    """(user, HR@10, NDCG@10) of each held-out pair of a run, from its file of ranks."""
    call("evaluate", folder, "--ranks", tmp_path / "ranks.csv")
    found = []
    for user, _, rank in read_ranks(tmp_path / "ranks.csv").rows:
        hit = rank <= 10
        found.append((int(user), float(hit), hit / math.log2(rank + 1)))
    return found


def test_figures_are_those_of_evaluate(tables, run, seed_7, graph_run):
    found, _, _ = tables
    alone = {
        str(one): last_json(call("evaluate", one, "--protocol", "all", "--json"))["protocols"]
        for one in (graph_run, run, seed_7)
    }
    assert len(found["runs"]) == 9
    for row in found["runs"]:
        figures = alone[row["run"]][row["protocol"]]
        assert [row[one] for one in METRICS] == [pytest.approx(figures[one]) for one in METRICS]
    assert [row["seed"] for row in found["runs"]] == [None] * 3 + [42] * 3 + [7] * 3
    graph, pkef = (found["protocol"][n] for n in range(2))
    assert (graph["name"], graph["seeds"], graph["HR@10 sd"]) == ("graph-rank taobao", 1, None)
    assert (pkef["name"], pkef["seeds"]) == ("pkef official, d=8, epochs=2", 2)
    for name, row in (("paper", pkef), ("return", found["protocol"][5])):
        assert row["protocol"] == name
        for metric in METRICS:
            pair = [alone[str(one)][name][metric] for one in (run, seed_7)]
            assert row[metric] == pytest.approx(statistics.mean(pair))
            assert row[f"{metric} sd"] == pytest.approx(statistics.stdev(pair))
    interval = alone[str(graph_run)]["paper"]["interval"]
    for metric in METRICS:
        assert [graph[f"{metric} low"], graph[f"{metric} high"]] == interval[metric]


def test_differences_are_those_of_the_ranks(tables, run, seed_7, graph_run, shop, tmp_path):
    found, _, _ = tables
    rows = found["differences"]
    ours = [values(one, tmp_path) for one in (run, seed_7)]
    theirs = values(graph_run, tmp_path)
    data = load_dataset(shop)
    groups = {"activity": by_activity(data), "correlation": by_correlation(data)}
    checked = 0
    for row in rows:
        assert (row["a"], row["b"]) == ("pkef official, d=8, epochs=2", "graph-rank taobao")
        if row["by"] == "protocol":
            if row["group"] != "paper":
                continue
            members = {user for user, *_ in theirs}
        else:
            one = groups[row["by"]]
            members = set(one.users[one.names.index(row["group"])].tolist())
        column = 1 + METRICS.index(row["metric"])
        here = [n for n, (user, *_) in enumerate(theirs) if user in members]
        a = [statistics.mean(one[n][column] for one in ours) for n in here]
        b = [theirs[n][column] for n in here]
        assert row["users"] == len(members)
        assert row["difference"] == pytest.approx(statistics.mean(a) - statistics.mean(b))
        again = paired(np.array([theirs[n][0] for n in here]), np.array(a), np.array(b))
        assert (row["low"], row["high"], row["p"]) == pytest.approx(again[1:])
        checked += 1
    assert checked == 2 * (1 + 5 + 5)
    assert len(rows) == 2 * (3 + 5 + 5)
    assert [row["p_holm"] for row in rows] == pytest.approx(holm([row["p"] for row in rows]))
    text = " ".join(found["notes"])
    assert f"{len(rows)} tests were made" in text


def test_groups_by_correlation_and_run(tables, run, shop, tmp_path):
    found, _, _ = tables
    rows = [row for row in found["groups"] if row["seed"] == 42]
    groups = by_correlation(load_dataset(shop))
    ranks = values(run, tmp_path)
    for row, members, group in zip(rows, groups.users, groups.table.records(), strict=True):
        for name in ("group", "rho_lo", "rho_hi", "rho_mean", "users", "mean_interactions"):
            assert row[name] == group[name]
        inside = [one for one in ranks if one[0] in members]
        assert row["hr"] == pytest.approx(statistics.mean(one[1] for one in inside))
        assert row["ndcg"] == pytest.approx(statistics.mean(one[2] for one in inside))
    assert groups.sentence() in found["notes"]
    assert len(found["groups"]) == 5 * 3


def test_one_behavior_has_no_groups_by_correlation(tmp_path):
    save_native(generate(n_users=50, n_items=40, behaviors=("buy",), seed=3), tmp_path / "shop")
    runs = []
    for name, words in (
        ("graph", ("--model", "graph-rank")),
        ("mf", ("--model", "mf-bpr", *QUICK)),
    ):
        runs.append(tmp_path / name)
        call("train", "--dataset", tmp_path / "shop", "--out", runs[-1], *words)
    found = last_json(call("compare", *runs, "--json"))
    assert found["correlation"] == found["correlation_groups"] == found["groups"] == []
    assert {row["by"] for row in found["differences"]} == {"protocol", "activity"}
    note = "correlation groups: none, for there is one behaviour."
    assert note in found["notes"]
    text = call("compare", *runs).stdout
    assert "by train interactions" in text
    assert [line for line in text.splitlines() if "correlation" in line] == [note]
    assert "nobody" not in text
    out = tmp_path / "groups.svg"
    words = ["graph has nothing to draw as groups; correlation groups: none"]
    check_refusal(call("plot", *runs, "groups", "-o", out, code=2), words)


def test_csv_and_text_say_the_same(tables):
    found, folder, text = tables
    assert {path.stem for path in folder.iterdir()} == set(found) - {"data", "fingerprint"}
    table = Table.read(
        folder / "differences.csv",
        {"a": str, "b": str, "by": str, "group": str, "users": int, "metric": str}
        | dict.fromkeys(("difference", "low", "high", "p", "p_holm"), float),
    )
    assert list(table.records()) == found["differences"]
    with (folder / "protocol.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["HR@10 sd"] == ""
    assert float(rows[1]["HR@10 sd"]) == found["protocol"][1]["HR@10 sd"]
    one = found["differences"][0]
    assert f"{one['difference']:+.4f} ({one['low']:+.4f} to {one['high']:+.4f})" in text
    pkef = found["protocol"][1]
    figure = f"{pkef['HR@10']:.4f} ± {pkef['HR@10 sd']:.4f} ({pkef['HR@10 low']:.4f}"
    assert figure in text
    for note in found["notes"]:
        assert note in text


def test_models_chosen_by_different_rules_are_noted(tables, run, shop, tmp_path):
    found, _, _ = tables
    assert not any("different rules" in note for note in found["notes"])  # graph-rank has no choice
    call("train", "--dataset", shop, "--out", tmp_path / "mf", "--model", "mf-bpr", *QUICK)
    found = last_json(call("compare", run, tmp_path / "mf", "--json"))
    (note,) = (one for one in found["notes"] if "different rules" in one)
    assert "the last epoch: pkef official" in note
    assert "visible elsewhere: mf-bpr" in note


def test_each_and_all_pairs(run, seed_7, graph_run):
    words = ("compare", run, seed_7, graph_run, "--each", "--all-pairs", "--json")
    found = last_json(call(*words))
    pairs = list(dict.fromkeys((row["a"], row["b"]) for row in found["differences"]))
    one, two = (f"pkef official, d=8, epochs=2 ({folder})" for folder in (run, seed_7))
    assert pairs == [(two, one), ("graph-rank taobao", one), ("graph-rank taobao", two)]
    assert f"{3 * 26} tests were made" in " ".join(found["notes"])


def test_seeds_alone_are_pooled(run, seed_7):
    found = last_json(call("compare", run, seed_7, "--json"))
    assert found["differences"] == []
    assert found["protocol"][0]["seeds"] == 2
    assert not any("tests were made" in note for note in found["notes"])


def test_a_file_of_ranks_is_compared_like_a_run(run, graph_run, tmp_path):
    path = tmp_path / "other.csv"
    call("evaluate", graph_run, "--ranks", path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n", encoding="utf-8")
    wanted = last_json(call("compare", graph_run, run, "--json"))["differences"]
    found = last_json(call("compare", path, run, "--json"))
    rows = found["differences"]
    assert {row["b"] for row in rows} == {"other"}
    wanted = [row for row in wanted if row["group"] != "discovery"]
    for one, other in zip(rows, wanted, strict=True):
        assert one["group"] == other["group"]
        assert one["difference"] == pytest.approx(other["difference"])
    assert any("other is read from" in note for note in found["notes"])
    call("evaluate", graph_run, run, "--ranks", path)
    found = last_json(call("compare", run, path, "--each", "--json"))
    assert len({row["a"] for row in found["differences"]}) == 2


def test_what_cannot_be_compared_is_refused(run, graph_run, shop, tmp_path):
    check_refusal(call("compare", run, code=2), ["one run", "two or more"])
    check_refusal(call("compare", run, run, code=2), ["named twice"])
    check_refusal(call("compare", run, tmp_path, code=2), [str(tmp_path), "not a run"])
    other = tmp_path / "other"
    save_native(generate(n_users=50, n_items=40, seed=4), other)
    call("train", "--dataset", other, "--out", tmp_path / "there", "--model", "graph-rank")
    words = ["there was trained on other data or another split than", "fingerprint"]
    check_refusal(call("compare", run, tmp_path / "there", code=2), words)
    words = ["data set 'synthetic' is not what", "fingerprint"]
    check_refusal(call("compare", run, graph_run, "--dataset", other, code=2), words)
    shutil.copytree(run, tmp_path / "cut")
    (tmp_path / "cut" / "model.npz").unlink()
    check_refusal(call("compare", run, tmp_path / "cut", code=2), ["cut is not finished"])
    words = ["no re-ranker", str(run)]
    check_refusal(call("compare", run, graph_run, "--rerank", "learned", code=2), words)


def test_other_files_of_ranks_are_refused(run, tmp_path):
    path = tmp_path / "ranks.csv"

    def refused(text, words):
        path.write_text(text, encoding="utf-8")
        check_refusal(call("compare", run, path, code=2), [str(path), *words])

    call("evaluate", run, "--ranks", path)
    whole = path.read_text(encoding="utf-8")
    refused(whole.replace("rank_from_1", "rank"), ["'rank'", "counted from 0", "rank_from_1"])
    lines = whole.splitlines()
    count = len(lines) - 1
    refused("\n".join(lines[:-1]), [f"the {count - 1} pairs", f"of the {count} held-out pairs"])
    refused("\n".join([*lines, lines[1]]), [f"the {count + 1} pairs", "each of them once"])
    check_refusal(call("compare", path, code=2), ["say nothing of the data set", "wanted a run"])
    refused(lines[0], ["a header alone"])
    refused(f"{lines[0]}\n5000,1,1\n", ["'5000' is unknown"])
