"""The layout of one text file a behaviour."""

from __future__ import annotations

import pytest
from shops import assert_same, dataset

from pkef_fast.data import layouts, texts
from pkef_fast.errors import InputError

FILES = {
    "view.txt": "0 0 1\n1 1 2\n2 0\n",
    "cart.txt": "0 0\n1 2\n",
    "buy.txt": "1 2 1\n0 0\n2 0\n",
    "test.txt": "0 3\n1 0\n",
}


def folder_of(path, **changes):
    folder = path / "shop"
    folder.mkdir()
    for name, text in {**FILES, **{f"{k}.txt": v for k, v in changes.items()}}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_folder(tmp_path):
    folder = folder_of(tmp_path, readme="not numbers")
    assert layouts.layout_of(folder) == "texts"
    assert_same(texts.read(folder), dataset())


def test_blanks_tabs_empty_lines_repeats_and_users_in_several_lines(tmp_path):
    folder = folder_of(tmp_path, view="\n1\t2 1  2\n\n0 1\n0 0 0\n2 0", test="0 3\n1 0 0\n2\n")
    assert_same(texts.read(folder), dataset())


def test_all_files_number_users_and_items(tmp_path):
    folder = folder_of(tmp_path, cart="7 9\n")
    data = texts.read(folder)
    assert (data.n_users, data.n_items) == (8, 10)
    alone = texts.read(folder, ("buy",))
    assert (alone.n_users, alone.n_items) == (8, 10)
    assert alone.behaviors == ("buy",)


def test_what_is_expected_must_all_be_there(tmp_path):
    folder = folder_of(tmp_path)
    (folder / "cart.txt").unlink()
    with pytest.raises(InputError, match=r"cart\.txt does not exist; wanted in .*test\.txt"):
        texts.read(folder, None, ("view", "cart", "buy"))
    with pytest.raises(InputError, match="behaviour 'cart' is not in"):
        texts.read(folder, ("cart",))
    assert texts.read(folder).behaviors == ("view", "buy")


WRONG = {
    "text": ("0 0\n\n1 x 2\n", "line 3, field item: found 'x'"),
    "a negative user": ("0 0\n-1 2\n", "line 2, field user: found '-1'"),
    "a fraction": ("0 1.5\n", "line 1, field item: found '1.5'"),
    "a number too large": ("0 2147483648\n", "line 1, field item: found '2147483648'"),
    "a number beyond 64 bits": ("0 99999999999999999999\n", "line 1, field item: found '9999"),
    "another script's digit": ("0 ²\n", "line 1, field item: found '²'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_number_is_named_with_its_line(tmp_path, name):
    text, sentence = WRONG[name]
    folder = folder_of(tmp_path, view=text)
    with pytest.raises(InputError) as error:
        texts.read(folder)
    assert sentence in str(error.value)
    assert "wanted a user number and item numbers" in str(error.value)


def test_what_is_no_text(tmp_path):
    folder = folder_of(tmp_path)
    (folder / "buy.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"buy\.txt is not text"):
        texts.read(folder)


def test_a_behaviour_without_interactions(tmp_path):
    with pytest.raises(InputError, match="behaviour 'cart' of data set 'shop' has no interactions"):
        texts.read(folder_of(tmp_path, cart=""))


def test_no_held_out_items_are_noted(tmp_path):
    assert "There are no held-out items" in texts.read(folder_of(tmp_path, test="")).notes[-1]
