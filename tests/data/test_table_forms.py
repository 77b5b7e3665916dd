"""JSON lines, Parquet and frames: types of columns, and the row of whatever is wrong."""

from __future__ import annotations

import builtins
import datetime
import json

import numpy as np
import polars as pl
import pytest

from pkef_fast.data import Dataset
from pkef_fast.data.tables.files import File
from pkef_fast.data.tables.frame import Frame
from pkef_fast.data.tables.opened import source_of
from pkef_fast.data.tables.options import TableOptions
from pkef_fast.data.tables.rows import read
from pkef_fast.errors import InputError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
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


def read_of(source, **options):
    return read([source], [File(source.path)], TableOptions(**options))


def test_a_parquet_file(tmp_path):
    source = source_of(written(tmp_path, price=[1, 2, None]), None, None)
    found = read_of(source)
    assert found.users.to_list() == COLUMNS["user_id"]
    assert found.items.to_list() == COLUMNS["item"]
    assert found.behaviors.to_list() == COLUMNS["event"]
    assert found.times.values.to_list() == COLUMNS["timestamp"]
    assert source.place(2) == "row 2"


@pytest.mark.parametrize(
    "items",
    [
        pa.array([7, 9, 7], "int8"),
        pa.array([7, 9, 7], "uint64"),
        pa.array([7.0, 9.0, 7.0]),  # as tables with gaps write whole numbers
        pa.array(["7", "9", " 7 "]).dictionary_encode(),
        pa.array([b"7", b"9", b"7"]),
        pa.array(["7", "9", "7"], pa.large_string()),
        pa.chunked_array([[7], [9, 7]]),
    ],
    ids=["int8", "uint64", "float", "dictionary", "binary", "large text", "chunks"],
)
def test_types_of_ids(tmp_path, items):
    found = read_of(source_of(written(tmp_path, item=items), None, None))
    assert found.items.to_list() == [7, 9, 7]


DAY = datetime.datetime(2020, 1, 2)
DAY_TIME = int((DAY - datetime.datetime(1970, 1, 1)).total_seconds()) * 10**6


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        (pa.array([5, 3, 8], "uint16"), [5, 3, 8]),
        (pa.array([5.5, 3, 8]), [5.5, 3, 8]),
        (pa.array([5.0, 3, 8]), [5, 3, 8]),
        (pa.array([DAY] * 3, pa.timestamp("ns")), [DAY_TIME] * 3),
        (pa.array([DAY] * 3, pa.timestamp("ms")), [DAY_TIME] * 3),
        (pa.array([DAY] * 3, pa.timestamp("s", "Asia/Tokyo")), [DAY_TIME] * 3),
        (pa.array([DAY.date()] * 3), [DAY_TIME] * 3),
        (["2020-01-02"] * 3, [DAY_TIME] * 3),
        (["5", "3", "8"], [5, 3, 8]),
    ],
    ids=["int", "fractions", "whole", "ns", "ms", "zoned", "dates", "dates as text", "text"],
)
def test_types_of_times(tmp_path, times, wanted):
    found = read_of(source_of(written(tmp_path, timestamp=times), None, None))
    assert found.times.values.to_list() == wanted


WRONG = {
    "no user": ({"user_id": ["u", None, "u"]}, "row 1, field user_id: found '', wanted a name"),
    "a user by no name": ({"user_id": ["u", "v", "NaN"]}, "row 2, field user_id: found 'NaN'"),
    "an item that is no number": ({"item": [7.0, float("nan"), 7]}, "row 1, field item: found nan"),
    "no time": ({"timestamp": [5, None, 8]}, "row 1, field timestamp: found '', wanted a time"),
    "a negative time": ({"timestamp": [5, 3, -8]}, "row 2, field timestamp: found -8"),
    "not a number of time": ({"timestamp": [5.0, float("nan"), 8]}, "row 1, field timestamp"),
    "text for a time": ({"timestamp": ["a", "b", "c"]}, "row 0, field timestamp: found 'a'"),
    "a mixed time": (
        {"timestamp": ["5", "2020-01-01", "8"]},
        "row 1, field timestamp: found '2020-01-01'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_row(tmp_path, name):
    changes, sentence = WRONG[name]
    path = written(tmp_path, **changes)
    with pytest.raises(InputError) as error:
        read_of(source_of(path, None, None))
    assert str(error.value).startswith(f"{path}, {sentence}")


def test_what_is_no_parquet(tmp_path):
    path = written(tmp_path)
    content = path.read_bytes()
    for damaged in (b"", b"PAR1", content[:-9], content[: len(content) // 2], b"user,item\n"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read as Parquet"):
            read_of(source_of(path, None, None))
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        source_of(tmp_path / "none.parquet", None, None)


def test_a_damaged_parquet_file_without_pyarrow(tmp_path, monkeypatch):
    path, before = tmp_path / "log.parquet", builtins.__import__
    path.write_bytes(b"PAR1")

    def missing(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return before(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        source_of(path, None, None)


def jsonl(folder, rows, ending="jsonl"):
    path = folder / f"log.{ending}"
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


ROWS = [
    {"user_id": 1, "item": "a", "event": "view", "x": {"deep": [1]}},
    {"item": "b", "user_id": "2", "event": "buy", "late": True},
]


def test_json_lines(tmp_path):
    source = source_of(jsonl(tmp_path, ROWS), None, None)
    assert source.header == ["user_id", "item", "event", "x", "late"]
    found = read_of(source)
    assert found.users.to_list() == [1, 2]
    assert found.items.to_list() == ["a", "b"]


def test_json_lines_with_blank_and_broken_ones(tmp_path):
    path = jsonl(tmp_path, [ROWS[0], "", '{"user_id": 3 "item"}', "[1]", ROWS[1], {"user_id": 4}])
    with pytest.raises(InputError) as error:
        read_of(source_of(path, None, None))
    assert str(error.value).startswith(
        f'{path}, line 3: found \'{{"user_id": 3 "item"}}\', wanted an object in JSON'
    )
    found = read_of(source_of(path, None, None), bad_rows="skip")
    assert found.users.to_list() == [1, 2]
    assert (found.count, found.skipped) == (5, {"fields": 2, "item": 1, "behavior": 1})


def test_what_are_no_json_lines(tmp_path):
    with pytest.raises(InputError, match="line 1: found a list; wanted JSON lines"):
        source_of(jsonl(tmp_path, [[1, 2]], "json"), None, None)
    with pytest.raises(InputError, match="wanted an object a line"):
        source_of(jsonl(tmp_path, ["who, what"]), None, None)


def test_lists_of_names_are_for_text(tmp_path):
    for path in (jsonl(tmp_path, ROWS), written(tmp_path)):
        with pytest.raises(InputError, match="whose columns have names"):
            source_of(path, ["user", "item"], None)


@pytest.mark.parametrize("kind", ["polars", "lazy", "pandas", "arrow", "dict"])
def test_tables_in_memory(kind):
    frame = pl.DataFrame(COLUMNS)
    if kind == "pandas":
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame(COLUMNS | {"timestamp": pd.to_datetime([5, 3, 8], unit="s")})
    elif kind in ("arrow", "dict"):
        frame = pa.table(COLUMNS) if kind == "arrow" else COLUMNS
    elif kind == "lazy":
        frame = frame.lazy()
    found = read_of(Frame(frame))
    assert found.users.to_list() == COLUMNS["user_id"]
    times = np.array(found.times.values)
    np.testing.assert_array_equal(times, np.array([5, 3, 8]) * (10**6 if kind == "pandas" else 1))


def test_what_is_no_table_in_memory():
    with pytest.raises(
        InputError, match="the frame is of type int, which cannot be read as a table"
    ):
        Frame(7)
    with pytest.raises(InputError, match="row 1, field item: found ''"):
        read_of(Frame({"user": [1, 2], "item": [1, None], "event": ["view", "buy"]}))


def test_data_sets_of_tables_in_memory():
    columns = {"user": [1, 1, 2, 2], "item": ["a", "b", "a", "c"], "what": ["view", "buy"] * 2}
    data = Dataset.from_frame(pl.DataFrame(columns), "shop", columns="behavior=what", split="none")
    assert (data.name, data.source) == ("shop", {})
    assert data.counts() == {"view": 2, "buy": 2}
    events = Dataset.from_events(*columns.values(), split="none", order=("buy", "view"))
    assert events.behaviors == ("buy", "view")
    arrays = [np.array(one) for one in columns.values()]
    assert Dataset.from_events(*arrays, split="none").fingerprint() == data.fingerprint()
    timed = Dataset.from_events(*arrays, times=np.array([4, 3, 2, 1]))
    assert timed.split == "time"
    for wrong, sentence in (
        ({"user": [1], "item": [2, 3]}, "cannot be read as a table"),
        ({}, "has no columns"),
    ):
        with pytest.raises(InputError, match=sentence):
            Dataset.from_frame(wrong)
    with pytest.raises(InputError, match="the table 'events', row 1, field item: found ''"):
        Dataset.from_events([1, 2], ["a", None], "buy")
