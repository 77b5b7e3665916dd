"""The funnel's order, and what is done where a name is unknown."""

from __future__ import annotations

import pytest

from pkef_fast.data.order import STAGES, ordered, stage, usual_target
from pkef_fast.errors import InputError


def test_stages_know_every_spelling():
    for place, names in enumerate(STAGES):
        for name in names:
            assert stage(name) == stage(name.upper()) == stage(f" {name[:2]}-{name[2:]}_") == place
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


def test_an_unknown_name_stands_first_and_is_said():
    names, (note,) = ordered({"buy": 2, "view": 9, "share": 2, "ask": 3})
    assert names == ("ask", "share", "view", "buy")
    assert "ask → share → view → buy: 'ask' and 'share' are not known by name" in note
    assert "--behaviors ask,share,view,buy" in note


def test_two_names_of_one_stage_are_ordered_by_count():
    assert ordered({"view": 1, "pv": 2, "buy": 3}) == (("pv", "view", "buy"), ())


def test_what_takes_back_is_left_out():
    names, (note,) = ordered({"view": 5, "remove_from_cart": 1, "cart": 3, "Purchase": 2})
    assert names == ("view", "cart", "Purchase")
    assert "'remove_from_cart' takes something back by the name and was left out" in note
    assert ordered({"dislike": 3}) == (("dislike",), ())


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"1": 5, "2": 3}, "nobody can know the order of '1' and '2' by their names; wanted"),
        ({"view": 5, "buy": 2, "order": 3}, "'order' and 'buy' may each be the target; wanted"),
    ],
)
def test_what_nobody_knows_is_asked(counts, sentence):
    with pytest.raises(InputError) as error:
        ordered(counts)
    assert str(error.value).startswith(sentence)
    assert "--behaviors " in str(error.value)


@pytest.mark.parametrize(
    ("names", "target"),
    [
        (("view", "buy", "cart"), "buy"),
        (("view", "cart"), "cart"),
        (("view", "share"), "view"),
        (("share", "ask"), None),
        (("buy", "purchase"), None),
        (("view", "pv", "buy"), "buy"),
    ],
)
def test_the_usual_target(names, target):
    assert usual_target(names) == target
