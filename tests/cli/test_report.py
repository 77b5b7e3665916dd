"""`report`: one file that says what the other commands say, and nothing that could act."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from commands import FEW, QUICK, call, check_refusal, last_json

from pkef_fast import InputError, Recommender, load_dataset
from pkef_fast.analysis.gates import gates
from pkef_fast.analysis.user_groups import by_activity
from pkef_fast.data import generate, save_native
from pkef_fast.device import device
from pkef_fast.evaluate.figures import figures
from pkef_fast.report.page import page
from pkef_fast.report.run_facts import ITEMS, USERS, by_group, facts_of
from pkef_fast.report.table import Table
from pkef_fast.store.runs import Run

NASTY = "<img src=x onerror=alert(1)>&"


@pytest.fixture(scope="module")
def reranked(tmp_path_factory):
    """A re-ranked run on a table whose ids are markup."""
    folder = tmp_path_factory.mktemp("nasty")
    rng = np.random.default_rng(0)
    lines = ["user,item,behavior,timestamp"]
    for user in range(14):
        for behavior, count in (("view", 9), ("buy", 4)):
            for item in rng.choice(15, count, replace=False):
                lines.append(f"{NASTY}{user},{NASTY}{item},{behavior},{rng.integers(10**6)}")
    table = folder / "log.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    call("train", "--dataset", table, "--out", folder / "r", "--model", "mf-bpr", *QUICK)
    call("rerank", folder / "r", *FEW)
    return folder / "r"


@pytest.fixture(scope="module")
def facts(run):
    return facts_of(Run.open(run), device("cpu"))


def tree(text):
    """The page, which is well-formed XML but for its first line."""
    return ET.fromstring(text.partition("\n")[2])


def texts(root):
    return " ".join("".join(root.itertext()).split())


def test_the_page_says_what_evaluate_and_recommend_say(run, shop, tmp_path):
    out = tmp_path / "report.html"
    found = last_json(call("report", run, "-o", out, "--no-times", "--json"))
    assert found == {"report": str(out), "runs": [str(run)]}
    root = tree(out.read_text(encoding="utf-8"))
    said = texts(root)
    figures_of = last_json(call("evaluate", run, "--protocol", "all", "--json"))["protocols"]
    for one in figures_of.values():
        low, high = one["interval"]["HR@10"]
        assert f"{one['HR@10']:.4f} ({low:.4f}–{high:.4f})" in said
    users = [one.text.removeprefix("User ") for one in root.iter("h4")]
    assert len(users) == USERS
    words = [word for user in users for word in ("--user", user)]
    best = last_json(call("recommend", run, *words, "-k", ITEMS, "--json"))["users"]
    shown = [[item.text.split()[0] for item in one.findall("li")] for one in root.iter("ol")]
    assert shown == [[str(one["item"]) for one in best[user]] for user in users]
    data = load_dataset(shop)
    assert data.fingerprint() in said
    assert f"pkef-fast train --config {run}/config.toml --out {run}-again" in said
    rule = last_json(call("data", "audit", shop, "--json"))
    assert all(sentence in said for sentence in rule["verdict"])
    rows = {row.find("th").text: [one.text for one in row.iter("td")] for row in root.iter("tr")}
    for name, one in rule["rules"].items():
        wanted = [str(len(data.test_users)), f"{one['HR@10']:.4f}", f"{one['NDCG@10']:.4f}"]
        assert rows[f"rule: {name}"] == wanted


def test_the_held_out_item_is_at_its_place_of_the_whole_ranking(facts, run):
    words = [word for one in facts.shown for word in ("--user", one.user)]
    whole = last_json(call("recommend", run, *words, "-k", facts.data["items"], "--json"))["users"]
    for one in facts.shown:
        ranking = [item["item"] for item in whole[str(one.user)]]
        assert ranking.index(one.held_out) + 1 == one.place
        assert [best.item for best in one.best] == ranking[:ITEMS]


def test_the_page_needs_no_network_and_no_other_file(facts):
    text = page([facts, facts])
    root = tree(text)
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert "<script" not in text
    ids = [one.get("id") for one in root.iter() if one.get("id")]
    assert len(ids) == len(set(ids)) == 2
    assert [one.get("href") for one in root.iter("a")] == [f"#{name}" for name in ids]
    pictures = list(root.iter("svg"))
    assert pictures
    assert all(one.find("title").text for one in pictures)
    boxes = [one for one in root.iter("div") if one.get("class") == "box"]
    assert len(boxes) == len(list(root.iter("table")))


def test_whatever_data_hold_is_text(reranked, facts):
    found = facts_of(Run.open(reranked), device("cpu"))
    odd = dataclasses.replace(
        found,
        path=f"{NASTY}/run",
        preset=None,
        data={**found.data, "notes": [NASTY], "name": NASTY},
        tables={"gates": Table(GATES, [("pkef", 0, NASTY, 0.5, 0.1, 0.2, None)])},
    )
    text = page([odd, facts])
    assert "<img" not in text
    assert texts(tree(text)).count(NASTY) > 20


def test_reasons_are_those_of_recommend_explain(reranked):
    found = facts_of(Run.open(reranked), device("cpu"))
    user = found.shown[0]
    why = last_json(
        call("recommend", reranked, "--user", user.user, "-k", ITEMS, "--explain", "--json")
    )["users"][user.user]
    assert [(one.item, one.why) for one in user.best] == [
        (one["item"], one["reason"]["text"]) for one in why
    ]
    assert found.reranked
    assert "pkef-fast rerank" in page([found])


def test_several_runs_stand_in_one_table(facts, graph_run, reranked):
    second = facts_of(Run.open(graph_run), device("cpu"))
    text = texts(tree(page([facts, second])))
    assert "compare tests the difference" in text
    assert "cannot be compared" not in text
    other = facts_of(Run.open(reranked), device("cpu"))
    root = tree(page([facts, other]))
    assert "cannot be compared" in texts(root)
    first = next(root.iter("tbody"))
    assert [row.find("th").text for row in first] == [facts.path, other.path]
    assert [row.findall("td")[4].text for row in first] == ["pkef", "mf-bpr"]


def test_curves_are_the_records(facts):
    records = [
        {"epoch": 1, "step": 1, "loss": 4.0},
        {"epoch": 2, "step": 2, "loss": 2.0, "HR@10": 0.2, "NDCG@10": 0.1},
        {"epoch": 3, "step": 3, "loss": 1.0, "HR@10": 0.1, "NDCG@10": 0.1},
    ]
    root = tree(page([dataclasses.replace(facts, records=records)]))
    titles = [one.find("title").text for one in root.iter("svg")]
    assert "The loss goes from 4 to 1" in titles
    assert "HR@10 is best at epoch 2 with 0.2000; NDCG@10 is best at epoch 2 with 0.1000" in titles
    text = page([dataclasses.replace(facts, records=records[:1])])
    assert "Learning curves" not in text


def test_groups_are_figures_of_their_users(facts):
    paper = facts.found.protocols["paper"]
    low, high = paper.test_users[:9], paper.test_users[9:]
    found = by_group(["few", "many", "none"], [low, high, low[:0]], paper)
    wanted = figures(paper.ranks[9:])
    row = list(found.records())[1]
    assert (row["group"], row["users"]) == ("many", len(high))
    assert row["HR@10"] == pytest.approx(wanted["HR@10"])
    assert row["NDCG@10"] == pytest.approx(wanted["NDCG@10"])
    assert row["HR@10 low"] <= row["HR@10"] <= row["HR@10 high"]
    assert found.rows[2] == ("none", 0, *[None] * 6)
    text = texts(tree(page([dataclasses.replace(facts, tables={"groups": found})])))
    assert f"many {wanted['HR@10']:.4f}" in text


def test_the_page_has_groups_by_activity(run, shop, tmp_path):
    """A fifth of the test users each, with the figures of their ranks."""
    out = tmp_path / "report.html"
    call("report", run, "-o", out, "--no-times")
    root = tree(out.read_text(encoding="utf-8"))
    rows = {row.find("th").text: [one.text for one in row.iter("td")] for row in root.iter("tr")}
    data = load_dataset(shop)
    paper = Recommender.load(run).evaluate(data).protocols["paper"]
    groups = by_activity(data)
    assert len(groups.names) == 5
    for name, members in zip(groups.names, groups.users, strict=True):
        wanted = figures(paper.ranks[np.isin(paper.test_users, members)])
        assert rows[name][:2] == [str(len(members)), f"{wanted['HR@10']:.4f}"]
        assert rows[name][4] == f"{wanted['NDCG@10']:.4f}"


def test_nothing_held_out_means_no_groups(tmp_path):
    none = np.empty(0, np.int32)
    data = dataclasses.replace(
        generate(n_users=30, n_items=25, seed=1), test_users=none, test_items=none
    )
    save_native(data, tmp_path / "shop")
    run = tmp_path / "run"
    call("train", "--dataset", tmp_path / "shop", "--out", run, "--model", "graph-rank")
    call("report", run, "-o", tmp_path / "report.html", "--no-times")
    said = texts(tree((tmp_path / "report.html").read_text(encoding="utf-8")))
    assert "Nothing was evaluated: no held-out items" in said
    assert "Groups of users" not in said


GATES = ("model", "slot", "expert_name", "mean", "std", "entropy", "mean_term")


def test_gates_are_drawn_where_there_are_some(facts):
    table = Table(
        GATES, [("pkef", 0, "buy", 0.6, 0.1, 0.8, 3.0), ("pkef", 1, "view", 0.4, 0.1, 0.8, 1)]
    )
    text = page([dataclasses.replace(facts, tables={"gates": table})])
    assert "Mean weights: buy 0.6000, view 0.4000" in texts(tree(text))
    assert "<h3>Gates</h3>" not in page([dataclasses.replace(facts, tables={})])


def test_a_report_holds_the_gates_of_its_model(run, graph_run, shop, tmp_path):
    out = tmp_path / "report.html"
    call("report", run, graph_run, "-o", out, "--no-times")
    sections = out.read_text(encoding="utf-8").split("<section")[1:]
    assert ["<h3>Gates</h3>" in one for one in sections] == [True, False]
    found = gates(Recommender.load(run), load_dataset(shop))
    pairs = zip(found.column("expert_name"), found.column("mean"), strict=True)
    assert f"Mean weights: {', '.join(f'{n} {g:.4f}' for n, g in pairs)}" in sections[0]


def test_stages_are_timed_unless_told_not_to(run):
    found = facts_of(Run.open(run), device("cpu"), threads=1)
    *rows, last = found.stages.rows
    assert last[0] == "a step"
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)
    assert "its largest part" in page([found])


def test_what_is_no_report_is_refused(run, tmp_path):
    check_refusal(call("report", run, "-o", tmp_path / "r.pdf", code=2), ["r.pdf", ".html"])
    check_refusal(call("report", tmp_path, "-o", tmp_path / "r.html", code=2), ["is not a run"])
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_refused(run, tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r/config.toml").write_bytes((run / "config.toml").read_bytes())
    with pytest.raises(InputError, match=r"model\.npz"):
        facts_of(Run.open(tmp_path / "r"), device("cpu"))
