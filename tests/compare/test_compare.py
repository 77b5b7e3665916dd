"""Tables of a comparison where users have several held-out items, or nobody has one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pkef_fast import Recommender
from pkef_fast.compare.compare import compare
from pkef_fast.compare.pooled import pools
from pkef_fast.compare.significance import paired
from pkef_fast.data import generate
from pkef_fast.evaluate.figures import gains
from pkef_fast.store.runs import Run


def compared(data, folder):
    """Two rankings without training, and their comparison."""
    found = []
    for name, preset in (("a", "taobao"), ("b", "tmall")):
        model = Recommender("graph-rank", preset).fit(data, out=folder / name)
        found.append(model.evaluate(data, protocol="all").protocols)
    return found, compare(pools([Run.open(folder / name) for name in "ab"]), data)


def test_users_with_several_held_out_items_are_one_witness_each(tmp_path):
    data = generate(60, 40, seed=3)
    random = np.random.default_rng(0)
    users = np.sort(np.concatenate([data.test_users, random.choice(data.test_users, 40)]))
    more = replace(
        data, test_users=users, test_items=random.integers(40, size=len(users)).astype(np.int32)
    )
    (one, other), tables = compared(more, tmp_path)
    row = next(tables["protocol"].records())
    assert row["users"] == len(np.unique(users)) < len(users)
    assert row["HR@10"] == one["paper"].metrics["HR@10"]
    for row in tables["differences"].records():
        if row["by"] != "protocol":
            continue
        a, b = other[row["group"]], one[row["group"]]
        which = ("HR@10", "NDCG@10").index(row["metric"])
        values = (gains(x.ranks, 10)[which] for x in (a, b))
        wanted = paired(a.test_users, *values)
        assert (row["difference"], row["low"], row["high"], row["p"]) == pytest.approx(wanted)
        assert row["difference"] == pytest.approx(
            a.metrics[row["metric"]] - b.metrics[row["metric"]]
        )
        assert row["users"] == a.users


def test_nobody_to_rank_for_is_no_error(tmp_path):
    data = replace(
        generate(20, 15, seed=1), test_users=np.empty(0, np.int32), test_items=np.empty(0, np.int32)
    )
    _, tables = compared(data, tmp_path)
    assert tables["differences"].rows == []
    assert tables["protocol"].rows[0][2:] == (0, 1, *[None] * 8)
    assert tables["groups"].rows == []
    assert any("0 test users, 0 left out" in note for note in tables["notes"].column("note"))
