"""CSV and TSV files: dialects, and the line of whatever is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.data import csvs
from pkef_fast.data.csvs import read_csv
from pkef_fast.errors import InputError

ROWS = [("u1", "a", "view", "5"), ("u2", "b,c", "buy", "3"), ("u1", "a", "buy", "4")]
HEADER = ("user", "item", "behavior", "timestamp")


def written(folder, text: str | bytes, ending="csv"):
    path = folder / f"log.{ending}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(rows, delimiter=",", end="\n"):
    quoted = [[f'"{cell}"' if "," in cell else cell for cell in row] for row in rows]
    return end.join(delimiter.join(row) for row in quoted) + end


def cells(table):
    """The table's rows again."""
    labels = (table.user_labels, table.item_labels, table.behavior_labels)
    codes = (table.users, table.items, table.behaviors)
    columns = [[one[c] for c in code] for one, code in zip(labels, codes, strict=True)]
    return list(zip(*columns, [str(time) for time in table.time], strict=True))


@pytest.mark.parametrize("delimiter", list(",\t;|"))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_dialects(tmp_path, delimiter, end, mark):
    text = mark + lines([HEADER, *ROWS], delimiter, end)
    assert cells(read_csv(written(tmp_path, text))) == ROWS


@pytest.mark.parametrize("rows_at_a_time", [1, 2, 3, 100])
def test_chunks_change_nothing(tmp_path, monkeypatch, rows_at_a_time):
    monkeypatch.setattr(csvs, "CHUNK_ROWS", rows_at_a_time)
    assert cells(read_csv(written(tmp_path, lines([HEADER, *ROWS])))) == ROWS


def test_columns_may_come_in_any_order_with_others(tmp_path):
    text = "price,event,item_id,x,visitorid\n9,view,i,,7\n9,buy,j,,8\n"
    table = read_csv(written(tmp_path, text))
    assert table.user_labels == ["7", "8"]
    assert table.item_labels == ["i", "j"]
    assert table.behavior_labels == ["view", "buy"]
    assert table.time is None


def test_blank_lines_and_a_line_without_end(tmp_path):
    text = lines([HEADER, ROWS[0]]) + "\n\n" + lines(ROWS[1:]).rstrip("\n")
    assert cells(read_csv(written(tmp_path, text))) == ROWS


def test_a_header_alone_is_an_empty_table(tmp_path):
    table = read_csv(written(tmp_path, lines([HEADER])))
    assert len(table.users) == len(table.time) == 0
    assert table.users.dtype == np.int64


WRONG = {
    "too few fields": ("u1,a,view\n", "line 4: found 3 fields, wanted 4 as in the header"),
    "too many fields": ("u1,a,view,5,6\n", "line 4: found 5 fields, wanted 4"),
    "no user": (",a,view,5\n", "line 4, field user: found '', wanted a name or number of the user"),
    "no item by name": ("u1,NaN,view,5\n", "line 4, field item: found 'NaN', wanted a name"),
    "no behaviour": ("u1,a, ,5\n", "line 4, field behavior: found ' ', wanted a name"),
    "no time": ("u1,a,view,\n", "line 4, field timestamp: found '', wanted a time"),
    "a negative time": ("u1,a,view,-5\n", "line 4, field timestamp: found '-5', wanted a time"),
    "a date among numbers": (
        "u1,a,view,2020-01-01\n",
        "line 4, field timestamp: found '2020-01-01', wanted a time",
    ),
    "not a number of time": ("u1,a,view,nan\n", "line 4, field timestamp: found 'nan'"),
}


@pytest.mark.parametrize("rows_at_a_time", [1, 100])
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_line(tmp_path, monkeypatch, name, rows_at_a_time):
    monkeypatch.setattr(csvs, "CHUNK_ROWS", rows_at_a_time)
    row, sentence = WRONG[name]
    path = written(tmp_path, lines([HEADER, ROWS[0]]) + "\n" + row + lines(ROWS[1:]))
    with pytest.raises(InputError) as error:
        read_csv(path)
    assert str(error.value).startswith(f"{path}, {sentence}")


def test_lines_are_counted_through_cells_of_several_lines(tmp_path):
    text = 'user,item,behavior\n"a\nb",1,view\n3,,view\n'
    with pytest.raises(InputError, match=r"line 4, field item: found ''"):
        read_csv(written(tmp_path, text))


@pytest.mark.parametrize("value", ["0", "-1", "x", "nan", ""])
def test_a_value_must_be_above_zero(tmp_path, value):
    text = f"user,item,behavior,rating\n1,1,view,5\n1,2,view,{value}\n"
    with pytest.raises(InputError) as error:
        read_csv(written(tmp_path, text))
    assert f"line 3, field rating: found {value!r}, wanted a number above 0" in str(error.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "found the columns none, wanted also user"),
        (b"user,item,behavior\n\xff\xfe,1,view\n", "is not a text table"),
        (b"\x1f\x8b\x08\x00" + b"\x00" * 40, "is not a text table"),
    ],
)
def test_what_is_no_table(tmp_path, content, sentence):
    with pytest.raises(InputError, match=sentence):
        read_csv(written(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read: No such file.*; wanted a table"):
        read_csv(tmp_path / "none.csv")
