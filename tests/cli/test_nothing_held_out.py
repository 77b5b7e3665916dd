"""Data sets of which nothing is held out: no figure is printed as if it had been measured."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from commands import FEW, QUICK, call, check_refusal, last_json

from pkef_fast import Recommender, load_dataset
from pkef_fast.data import generate, save_native

NOTHING = "nothing was evaluated: no held-out items"


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A shop of which all is trained on."""
    data, none = generate(n_users=50, n_items=40, seed=3), np.empty(0, np.int32)
    folder = tmp_path_factory.mktemp("data") / "all"
    save_native(dataclasses.replace(data, test_users=none, test_items=none), folder)
    return folder


@pytest.fixture(scope="module")
def fits(everything, tmp_path_factory):
    """What training prints, as text and as JSON, and the runs."""
    folder = tmp_path_factory.mktemp("runs")
    data = "--dataset", everything
    return {
        "graph": call("train", *data, "--model", "graph-rank", "--out", folder / "graph"),
        "pkef": call(
            "train", *data, *QUICK, "--eval-every", 1, "--protocol", "all", "--out", folder / "pkef"
        ),
        "chosen": call(
            *("train", *data, "--select", "val", *QUICK, "--json", "--out", folder / "chosen")
        ),
    }, folder


def unmeasured(text: str) -> bool:
    return NOTHING in text and "0.0000" not in text and "nan" not in text and "HR@10" not in text


def test_every_user_bought_once(tmp_path):
    """The log of a shop's single purchases, on which the figures were 0.0000."""
    path = tmp_path / "log.csv"
    rows = [f"{u},{u % 7},buy,{1511544000 + u}" for u in range(30)]
    path.write_text("\n".join(["user,item,behavior,timestamp", *rows, ""]))
    found = call("train", "--dataset", path, "--model", "graph-rank", "--out", tmp_path / "r")
    assert unmeasured(found.stdout)
    told = call(
        *("train", "--dataset", path, "--model", "graph-rank", "--json", "--out", tmp_path / "s")
    )
    result = last_json(told)
    assert (result["users"], result["items"]) == (0, 0)
    assert result["metrics"] == result["popularity"] == {"HR@10": None, "NDCG@10": None}
    refused = call("train", "--dataset", path, "--model", "mf-bpr", "--out", tmp_path / "t", code=2)
    assert "or --select last" in refused.stderr


def test_all_is_trained_on_and_nothing_evaluated(fits):
    told, folder = fits
    assert unmeasured(told["graph"].stdout)
    assert unmeasured(told["pkef"].stdout)
    result = last_json(told["chosen"])
    assert result["metrics"] == {"HR@10": None, "NDCG@10": None}
    assert result["selection"]["metrics"]["HR@10"] is not None  # of validation items
    for line in (folder / "pkef" / "metrics.jsonl").read_text().splitlines():
        assert not {"HR@10", "ties"} & set(json.loads(line))


def test_evaluate(fits):
    _, folder = fits
    for args in ([], ["--protocol", "all"], ["--protocol", "return"]):
        assert unmeasured(call("evaluate", folder / "pkef", *args).stdout)
    several = call("evaluate", folder / "pkef", folder / "graph", "--protocol", "all").stdout
    assert several.count(NOTHING) == 2 and "0.0" not in several
    found = last_json(call("evaluate", folder / "pkef", "--protocol", "all", "--json"))
    assert (found["users"], found["items"]) == (0, 0)
    assert set(found["metrics"].values()) == {None}
    for one in found["protocols"].values():
        assert (one["users"], one["items"]) == (0, 0)
        assert one["HR@10"] is one["MRR"] is one["interval"] is None


def test_compare(fits):
    _, folder = fits
    runs = folder / "graph", folder / "pkef"
    said = call("compare", *runs).stdout
    assert NOTHING in said and "0.0" not in said and "nobody" not in said
    found = last_json(call("compare", *runs, "--json"))
    assert all(one["HR@10"] is None for one in found["runs"])
    assert found["differences"] == []


def test_report_and_recommend(fits, tmp_path):
    _, folder = fits
    call("report", folder / "pkef", folder / "graph", "--no-times", "-o", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Nothing was evaluated: no held-out items." in page
    assert "nan" not in page
    for run in ("graph", "pkef", "chosen"):
        found = last_json(call("recommend", folder / run, "--user", 7, "-k", 3, "--json"))
        assert len(found["users"]["7"]) == 3


def test_rerank(fits, everything):
    _, folder = fits
    run = folder / "graph"
    assert NOTHING in (said := call("rerank", run, *FEW[:2], *FEW[4:]).stdout)
    assert "full ranking" not in said
    found = last_json(call("rerank", run, *FEW[:2], *FEW[4:], "--json"))
    assert found["metrics"] == found["model"] == {"HR@10": None, "NDCG@10": None}
    assert found["users"] == 0
    assert found["reranker"]["users_trained"] > 0
    model = Recommender.load(run)
    assert np.isnan(model.evaluate(load_dataset(everything))["HR@10"])
    call("recommend", run, "--user", 7, "--explain")


def test_tune_goes_by_validation_items_alone(everything, tmp_path):
    pytest.importorskip("optuna")
    args = "--dataset", everything, "--model", "graph-rank", "--trials", 1
    found = last_json(call("tune", *args, "--out", tmp_path / "best.toml", "--json"))
    assert found["best"]["value"] > 0
    assert found["validation_items"] > 0


def test_reproduce_has_nothing_to_set_beside(everything, tmp_path):
    result = call(
        *("reproduce", "table2", "--dataset", everything, "--out", tmp_path / "out"), code=2
    )
    check_refusal(result, ["has no held-out items", "wanted a data set with a split"])


def test_plots_say_what_they_lack(fits, tmp_path):
    _, folder = fits
    call("plot", folder / "pkef", "curves", "-o", tmp_path / "curves.svg")  # the loss is there
    for kind in ("groups", "gates"):
        result = call("plot", folder / "pkef", kind, "-o", tmp_path / f"{kind}.svg", code=2)
        check_refusal(result, ["nothing was evaluated", "no held-out items"])
    assert not (tmp_path / "groups.svg").exists()
