"""How a table is split: by time, at random, at a date, not at all, or as it comes."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.data import load_dataset
from pkef_fast.errors import InputError

DAY = 86_400
START = 1_700_000_000 - 1_700_000_000 % DAY  # midnight, UTC
ROWS = [
    # user, item, behavior, day
    (1, "a", "view", 0),
    (1, "a", "buy", 1),
    (1, "b", "view", 2),
    (1, "b", "buy", 3),
    (2, "a", "buy", 0),
    (2, "c", "view", 3),
    (2, "c", "buy", 4),
    (2, "b", "buy", 5),
    (3, "c", "buy", 4),
    (3, "a", "view", 5),
]


def written(folder, rows=ROWS, name="log.csv", behavior=True):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["user,item,behavior,time" if behavior else "user,item,time"]
    for user, item, what, day in rows:
        lines.append(f"{user},{item}{f',{what}' if behavior else ''},{START + day * DAY}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def pairs(data, k=-1):
    csr, ids = data.interactions[k], data.item_ids
    users = np.repeat(np.arange(data.n_users), np.diff(csr.indptr))
    return {(data.user_ids[u].item(), str(ids[i])) for u, i in zip(users, csr.indices, strict=True)}


def held_out(data):
    return {
        (data.user_ids[u].item(), str(data.item_ids[i]))
        for u, i in zip(data.test_users, data.test_items, strict=True)
    }


def test_by_time(tmp_path):
    data = load_dataset(written(tmp_path))
    assert held_out(data) == {(1, "b"), (2, "b")}
    assert pairs(data) == {(1, "a"), (2, "a"), (2, "c"), (3, "c")}
    assert pairs(data, 0) == {(1, "a"), (1, "b"), (2, "c"), (3, "a")}


def test_nothing_is_held_out_of_a_production_fit(tmp_path):
    data = load_dataset(written(tmp_path), split="none")
    assert held_out(data) == set()
    assert len(pairs(data)) == 6
    assert data.split == "none"
    assert load_dataset(**data.source).fingerprint() == data.fingerprint()


@pytest.mark.parametrize("when", ["2023-11-17", str(START + 3 * DAY), "2023-11-17T00:00:00Z"])
def test_nobody_learns_from_the_future(tmp_path, when):
    """Day 3 is 2023-11-17."""
    data = load_dataset(written(tmp_path), split=f"global-time={when}")
    assert held_out(data) == {(1, "b"), (2, "c"), (2, "b")}  # nobody knows user 3 before
    assert pairs(data) == {(1, "a"), (2, "a")}
    assert pairs(data, 0) == {(1, "a"), (1, "b")}
    assert max(int(one.max()) for one in data.times) < START + 3 * DAY
    assert "(1 of others were left out)" in data.reading["held_out"]


def test_a_share_of_the_latest_target_pairs(tmp_path):
    data = load_dataset(written(tmp_path), split="global-time=0.34")
    assert held_out(data) == {(2, "c"), (2, "b")}


def test_since_a_date(tmp_path):
    data = load_dataset(written(tmp_path), since="2023-11-15", split="none")  # day 1
    assert pairs(data) == {(1, "a"), (1, "b"), (2, "c"), (2, "b"), (3, "c")}
    assert pairs(data, 0) == {(1, "b"), (2, "c"), (3, "a")}
    assert "2 rows before 2023-11-15 were left out." in data.notes
    with pytest.raises(InputError, match="has no row from 2030-01-01 on"):
        load_dataset(written(tmp_path), since="2030-01-01")


def test_k_core(tmp_path):
    rows = [(u, i, "buy", u + i) for u in (1, 2) for i in (1, 2)]
    rows += [(3, 1, "buy", 5), (1, 9, "view", 6), (3, 9, "view", 7), (1, 1, "view", 0)]
    rows += [(4, 3, "buy", 5), (4, 4, "buy", 5)]
    data = load_dataset(written(tmp_path, rows), k_core=2, split="none")
    assert pairs(data) == {(1, "1"), (1, "2"), (2, "1"), (2, "2")}
    assert pairs(data, 0) == {(1, "1")}
    assert (data.n_users, data.n_items) == (2, 2)
    assert any("2 users and 3 items with fewer than 2 buy" in note for note in data.notes)
    with pytest.raises(InputError, match="no user and item is left that have 9 buy"):
        load_dataset(written(tmp_path, rows), k_core=9)


def test_ties_in_time_are_drawn_by_the_seed_and_not_by_the_rows(tmp_path):
    rows = [(u, i, "buy", 1) for u in range(1, 30) for i in range(1, 5)]
    rows += [(50, 1, "buy", 1), (50, 6, "buy", 2)]
    data = load_dataset(written(tmp_path, rows))
    assert "(of 30, 29 drawn among equal times)" in data.reading["held_out"]
    assert (50, "6") in held_out(data)
    assert len({item for user, item in held_out(data) if user != 50}) > 1
    again = load_dataset(written(tmp_path, rows[::-1], "again.csv"))
    assert held_out(again) == held_out(data)
    other = load_dataset(written(tmp_path, rows), seed=1)
    assert held_out(other) != held_out(data)


def test_splits_that_need_times(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,behavior\n1,1,buy\n1,2,buy\n", encoding="utf-8")
    for split in ("time", "global-time=0.1"):
        with pytest.raises(InputError, match="has no column of times, which --split"):
            load_dataset(path, split=split)
    with pytest.raises(InputError, match="has no column of times, which --since needs"):
        load_dataset(path, since="2020-01-01")
    path.write_text("user,item,behavior,time\n1,1,buy,3\n1,2,buy,4\n", encoding="utf-8")
    with pytest.raises(InputError, match="are numbers of an unknown unit"):
        load_dataset(path, split="global-time=2020-01-01")
    assert load_dataset(path, split="global-time=4").test_users.tolist() == [0]
    with pytest.raises(InputError, match="--split global-time cannot be 'soon'"):
        load_dataset(path, split="global-time=soon")


def test_train_and_test_tables(tmp_path):
    for name, rows in (("train", ROWS[:6]), ("test", ROWS[6:9])):
        written(tmp_path, rows, f"shop/shop.{name}.csv")
    data = load_dataset(tmp_path / "shop")
    assert held_out(data) == {(2, "c"), (2, "b"), (3, "c")}
    assert pairs(data) == {(1, "a"), (1, "b"), (2, "a")}
    with pytest.raises(InputError, match="comes with its own split, so --split"):
        load_dataset(tmp_path / "shop", split="time")
    written(tmp_path, ROWS, "shop/more.csv")
    with pytest.raises(InputError, match=r"train and test tables and more\.csv besides"):
        load_dataset(tmp_path / "shop")


def test_a_column_that_says_the_split(tmp_path):
    path = tmp_path / "log.csv"
    text = "user,item,behavior,split\n1,a,buy,train\n1,b,buy,TEST\n1,c,buy,valid\n"
    text += "1,c,view,test\n1,c,view,train\n"
    path.write_text(text, encoding="utf-8")
    data = load_dataset(path)
    assert held_out(data) == {(1, "b")}
    assert pairs(data) == {(1, "a")}
    anew = load_dataset(path, columns="split=none", split="none")
    assert len(pairs(anew)) == 3
    assert "1 row of other behaviours in the test part was left out." in data.notes
    assert [part.tolist() for part in data.validation] == [[0], [2]]
    path.write_text(text.replace("TEST", "maybe"), encoding="utf-8")
    with pytest.raises(InputError, match="line 3, field split: found 'maybe', wanted train, valid"):
        load_dataset(path)


def test_files_of_one_behavior_each(tmp_path):
    for name in ("view", "buy"):
        rows = [row for row in ROWS if row[2] == name]
        written(tmp_path, rows, f"shop/{name}.csv", behavior=False)
    data = load_dataset(tmp_path / "shop")
    whole = load_dataset(written(tmp_path))
    assert data.behaviors == ("view", "buy")
    assert data.fingerprint() == whole.fingerprint()


def test_part_files_must_have_the_same_columns(tmp_path):
    written(tmp_path, ROWS[:5], "parts/part-0.csv")
    path = written(tmp_path, ROWS[5:], "parts/part-1.csv")
    (path.parent / "_SUCCESS").touch()
    (path.parent / ".part-0.csv.crc").touch()
    whole = load_dataset(written(tmp_path))
    assert load_dataset(tmp_path / "parts").fingerprint() == whole.fingerprint()
    assert load_dataset(f"{tmp_path}/parts/part-*.csv").fingerprint() == whole.fingerprint()
    path.write_text(path.read_text(encoding="utf-8").replace("time", "when"), encoding="utf-8")
    with pytest.raises(InputError, match=r"part-1\.csv has no column 'time' for the time, which"):
        load_dataset(tmp_path / "parts")
    with pytest.raises(InputError, match="holds no table"):
        load_dataset(f"{tmp_path}/none/*.csv")


def test_the_row_of_a_part_file_is_named(tmp_path):
    written(tmp_path, ROWS[:5], "parts/part-0.csv")
    path = written(tmp_path, [*ROWS[5:], ("", "a", "buy", 9)], "parts/part-1.csv")
    with pytest.raises(InputError) as error:
        load_dataset(tmp_path / "parts")
    assert str(error.value).startswith(f"{path}, line 7, field user: found ''")
