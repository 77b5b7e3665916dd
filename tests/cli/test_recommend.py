"""`recommend`: the ids that users know, and what they bought left out."""

from __future__ import annotations

import numpy as np
from commands import QUICK, call, last_json

from pkef_fast import PKEF, load_dataset


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
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    call("train", "--dataset", table, "--out", tmp_path / "r", *QUICK)
    found = last_json(call("recommend", tmp_path / "r", "--user", "u-3", "-k", 2, "--json"))
    assert all(one["item"].startswith("sku ") for one in found["users"]["u-3"])
    result = call("recommend", tmp_path / "r", "--user", "u-99", code=2)
    assert "user 'u-99' is unknown" in result.stderr
