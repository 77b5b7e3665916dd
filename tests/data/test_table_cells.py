"""What cells say: ids, times, and the behaviours that names and ratings stand for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkef_fast.data import load_dataset
from pkef_fast.data.tables import cells, times
from pkef_fast.errors import InputError


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (["10", " 9", "0 "], [10, 9, 0]),
        (["10", "9", "a"], ["10", "9", "a"]),
        (["007", "7"], ["007", "7"]),  # not as a number is written
        (["101.0", "2"], [101, 2]),
        (["101.5", "2"], ["101.5", "2"]),
        (["-8412", "3"], [-8412, 3]),  # hashes may be negative
        ([str(10**17), "1"], [10**17, 1]),
        ([str(10**18), "1"], [str(10**18), "1"]),  # might not be within 64 bits
        (["²", "1"], ["²", "1"]),
        (["", " ", "NaN", "NULL", " None ", "<NA>", "NaT", None], [None] * 8),
        (["nano", "no"], ["nano", "no"]),
        ([3, 1], [3, 1]),
        ([3.0, float("nan"), 1.0], [3, None, 1]),
        ([3.5, 1.0], ["3.5", "1"]),
        ([b"ab", None], ["ab", None]),
        ([True, False], ["true", "false"]),
    ],
)
def test_ids(found, wanted):
    assert cells.ids(pl.Series(found)).to_list() == wanted


def test_ids_beyond_int64_are_text():
    assert cells.ids(pl.Series([2**64 - 1, 1], dtype=pl.UInt64)).to_list() == [str(2**64 - 1), "1"]


@given(st.lists(st.integers(-5, 5) | st.integers(-(2**60), 2**60), min_size=1))
def test_numbers_are_coded_in_their_order(values):
    codes, distinct = cells.coded(pl.Series(values, dtype=pl.Int64))
    assert list(distinct) == sorted(set(values))
    assert [distinct[code] for code in codes] == values
    assert codes.dtype == np.int32


@given(st.lists(st.text(max_size=3), min_size=1))
def test_text_is_coded_by_its_characters(values):
    codes, distinct = cells.coded(pl.Series(values, dtype=pl.String))
    assert distinct == sorted(set(values))
    assert [distinct[code] for code in codes] == values


SECOND = 10**6


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (["3", "-1", " 7 "], [3, None, 7]),
        (["3", "1.5"], [3.0, 1.5]),
        (["3.0", "2"], [3, 2]),
        (["1e3", "2"], [1000, 2]),
        (["1970-01-01", "1970-01-02"], [0, 86_400 * SECOND]),
        (["1970-01-01 00:00:01.5"], [1_500_000]),
        (["1970-01-01T00:00:01Z", "1970-01-01 00:00:01 UTC"], [SECOND, SECOND]),
        (["1970-01-01T01:00:00+01:00", "1969-12-31 19:00-0500"], [0, 0]),
        (["1970/1/2 03:04"], [(86_400 + 3 * 3600 + 240) * SECOND]),
        (["1970-01-01", "1970-13-01", "1970-01-01 25:00", "x", None], [0] + [None] * 4),
        (["3", "1970-01-01", "4"], [3, None, 4]),
        ([5, None, -1], [5, None, None]),
        ([5.5, float("nan")], [5.5, None]),
    ],
)
def test_times(found, wanted):
    assert times.parsed(pl.Series(found, strict=False), None).values.to_list() == wanted


def test_times_in_a_format_of_ones_own():
    found = times.parsed(pl.Series(["02.01.1970 00:01", "x"]), "%d.%m.%Y %H:%M")
    assert found.values.to_list() == [86_460 * SECOND, None]
    found = times.parsed(pl.Series(["19700102"]), "%Y%m%d")
    assert found.values.to_list() == [86_400 * SECOND]


NOW = 1_511_578_972


@pytest.mark.parametrize(
    ("values", "unit", "in_unit"),
    [
        ([NOW, NOW + 5], "seconds", [NOW, NOW + 5]),
        ([NOW * 1000], "milliseconds", [NOW * 1000]),
        ([NOW * 10**9], "nanoseconds", [NOW * 10**9]),
        ([NOW, NOW * 1000 + 7], "milliseconds", [NOW * 1000, NOW * 1000 + 7]),
        ([NOW, 3], None, [NOW, 3]),
        ([1.5, 2.5], None, [1.5, 2.5]),
    ],
)
def test_units(values, unit, in_unit):
    found = times.in_one_unit(times.Times(pl.Series(values), False))
    assert found.name == unit
    assert found.values.tolist() == in_unit
    assert bool(found.mixed) == (unit == "milliseconds" and len(values) == 2)


def test_a_table_says_the_unit_of_its_times(tmp_path):
    rows = "".join(f"1,{i},buy,{10 + i}\n" for i in range(3))
    path = tmp_path / "log.csv"
    path.write_text(f"user,item,behavior,time\n{rows}", encoding="utf-8")
    assert load_dataset(path).reading["time"] is None


def rated(folder):
    path = folder / "ratings.csv"
    rows = "1,1,5\n1,2,4\n1,3,2\n2,1,4.5\n2,2,1\n2,3,5\n"
    path.write_text(f"userId,movieId,rating\n{rows}", encoding="utf-8")
    return path


def test_ratings_as_behaviors(tmp_path):
    data = load_dataset(rated(tmp_path), ratings="4=like", split="none")
    assert data.counts() == {"like": 4}
    assert "2 rows with a rating below 4 were left out." in data.notes
    data = load_dataset(rated(tmp_path), ratings={2: "view", 4.5: "like"}, split="none")
    assert data.counts() == {"view": 5, "like": 3}


def test_ratings_that_are_not_asked_for_are_not_read(tmp_path):
    assert load_dataset(rated(tmp_path), split="none").counts() == {"interaction": 6}
    path = rated(tmp_path)
    path.write_text(path.read_text(encoding="utf-8") + "2,4,\n", encoding="utf-8")
    assert load_dataset(path, split="none").counts() == {"interaction": 7}
    with pytest.raises(InputError, match="line 8, field rating: found '', wanted a number"):
        load_dataset(path, ratings="4=like")


def coded(folder, names):
    path = folder / "log.csv"
    rows = "".join(f"{u},{i},{name}\n" for i, name in enumerate(names) for u in range(2))
    path.write_text(f"user,item,behavior\n{rows}", encoding="utf-8")
    return path


def test_behaviors_get_other_names(tmp_path):
    path = coded(tmp_path, ["1", "3", "1.0", "4", "4"])
    with pytest.raises(InputError, match="nobody can know the order of '1', '4' and '3'"):
        load_dataset(path)
    data = load_dataset(path, rename_behaviors="1=view,3=cart,4=buy", split="none")
    assert data.counts() == {"view": 4, "cart": 2, "buy": 4}
    data = load_dataset(path, rename_behaviors={"3": "view", 1: "view", 4: "buy"}, split="none")
    assert data.counts() == {"view": 6, "buy": 4}
    with pytest.raises(InputError, match="--rename-behaviors names '5', which is no behavior"):
        load_dataset(path, rename_behaviors="5=buy")
    data = load_dataset(path, behaviors="1,3,4", split="none")
    assert data.behaviors == ("1", "3", "4")
