"""Ids in memory and in files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shops import assert_same, dataset

from pkef_fast import Recommender
from pkef_fast.data import load_dataset, native, save_native
from pkef_fast.data.id_column import arrays_of, column_of, of_arrays
from pkef_fast.errors import InputError
from pkef_fast.store import checkpoint, npz

HARD = ["", " ", "x" * 4000, "商品🛒", "-17", "a\0", "\ud800"]


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ([3, -1], [3, -1]),
        (np.array([3, 1], np.uint8), [3, 1]),
        (np.array([2**63, 1], np.uint64), [str(2**63), "1"]),
        (np.array(["a", "bc"]), ["a", "bc"]),
        (["a", 1], ["a", "1"]),
        ([], []),
    ],
)
def test_numbers_stay_numbers_and_text_is_of_any_length(given_, kept):
    found = column_of(given_)
    assert found.tolist() == kept
    assert found.dtype in (np.int64, object)
    assert column_of(found) is found


@pytest.mark.parametrize("wrong", [[1.5], [None], [True], np.zeros((2, 2)), [b"x"]])
def test_what_is_no_id_is_refused(wrong):
    with pytest.raises(InputError, match="cannot be"):
        column_of(wrong)


@given(st.lists(st.text(st.characters(), max_size=5)) | st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_a_file_gives_them_back(ids):
    column = column_of(ids)
    arrays = arrays_of("ids", column)
    assert all(one.dtype.kind in "iu" for one in arrays.values())
    assert of_arrays("ids", arrays).tolist() == ids
    assert of_arrays("ids", {}) is None


@pytest.mark.parametrize("ends", [[1, 3], [3, 2], [-1, 2], []])
def test_ends_that_do_not_fit_are_refused(ends):
    arrays = arrays_of("ids", column_of(["a", "b"])) | {"ids.ends": np.array(ends, np.int64)}
    with pytest.raises(ValueError, match="do not fit"):
        of_arrays("ids", arrays)


SHOPS = [
    dataset(user_ids=HARD[:3], item_ids=HARD[3:]),
    dataset(user_ids=[-(2**63), -1, 2**63 - 1]),
]


@pytest.mark.parametrize("data", SHOPS, ids=["text", "negative"])
def test_a_native_folder_keeps_them(data, tmp_path):
    found = native.read(save_native(data, tmp_path / "shop"))
    assert_same(found, data)
    assert found.user_ids.tolist() == data.user_ids.tolist()
    facts = json.loads((tmp_path / "shop" / "dataset.json").read_text())
    assert facts["format"] == (3 if data.item_ids is not None else 1)


def test_a_native_folder_of_an_older_version_is_read(tmp_path):
    folder = save_native(dataset(), tmp_path / "shop")
    arrays = npz.read(folder / "interactions.npz")
    names = np.array(["a", "bb", "商品"])
    np.savez(folder / "interactions.npz", user_ids=names, **arrays)
    assert native.read(folder).user_ids.tolist() == names.tolist()


def test_a_native_folder_with_half_of_them_is_refused(tmp_path):
    folder = save_native(dataset(user_ids=["a", "b", "c"]), tmp_path / "shop")
    arrays = npz.read(folder / "interactions.npz")
    del arrays["user_ids.bytes"]
    np.savez(folder / "interactions.npz", **arrays)
    with pytest.raises(InputError, match=r"damaged .*user_ids\.bytes"):
        native.read(folder)


@pytest.mark.parametrize("data", SHOPS, ids=["text", "negative"])
def test_a_model_file_keeps_them(data, tmp_path):
    model = Recommender("graph-rank").fit(data)
    model.save(tmp_path / "model.npz")
    again = Recommender.load(tmp_path / "model.npz")
    users = data.user_ids.tolist()
    assert again.recommend(users, k=2) == model.recommend(users, k=2)


def test_a_model_file_of_an_older_version_is_read_and_started_from(tmp_path):
    data = dataset(user_ids=["a", "bb", "商品"])
    model = Recommender("mf-bpr", d=4, epochs=1).fit(data, select="last")
    model.save(tmp_path / "new.npz")
    facts, arrays = checkpoint.read(tmp_path / "new.npz", "model")
    arrays = {name: one for name, one in arrays.items() if not name.startswith("user_ids")}
    arrays["user_ids"] = data.user_ids.astype(str)
    checkpoint.write(tmp_path / "old.npz", "model", facts, arrays)
    again = Recommender.load(tmp_path / "old.npz")
    assert again.recommend(["商品"], k=2) == model.recommend(["商品"], k=2)
    Recommender("mf-bpr", d=4, epochs=1).fit(data, select="last", init_from=tmp_path / "old.npz")
    other = dataset(user_ids=["a", "bb", "商"])
    with pytest.raises(InputError, match="was trained on other data"):
        Recommender("mf-bpr", d=4, epochs=1).fit(
            other, select="last", init_from=tmp_path / "old.npz"
        )


def test_a_table_with_one_long_id_costs_no_more_for_it(tmp_path):
    rows = [f"u{n % 50},{n},buy" for n in range(200)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["user,item,behavior", f"{'x' * 4000},1,buy", *rows, ""]))
    data = load_dataset(path)
    assert data.user_ids.tolist()[-1] == "x" * 4000
    assert data.user_ids.nbytes == 8 * 51
