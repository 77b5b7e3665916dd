"""Tables that broke real people's tools, with the right values: one log in many dresses.

Most of them are the same 300 rows: 20 users, 16 items, 160 views, 80 carts, 60 buys with a time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shops import assert_same

from pkef_fast.data import load_dataset
from pkef_fast.data.reading import line
from pkef_fast.errors import InputError

CASES = Path(__file__).parent / "cases"
SAME = "15-other-forms-of-the-same-table"
COUNTS = {"view": 160, "cart": 80, "buy": 40}


@pytest.fixture(scope="module")
def log():
    """The log as it is read from a plain table."""
    return load_dataset(CASES / SAME / "rees46.csv")


def check(data, counts=COUNTS):
    assert (data.n_users, data.n_items) == (20, 16)
    assert data.counts() == counts
    assert list(data.counts()) == list(counts)
    assert len(data.test_users) == 20
    assert data.split == "time"


def test_the_log_itself(log):
    check(log)
    assert log.target == "buy"
    times = log.times[-1]
    assert times.min() > 1_500_000_000


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("log.csv.gz", {}),
        ("log.inter", {}),
        ("inter.tsv", {}),
        ("log.jsonl", {}),
        ("nohead.csv", {"columns": "user,item,behavior,timestamp"}),
        ("nohead.csv", {"columns": ["uid", "iid", "action", "ts"]}),
    ],
)
def test_other_forms_of_the_same_table(log, name, options):
    assert_same(load_dataset(CASES / SAME / name, **options), log)


@pytest.mark.parametrize(
    "name",
    [
        "04-time-column-of-another-name/log.csv",
        "07-blanks-in-cells/log.csv",
        "10-dates-with-zones/offset.csv",
        "10-dates-with-zones/utc.csv",
        "14-several-files/spark",
        "14-several-files/spark/*.csv",
        "22-seconds-and-milliseconds-mixed/log.csv",
    ],
)
def test_dresses_of_one_log(log, name, recwarn):
    data = load_dataset(CASES / name)
    check(data)
    np.testing.assert_array_equal(data.test_items, log.test_items)
    for one, other in zip(data.interactions, log.interactions, strict=True):
        np.testing.assert_array_equal(one.indices, other.indices)
    assert not recwarn.list


def test_dates_are_microseconds(log):
    utc = load_dataset(CASES / "10-dates-with-zones/utc.csv")
    np.testing.assert_array_equal(utc.times[0], log.times[0] * 10**6)
    offset = load_dataset(CASES / "10-dates-with-zones/offset.csv")
    np.testing.assert_array_equal(offset.times[0], utc.times[0])


def test_what_was_guessed_is_said():
    data = load_dataset(CASES / "04-time-column-of-another-name/log.csv")
    assert line(data) == (
        "log: user = user_id, item = item_id, behavior = event, time = event_time (seconds); "
        "view → cart → buy, target buy; held out: the latest buy of each user with two or more; "
        "guessed: user, item, behavior, time, order, split"
    )
    said = load_dataset(
        CASES / "04-time-column-of-another-name/log.csv",
        columns="user=user_id,item=item_id,behavior=event,time=event_time",
        behaviors="view,cart,buy",
        split="time",
    )
    assert said.reading["guessed"] == []
    assert_same(said, data)


def test_stray_quotes_swallow_no_row():
    data = load_dataset(CASES / "05-stray-quotes-swallow-rows/log.tsv")
    assert (data.n_users, data.n_items) == (20, 20)
    assert data.counts() == COUNTS
    assert sum(str(item).startswith('"Star') for item in data.item_ids) == 4


def test_case_makes_no_behavior_and_the_rarest_is_no_target():
    folder = CASES / "08-one-unknown-name-and-the-target-is-the-rarest"
    data = load_dataset(folder / "log.csv")
    assert data.behaviors == ("view", "wishlist", "cart", "purchase")
    case = load_dataset(folder / "case.csv")
    check(case)
    assert case.notes == ("'VIEW' is taken for 'view'.", "'CART' is taken for 'cart'.")


def test_an_unused_column_does_not_matter():
    data = load_dataset(CASES / "11-an-unused-column-vetoes/log.csv")
    check(data, {"view_item": 160, "add_to_cart": 80, "purchase": 40})


def test_bad_rows_may_be_skipped_and_are_counted():
    folder = CASES / "12-a-bad-row-stops-all"
    for name, sentence, reason in (
        ("anonymous.csv", "line 9, field user: found ''", "user"),
        ("negtime.csv", "line 7, field timestamp: found '-2134949234'", "time"),
    ):
        with pytest.raises(InputError, match=sentence) as error:
            load_dataset(folder / name)
        assert "--bad-rows skip leaves such rows out" in str(error.value)
        data = load_dataset(folder / name, bad_rows="skip:1")
        assert (data.n_users, data.n_items) == (20, 16)
        assert data.reading["skipped"] == {reason: 1}
        rows = (folder / name).read_text(encoding="utf-8").count("\n") - 1
        assert data.reading["rows"] == rows
        assert f"rows left out: 1 for {reason}" in line(data)


def test_a_tables_own_split_is_used():
    data = load_dataset(CASES / "14-several-files/split")
    assert data.counts() == {"view": 133, "cart": 67, "buy": 50}
    assert len(data.test_users) == 10
    assert len(np.unique(data.test_users)) == 4
    assert data.split is None
    assert "40 rows of other behaviours in the test part were left out." in data.notes


def test_nothing_to_hold_out():
    data = load_dataset(CASES / "19-nothing-held-out/log.csv")
    assert len(data.test_users) == 0
    assert "There are no held-out items, so nothing can be evaluated." in data.notes


def test_seconds_and_milliseconds_are_told_apart():
    data = load_dataset(CASES / "22-seconds-and-milliseconds-mixed/log.csv")
    (note,) = data.notes
    assert note == (
        "Times are of several units (151 in seconds and 149 in milliseconds); all were turned to "
        "milliseconds."
    )
    assert data.reading["time"] == "milliseconds"
