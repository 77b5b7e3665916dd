"""Columns of tables: their names, ids and times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pkef_fast.data.columns import (
    NAMES,
    bad_cell,
    find_columns,
    ids_of,
    is_missing,
    parse_times,
    require_columns,
)
from pkef_fast.errors import InputError


@pytest.mark.parametrize("column", NAMES)
def test_each_name_is_found_however_it_is_written(column):
    for name in NAMES[column]:
        for written in (name, name.upper(), f" {name} ", name.replace("_", " ")):
            assert find_columns(["x", written, "y"]) == {column: 1}


def test_the_preferred_name_is_taken():
    assert find_columns(["type", "userid", "user", "behavior"]) == {"user": 2, "behavior": 3}
    assert find_columns([]) == {}


def test_missing_columns_are_named_with_what_is_accepted():
    path, header = Path("log.csv"), ["who", "item", "event"]
    with pytest.raises(InputError) as error:
        require_columns(path, find_columns(header), header)
    assert str(error.value) == (
        "log.csv, line 1: found the columns 'who', 'item', 'event', wanted also user (user, "
        "user_id, userid, visitorid)."
    )
    with pytest.raises(InputError, match="found the columns none, wanted also user"):
        require_columns(path, {}, [])
    require_columns(path, find_columns(["user", "item", "type"]), [])


def test_a_bad_cell():
    said = str(bad_cell(Path("a.csv"), "line 3", "time", "x", "a number"))
    assert said == "a.csv, line 3, field time: found 'x', wanted a number."


def test_missing_cells():
    for cell in ("", " ", "nan", "NULL", " None ", "<NA>", "NaT", None, float("nan")):
        assert is_missing(cell), cell
    for cell in ("0", "nano", "no", 0, 0.0, False):
        assert not is_missing(cell), cell


@pytest.mark.parametrize(
    ("labels", "ids"),
    [
        (["10", "9", "0"], [0, 9, 10]),  # as numbers
        (["10", "9", "a"], ["10", "9", "a"]),  # as text
        (["007", "7"], ["007", "7"]),  # not as Python writes a number
        (["1.0", "2"], ["1.0", "2"]),
        ([str(10**17), "1"], [1, 10**17]),
        ([str(10**18), "1"], ["1", str(10**18)]),  # might not be within 64 bits
        (["²", "1"], ["1", "²"]),
        ([3, 1], [1, 3]),
        ([], []),
    ],
)
def test_ids_are_numbers_where_all_are(labels, ids):
    found, numbers = ids_of(labels)
    assert found.tolist() == ids
    assert numbers.dtype == np.int32
    assert [str(found[n]) for n in numbers] == [str(label) for label in labels]


def test_a_negative_number_is_no_id():
    with pytest.raises(ValueError) as error:
        ids_of(["3", "-1", "-2"])
    assert error.value.args == (1,)
    assert ids_of(["-1", "a"])[0].tolist() == ["-1", "a"]


@pytest.mark.parametrize(
    ("cells", "times"),
    [
        (["3", "-1", " 7 "], [3, -1, 7]),
        (["3", "1.5"], [3.0, 1.5]),
        (["1e3", "2"], [1000.0, 2.0]),
        ([str(2**70)], [float(2**70)]),
        (["1970-01-01", "1970-01-02"], [0, 86_400 * 10**6]),
        (["1970-01-01 00:00:01.5"], [1_500_000]),
        (["1970-01-01T00:00:01Z"], [1_000_000]),
        ([], []),
    ],
)
def test_times(cells, times):
    assert parse_times(cells).tolist() == times


@pytest.mark.parametrize("cells", [["x"], ["3", "1970-01-01"], ["1970-13-01"], [""]])
def test_what_is_no_time(cells):
    with pytest.raises(ValueError):
        parse_times(cells)
