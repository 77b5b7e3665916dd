"""The funnel's order, and what is done where a name is unknown."""

from __future__ import annotations

import pytest

from pkef_fast.data.order import STAGES, ordered, stage, usual_target


def test_stages_know_every_spelling():
    for place, names in enumerate(STAGES):
        for name in names:
            assert stage(name) == stage(name.upper()) == place
    assert stage("share") is None


@pytest.mark.parametrize(
    ("counts", "names"),
    [
        ({"buy": 9, "pv": 1, "cart": 5}, ("pv", "cart", "buy")),  # counts do not matter
        ({"transaction": 1, "addtocart": 1, "view": 1}, ("view", "addtocart", "transaction")),
        ({"buy": 2, "fav": 1, "click": 3, "cart": 1}, ("click", "fav", "cart", "buy")),
        ({"buy": 1}, ("buy",)),
        ({"share": 1}, ("share",)),
        ({}, ()),
    ],
)
def test_known_names_are_in_the_funnels_order(counts, names):
    assert ordered(counts) == (names, ())


def test_an_unknown_name_makes_the_counts_decide_and_says_so():
    names, (note,) = ordered({"buy": 2, "view": 9, "share": 2})
    assert names == ("view", "buy", "share")
    assert "view → buy → share" in note
    assert "'share' as the target" in note
    assert "--behaviors view,buy,share" in note


def test_two_names_of_one_stage_make_the_counts_decide():
    names, notes = ordered({"view": 1, "pv": 2, "buy": 3})
    assert names == ("buy", "pv", "view")
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("names", "target"),
    [
        (("view", "buy", "cart"), "buy"),
        (("view", "cart"), "cart"),
        (("view", "share"), None),
        (("buy", "purchase"), None),
        (("view", "pv", "buy"), "buy"),
    ],
)
def test_the_usual_target(names, target):
    assert usual_target(names) == target
