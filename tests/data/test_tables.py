"""Tables: numbering, splits, times and choices of behaviours, and what cannot be one."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.data import layouts, load_dataset, tables
from pkef_fast.errors import InputError

ROWS = """user,item,behavior,timestamp
9,b,view,1
9,a,view,2
9,a,buy,3
9,b,buy,5
9,a,buy,9
4,c,view,4
4,c,buy,6
4,a,cart,7
"""


def written(folder, text=ROWS, name="log.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table(tmp_path):
    path = written(tmp_path)
    assert layouts.layout_of(path) == layouts.layout_of(tmp_path) == "table"
    for place in (path, tmp_path):
        data = load_dataset(place)
        assert data.behaviors == ("view", "cart", "buy")
        assert data.user_ids.tolist() == [4, 9]
        assert data.item_ids.tolist() == ["a", "b", "c"]
        view, cart, buy = data.interactions
        assert (view.indptr.tolist(), view.indices.tolist()) == ([0, 1, 3], [2, 0, 1])
        assert (cart.indptr.tolist(), cart.indices.tolist()) == ([0, 1, 1], [0])
        # User 9 bought a at 3, again at 9, and b at 5: the earliest of each, so b is the last.
        assert (buy.indptr.tolist(), buy.indices.tolist()) == ([0, 1, 2], [2, 0])
        assert (data.test_users.tolist(), data.test_items.tolist()) == ([1], [1])
        assert [one.tolist() for one in data.times] == [[4, 2, 1], [7], [6, 3]]
        assert data.leave_out == "target"


def test_ids_from_0_without_gaps_are_not_kept(tmp_path):
    data = load_dataset(written(tmp_path, "user,item,behavior\n1,0,buy\n0,1,buy\n"))
    assert data.user_ids is None
    assert data.item_ids is None


def test_all_choices_of_behaviors_share_one_numbering(tmp_path):
    data = load_dataset(written(tmp_path), behaviors=("buy",))
    assert data.behaviors == ("buy",)
    assert data.item_ids.tolist() == ["a", "b", "c"]
    assert data.notes == (
        "1 interaction of behaviour 'cart' was left out.",
        "3 interactions of behaviour 'view' were left out.",
    )
    assert load_dataset(written(tmp_path), behaviors=("buy", "view")).target == "view"


def test_held_out_pairs_may_be_left_out_of_all(tmp_path):
    data = load_dataset(written(tmp_path), leave_out="all")
    assert data.source["leave_out"] == data.leave_out == "all"
    assert data.interactions[0].indices.tolist() == [2, 0]  # user 9 did not view b any more


def test_a_random_split_follows_the_seed_and_not_the_rows(tmp_path):
    rng = np.random.default_rng(0)
    pairs = sorted({(int(u), int(i)) for u, i in rng.integers(0, 12, (90, 2))})
    found = {}
    for order in ("first", "last"):
        rows = pairs if order == "first" else pairs[::-1]
        text = "user,item,behavior\n" + "".join(f"{u},{i},buy\n" for u, i in rows)
        for seed in (0, 1):
            data = load_dataset(written(tmp_path, text), seed=seed)
            assert data.split == "random"
            found[order, seed] = data.fingerprint()
    assert found["first", 0] == found["last", 0] != found["first", 1] == found["last", 1]


def test_times_may_be_left_aside(tmp_path):
    assert load_dataset(written(tmp_path), split="random").split == "random"


WRONG = {
    "no rows": ("user,item,behavior\n", {}, "has no rows below its header"),
    "no times": (
        "user,item,behavior\n1,1,buy\n",
        {"split": "time"},
        "has no column of times, which --split time needs",
    ),
    "an unknown split": (ROWS, {"split": "tme"}, "split cannot be 'tme'; did you mean 'time'"),
    "an unknown share": (ROWS, {"leave_out": "some"}, "leave_out cannot be 'some'"),
    "an unknown behaviour": (ROWS, {"behaviors": ("bui",)}, "behaviour 'bui' is not in"),
    "no behaviour": (ROWS, {"behaviors": ()}, "no behaviours were named"),
    "a behaviour twice": (ROWS, {"behaviors": ("buy", "buy")}, "'buy' was named twice"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused(tmp_path, name):
    text, options, sentence = WRONG[name]
    with pytest.raises(InputError) as error:
        load_dataset(written(tmp_path, text), **options)
    assert sentence in str(error.value)


@pytest.mark.parametrize("ending", [".csv", ".TSV", ".tab", ".parquet", ".pq", ".inter", ".jsonl"])
def test_endings_of_tables(tmp_path, ending):
    assert tables.is_table(tmp_path / f"log{ending}")
    assert tables.is_table(tmp_path / f"log{ending}.gz")
    assert not tables.is_table(tmp_path / f"log{ending}.bak")


def test_a_buyer_of_one_thing_has_nothing_held_out(tmp_path):
    data = load_dataset(written(tmp_path, "user,item,behavior\n1,1,buy\n2,2,buy\n2,2,buy\n"))
    assert len(data.test_users) == 0
    assert "There are no held-out items" in data.notes[-1]
