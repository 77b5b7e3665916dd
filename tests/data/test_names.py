"""What files are, by their names."""

from __future__ import annotations

import doctest

import pytest

from pkef_fast.data import names

OTHERS = [
    "README",
    "readme",
    "LICENSE",
    "requirements",
    "data_size",
    "taobao_size",
    "count",
    "statistics",
    "user_count",
    "info",
    "user_list",
    "item_map",
    "item_id_map",
    "user2id",
    "id_to_item",
    "meta_index",
    "all",
    "all_train_interact",
    "union",
    "auxiliary",
    "train",
    "test_negative",
    "sample_0",
    "valid2",
    "s_adj_mat",
    "graph",
    "kg_final",
    "notes",
]
BEHAVIOURS = [
    "view",
    "pv",
    "buy",
    "add_to_cart",
    "share",
    "tip",
    "neg",
    "pos",
    "neutral",
    "play",
    "download",
    "comment",
]


@pytest.mark.parametrize("stem", OTHERS)
def test_others(stem):
    assert names.is_other(stem)


@pytest.mark.parametrize("stem", BEHAVIOURS)
def test_behaviours(stem):
    assert not names.is_other(stem)


def test_unknown_names_are_behaviours_where_there_is_no_known_target():
    assert names.behaviors_of(["buy", "share", "view"], False) == ("buy", "view")
    assert names.behaviors_of(["share", "view"], True) == ("view",)
    assert names.behaviors_of(["share", "view", "count"], False) == ("share", "view")
    assert names.behaviors_of(["neg", "pos", "item_map"], True) == ("neg", "pos")


def test_mixtures():
    assert names.mixtures(["view", "cart", "view_cart", "cart_view_cart", "view_buy"]) == (
        "cart_view_cart",
        "view_cart",
    )
    assert names.mixtures(["cart", "add_to_cart", "view"]) == ()
    found = doctest.testmod(names)
    assert (found.attempted > 0, found.failed) == (True, 0)


def test_long_lists_are_cut(tmp_path):
    for n in range(11):
        (tmp_path / f"x{n:02}.txt").touch()
    (tmp_path / ".hidden.txt").touch()
    (tmp_path / "README").touch()
    (note,) = names.unread_note(tmp_path, [tmp_path / "x00.txt"])
    assert note.startswith("Not read: x01.txt, x02.txt,")
    assert "x08.txt and 2 more;" in note
    assert names.unread_note(tmp_path, tmp_path.iterdir()) == ()
