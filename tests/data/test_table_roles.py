"""Which column is what: known names, named ones, and questions."""

from __future__ import annotations

import pytest

from pkef_fast.data import load_dataset
from pkef_fast.data.tables import TableOptions, roles
from pkef_fast.errors import InputError


@pytest.mark.parametrize("role", roles.NAMES)
def test_each_name_is_found_however_it_is_written(role):
    header = [one for one in ("user", "item") if one != role]
    for tier in roles.NAMES[role]:
        for name in tier:
            for written in (name, name.upper(), f" {name} ", f"{name[:2]}_{name[2:]}"):
                found = roles.find("log", [*header, written], {})
                assert found.columns[role] == written
                assert role in found.guessed


def test_types_behind_names_do_not_count():
    header = ["user_id:token", "item_id:token", "timestamp:float", "item_seq:token_seq"]
    assert roles.find("log", header, {}).columns == {
        "user": "user_id:token",
        "item": "item_id:token",
        "time": "timestamp:float",
    }


def test_second_names_are_taken_without_first_ones():
    assert roles.find("log", ["user", "session_id", "item"], {}).columns["user"] == "user"
    assert roles.find("log", ["session_id", "item"], {}).columns["user"] == "session_id"


def test_two_that_fit_are_a_question():
    header = ["user_id", "item_id", "event", "timestamp", "event_time"]
    with pytest.raises(InputError) as error:
        roles.find("log.csv", header, {})
    assert str(error.value) == (
        "log.csv: the columns 'timestamp' and 'event_time' may each be the time; say which with "
        "--columns time=timestamp."
    )
    found = roles.find("log.csv", header, {"time": "event_time"})
    assert found.columns["time"] == "event_time"
    assert "time" not in found.guessed
    # Of roles that nobody asked for there is no question.
    assert "rating" not in roles.find("log", ["user", "item", "rating", "ratings"], {}).columns
    with pytest.raises(InputError, match="may each be the rating"):
        roles.find("log", ["user", "item", "rating", "ratings"], {}, ["rating"])


def test_named_columns():
    header = ["Who", "item", "what"]
    found = roles.find("log", header, {"user": "who", "behavior": "what", "time": "none"})
    assert found.columns == {"user": "Who", "behavior": "what", "item": "item"}
    assert (found.guessed, found.declined) == (("item",), ("time",))
    with pytest.raises(InputError, match="has no column 'whom', which --columns names as the user"):
        roles.find("log", header, {"user": "whom"})


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ("user=visitorid, item=product", {"user": "visitorid", "item": "product"}),
        ({"behaviour": "e", "timestamp": "t"}, {"behavior": "e", "time": "t"}),
        ("user,item,category,behavior,timestamp",
         {"user": "user", "item": "item", "behavior": "behavior", "time": "timestamp"}),
        (["uid", "x", "asin"], {"user": "uid", "item": "asin"}),
        (None, {}),
    ],
)  # fmt: skip
def test_what_columns_may_be(columns, wanted):
    assert TableOptions(columns=columns).roles == wanted


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"columns": "user=a,who=b"}, "--columns knows no role 'who'"),
        ({"columns": "user=a,item"}, "--columns 'item': wanted name=value, as user=visitorid"),
        ({"columns": "user,item,user"}, "--columns names a column twice"),
        ({"rename_behaviors": "1=view,1=buy"}, "--rename-behaviors names '1' twice"),
        ({"ratings": "good=like"}, "--ratings: could not convert"),
        ({"bad_rows": "some"}, "--bad-rows cannot be 'some'; wanted stop, skip, skip:100 or"),
        ({"bad_rows": "skip:-1"}, "--bad-rows cannot be 'skip:-1'"),
        ({"bad_rows": "skip:200%"}, "--bad-rows cannot be 'skip:200%'"),
        ({"split": "tme"}, "split cannot be 'tme'; did you mean 'time'"),
        ({"split": "global-time"}, "--split cannot be 'global-time'; wanted time, random, none"),
        ({"leave_out": "some"}, "leave_out cannot be 'some'"),
        ({"k_core": 0}, "k_core cannot be 0"),
        ({"separator": ""}, "--separator cannot be ''"),
        ({"sepparator": ";"}, "a data set has no option 'sepparator'; did you mean"),
    ],
)
def test_what_cannot_be_said(tmp_path, options, sentence):
    path = tmp_path / "log.csv"
    path.write_text("user,item,behavior\n1,2,buy\n", encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_dataset(path, **options)
    assert sentence in str(error.value)


def table(folder, text):
    path = folder / "log.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_column_that_looks_like_times_is_a_question(tmp_path):
    rows = "".join(f"1,{i},buy,{1_511_578_972 + i}\n" for i in range(4))
    path = table(tmp_path, f"user,item,behavior,happened\n{rows}")
    with pytest.raises(InputError, match=r"'happened' \(such as 1511578972\) looks like it"):
        load_dataset(path)
    assert load_dataset(path, columns="time=happened").split == "time"
    for said in ({"columns": "time=none"}, {"split": "random"}):
        data = load_dataset(path, **said)
        assert data.split == "random"
        assert "for there is no column of times" in data.reading["held_out"]
    dates = path.read_text(encoding="utf-8").replace("151157897", "2024-05-01 00:00:0")
    path.write_text(dates, encoding="utf-8")
    with pytest.raises(InputError, match="wanted --columns time=happened"):
        load_dataset(path)
    path.write_text("user,item,behavior,price\n1,1,buy,3\n1,2,buy,4\n", encoding="utf-8")
    assert load_dataset(path).split == "random"


def test_a_column_that_may_be_the_behavior_is_a_question(tmp_path):
    path = table(tmp_path, "user,item,what\n1,1,view\n1,2,view\n1,1,buy\n1,2,buy\n")
    with pytest.raises(InputError, match=r"'what' \(buy, view\) may be it; wanted --columns"):
        load_dataset(path)
    assert load_dataset(path, columns="behavior=what").behaviors == ("view", "buy")
    one = load_dataset(path, columns="behavior=none")
    assert one.counts() == {"interaction": 1}  # of two, one is held out
    named = load_dataset(path, columns="behavior=none", rename_behaviors="interaction=buy")
    assert named.behaviors == ("buy",)
