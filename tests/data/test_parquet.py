"""Parquet tables: types of columns, and the row of whatever is wrong."""

from __future__ import annotations

import builtins
import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pkef_fast.data.parquet import read_parquet
from pkef_fast.errors import InputError

COLUMNS = {
    "user_id": ["u", "v", "u"],
    "item": [7, 9, 7],
    "event": ["view", "view", "buy"],
    "timestamp": [5, 3, 8],
}


def written(folder, **changes):
    columns = {name: one for name, one in {**COLUMNS, **changes}.items() if one is not None}
    path = folder / "log.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_a_table(tmp_path):
    table = read_parquet(written(tmp_path, price=[1, 2, None]))
    assert [table.user_labels[c] for c in table.users] == COLUMNS["user_id"]
    assert [table.item_labels[c] for c in table.items] == COLUMNS["item"]
    assert [table.behavior_labels[c] for c in table.behaviors] == COLUMNS["event"]
    assert table.users.dtype == table.items.dtype == table.behaviors.dtype == np.int64
    assert table.time.tolist() == COLUMNS["timestamp"]
    assert table.place(2) == "row 2"


@pytest.mark.parametrize(
    "items",
    [
        pa.array([7, 9, 7], "int8"),
        pa.array([7.0, 9.0, 7.0]),  # as tables with gaps write whole numbers
        pa.array(["7", "9", "7"]).dictionary_encode(),
        pa.chunked_array([[7], [9, 7]]),
    ],
    ids=["int8", "float", "dictionary", "chunks"],
)
def test_types_of_ids(tmp_path, items):
    table = read_parquet(written(tmp_path, item=items))
    assert [str(table.item_labels[c]) for c in table.items] == ["7", "9", "7"]


DAY = datetime.datetime(2020, 1, 2)
DAY_TIME = int((DAY - datetime.datetime(1970, 1, 1)).total_seconds()) * 10**6


@pytest.mark.parametrize(
    ("times", "found"),
    [
        (pa.array([5, 3, 8], "uint16"), [5, 3, 8]),
        (pa.array([5.5, 3, 8]), [5.5, 3, 8]),
        (pa.array([DAY] * 3, pa.timestamp("ns")), [DAY_TIME] * 3),
        (pa.array([DAY] * 3, pa.timestamp("s", "UTC")), [DAY_TIME] * 3),
        (pa.array([DAY.date()] * 3), [DAY_TIME] * 3),
        (["2020-01-02"] * 3, [DAY_TIME] * 3),
        (["5", "3", "8"], [5, 3, 8]),
    ],
    ids=["integers", "fractions", "nanoseconds", "zoned", "dates", "dates as text", "text"],
)
def test_types_of_times(tmp_path, times, found):
    assert read_parquet(written(tmp_path, timestamp=times)).time.tolist() == found


WRONG = {
    "no user": ({"user_id": ["u", None, "u"]}, "row 1, field user_id: found None, wanted a name"),
    "a user by no name": ({"user_id": ["u", "v", "NaN"]}, "row 2, field user_id: found 'NaN'"),
    "an item that is no number": ({"item": [7.0, float("nan"), 7]}, "row 1, field item: found nan"),
    "no time": ({"timestamp": [5, None, 8]}, "row 1, field timestamp: found None, wanted a time"),
    "a negative time": ({"timestamp": [5, 3, -8]}, "row 2, field timestamp: found -8"),
    "not a number of time": ({"timestamp": [5.0, float("nan"), 8]}, "row 1, field timestamp"),
    "text for a time": ({"timestamp": ["a", "b", "c"]}, "some row, field timestamp: found"),
    "a mixed time": ({"timestamp": ["5", "2020-01-01", "8"]}, "some row, field timestamp: found"),
    "a value of 0": ({"rating": [1, 0, 2]}, "row 1, field rating: found 0, wanted a number above"),
    "no value": ({"rating": [1.5, 2, None]}, "row 2, field rating: found None"),
    "text for a value": ({"count": ["a", "b", "c"]}, "every row, field count: found 'string'"),
    "no behaviour": ({"event": None}, "wanted also behavior"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_row(tmp_path, name):
    changes, sentence = WRONG[name]
    path = written(tmp_path, **changes)
    with pytest.raises(InputError) as error:
        read_parquet(path)
    assert sentence in str(error.value)
    assert str(error.value).startswith(f"{path}, ")


def test_what_is_no_parquet(tmp_path):
    path = written(tmp_path)
    content = path.read_bytes()
    for damaged in (b"", b"PAR1", content[:-9], content[: len(content) // 2], b"user,item\n"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read as Parquet"):
            read_parquet(path)
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_parquet(tmp_path / "none.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    path, before = written(tmp_path), builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return before(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"install pkef-fast\[parquet\], or convert"):
        read_parquet(path)
