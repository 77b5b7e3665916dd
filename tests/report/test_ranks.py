"""report/ranks.py: ranks from 1, and nothing that counted otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast import InputError, Recommender
from pkef_fast.data import generate
from pkef_fast.report.ranks import of_runs, rank_table, read_ranks
from pkef_fast.report.table import Table


def test_a_file_of_ranks_gives_the_metrics(tmp_path):
    data = generate(60, 40, seed=2)
    result = Recommender("graph-rank").fit(data).evaluate(data)
    table = rank_table(data, result.protocols["paper"])
    table.write(tmp_path / "ranks.csv")
    read = read_ranks(tmp_path / "ranks.csv")
    assert read.column("user") == [str(user) for user in data.test_users]
    assert read.column("item") == [str(item) for item in data.test_items]
    places = np.array(read.column("rank_from_1"))
    assert np.mean(places <= 10) == result["HR@10"]
    assert np.sum((places <= 10) / np.log2(places + 1)) / len(places) == pytest.approx(
        result["NDCG@10"]
    )
    of_runs([("a", table), ("b", table)]).write(tmp_path / "two.csv")
    assert read_ranks(tmp_path / "two.csv").column("run") == ["a"] * len(places) + ["b"] * len(
        places
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user,item,rank\n0,1,0\n", ["'rank'", "counted from 0", "'rank_from_1'", "evaluate"]),
        ("run,user,item,rank\nr,0,1,0\n", ["'rank'", "counted from 0"]),
        ("user,item,rank_from_1\n0,1,1\n0,2,0\n", ["row 2", "0, 2, 0", "1 or more"]),
        ("user,item,rank_from_1\n,1,1\n", ["row 1", "a value in every column"]),
        ("user,item,rank_from_1\n0,1,x\n", ["line 2", "'x'", "a whole number"]),
        ("user,item,place\n0,1,1\n", ["user, item, place", "wanted user, item, rank_from_1"]),
        ("", ["of no header"]),
    ],
)
def test_other_files_are_refused(tmp_path, text, words):
    path = tmp_path / "ranks.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as found:
        read_ranks(path)
    for word in [str(path), *words]:
        assert word in str(found.value)


def test_ids_are_the_data_sets_own():
    data = generate(20, 30, seed=1)
    names = np.array([f"user {n}" for n in range(data.n_users)])
    named = type(data)(**{**vars(data), "user_ids": names})
    result = Recommender("graph-rank").fit(named).evaluate(named)
    table = rank_table(named, result.protocols["paper"])
    assert isinstance(table, Table)
    assert table.column("user") == [f"user {n}" for n in data.test_users]
    assert table.column("item") == data.test_items.tolist()
