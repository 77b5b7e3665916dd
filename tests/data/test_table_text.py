"""Text tables: dialects, quotes, and the line of whatever is wrong."""

from __future__ import annotations

import gzip

import pytest

from pkef_fast.data import load_dataset
from pkef_fast.data.tables.files import File
from pkef_fast.data.tables.opened import source_of
from pkef_fast.data.tables.options import TableOptions
from pkef_fast.data.tables.rows import read
from pkef_fast.errors import InputError

ROWS = [("u1", "a", "view", "5"), ("u2", "b,c", "buy", "3"), ("u1", "a", "buy", "4")]
HEADER = ("user", "item", "behavior", "timestamp")


def written(folder, text: str | bytes, ending="csv"):
    path = folder / f"log.{ending}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(rows, separator=",", end="\n"):
    quoted = [[f'"{c}"' if "," in c and separator == "," else c for c in row] for row in rows]
    return end.join(separator.join(row) for row in quoted) + end


def rows_of(path, **options):
    """The rows that are read."""
    told = TableOptions(**options)
    found = read([source_of(path, told.in_order, told.separator)], [File(path)], told)
    times = [None] * len(found.users) if found.times is None else found.times.values.to_list()
    columns = (found.users, found.items, found.behaviors, times)
    return [(*map(str, row[:3]), row[3]) for row in zip(*columns, strict=True)]


WANTED = [(*row[:3], int(row[3])) for row in ROWS]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "\x01", "::", "~"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_dialects(tmp_path, separator, end, mark):
    text = mark + lines([HEADER, *ROWS], separator, end)
    options = {"separator": separator} if separator == "~" else {}
    assert rows_of(written(tmp_path, text), **options) == WANTED


def test_cells_between_blanks(tmp_path):
    text = "user item behavior  time\n u1 a view 5\nu1\t a buy   4 \n"
    assert rows_of(written(tmp_path, text, "txt"), separator="space") == [WANTED[0], WANTED[2]]


@pytest.mark.parametrize("ending", ["csv.gz", "csv.zst"])
def test_packed_files(tmp_path, ending):
    text = lines([HEADER, *ROWS]).encode()
    if ending.endswith("gz"):
        packed = gzip.compress(text)
    else:
        packed = pytest.importorskip("zstandard").compress(text)
    path = written(tmp_path, packed, ending)
    assert rows_of(path) == WANTED
    cut = written(tmp_path, packed[:-12], ending)
    with pytest.raises(InputError, match=r"log\.csv\.(gz|zst)"):
        rows_of(cut)


def test_columns_may_come_in_any_order_with_others(tmp_path):
    text = "price,event,item_id,x,visitorid\n9,view,i,,7\n9,buy,j,,8\n"
    assert rows_of(written(tmp_path, text)) == [("7", "i", "view", None), ("8", "j", "buy", None)]


def test_a_column_may_have_no_name_or_that_of_another(tmp_path):
    text = ",user,item,item,behavior\n0,u1,a,x,view\n"
    with pytest.raises(InputError, match="the columns 'item' and 'Item' may each be the item"):
        rows_of(written(tmp_path, text.replace("item,item", "item,Item")))
    found = rows_of(written(tmp_path, text), columns="item=item")
    assert found == [("u1", "a", "view", None)]


def test_blank_lines_and_a_line_without_end(tmp_path):
    text = lines([HEADER, ROWS[0]]) + "\n  \n" + lines(ROWS[1:]).rstrip("\n")
    assert rows_of(written(tmp_path, text)) == WANTED


def test_a_header_alone(tmp_path):
    with pytest.raises(InputError, match="has no rows below its header"):
        rows_of(written(tmp_path, lines([HEADER])))


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
    "several": (",a,view\n,,,x\n", "line 4: found 3 fields"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_line(tmp_path, name):
    row, sentence = WRONG[name]
    text = lines([HEADER, ROWS[0]]) + "\n" + row + lines(ROWS[1:])
    path = written(tmp_path, text)
    with pytest.raises(InputError) as error:
        rows_of(path)
    assert str(error.value).startswith(f"{path}, {sentence}")
    assert str(error.value).endswith("; --bad-rows skip leaves such rows out.")
    assert rows_of(path, bad_rows="skip") == WANTED


@pytest.mark.parametrize(
    ("allowed", "fits"),
    [("skip:2", True), ("skip:1", False), ("skip:40%", True), ("skip:39%", False)],
)
def test_no_more_rows_than_allowed_are_skipped(tmp_path, allowed, fits):
    path = written(tmp_path, lines([HEADER, *ROWS]) + "u1,a\n,a,view,x\n")
    if fits:
        assert rows_of(path, bad_rows=allowed) == WANTED
        return
    with pytest.raises(InputError) as error:
        rows_of(path, bad_rows=allowed)
    assert "2 of 5 rows cannot be used (fields 1, user 1, time 1)" in str(error.value)
    assert f"more than --bad-rows {allowed} allows; the first is {path}, line 5" in str(error.value)


def test_a_table_without_a_good_row(tmp_path):
    with pytest.raises(InputError, match="no row can be used; the first is"):
        rows_of(written(tmp_path, lines([HEADER]) + ",a,view,5\n"), bad_rows="skip")


def test_quotes_enclose_cells_only_where_all_are_closed(tmp_path):
    text = 'user,item,behavior\n"u,1","a ""b""",view\nu2,c,"buy"\n'
    assert rows_of(written(tmp_path, text)) == [
        ("u,1", 'a "b"', "view", None),
        ("u2", "c", "buy", None),
    ]
    stray = 'user,item,behavior\nu1,"a,view\nu2,b,buy\nu3,"c,buy\n'
    path = written(tmp_path, stray)
    assert [row[1] for row in rows_of(path)] == ['"a', "b", '"c']
    source = source_of(path, None, None)
    source.read(["item"])
    (note,) = source.notes
    assert "2 lines have quotes that enclose no whole cell; quotes were read as text" in note


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "found the columns none"),
        (b"user,item,behavior\n1,2,view\n\xff\xfe,1,view\n", "line 3: cannot be read as text"),
        (b"\xff\xfeu\x00s\x00", "line 1: found byte 0 that is no UTF-8"),
        (b"PK\x03\x04\x00\x00\x00", "is not a text table"),
        (b"who,what\n1,2\n", "of which none is known as the user or the item; wanted --columns"),
        (b"1,2,view\n", "or, if the file has no header, its columns in order: --columns user,"),
    ],
)
def test_what_is_no_table(tmp_path, content, sentence):
    with pytest.raises(InputError) as error:
        rows_of(written(tmp_path, content))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read: No such file.*; wanted a table"):
        rows_of(tmp_path / "none.csv")


def test_names_in_order_are_of_files_without_header(tmp_path):
    path = written(tmp_path, lines([HEADER, *ROWS]))
    with pytest.raises(InputError, match=r"found names of columns \(user, item"):
        rows_of(path, columns="user,item,behavior,time")
    path = written(tmp_path, lines(ROWS))
    with pytest.raises(InputError, match="line 1: found 4 cells, wanted 3, as --columns names"):
        rows_of(path, columns="user,item,behavior")


def test_line_numbers_of_a_file_without_header(tmp_path):
    path = written(tmp_path, lines(ROWS) + "u1,,view,5\n")
    with pytest.raises(InputError, match="line 4, field item: found ''"):
        rows_of(path, columns="user,item,behavior,time")


def test_quoted_cells_may_span_lines(tmp_path):
    text = (
        'user,item,behavior,words\n1,a,view,"good,\n""but"" dear\n"\n2,b,buy,\n'
        '1,c,buy,"so\r\nso"\n1,d,buy,fine\n'
    )
    path = written(tmp_path, text)
    data = load_dataset(path, split="none")
    assert data.counts() == {"view": 1, "buy": 3}
    assert data.notes[0] == f"{path}: some cells span several lines; it was read slowly."
    path.write_text(text.replace("2,b,buy", ",b,buy"), encoding="utf-8")
    with pytest.raises(InputError, match="line 5, field user: found ''"):
        load_dataset(path)
    path.write_text(text.replace("fine", '"fine'), encoding="utf-8")
    with pytest.raises(InputError, match="line 2: found"):
        load_dataset(path)
