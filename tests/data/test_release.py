"""The layout of the authors' release: `trn_<behaviour>` and `tst_int`."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from shops import TEST, assert_same, dataset, matrices, write_pickles

from pkef_fast.data import layouts, release
from pkef_fast.errors import InputError


@pytest.mark.parametrize("ending", ["", ".pkl"])
@pytest.mark.parametrize(
    "test",
    [
        TEST,
        tuple(TEST),
        np.array(TEST, object),
        [[3], [0], []],
        [np.array([3]), np.array(0), None],
        [3.0, 0, None],
        [np.int64(3), np.float32(0), None],
    ],
    ids=str,
)
def test_a_folder(tmp_path, ending, test):
    contents = {**matrices("trn_", ending), f"tst_int{ending}": test}
    folder = write_pickles(tmp_path / "shop", contents)
    assert layouts.layout_of(folder) == "release"
    found = release.read(folder)
    assert_same(found, dataset())
    assert found.name == "shop"
    assert found.leave_out == "target"
    assert found.notes == ()


def test_several_held_out_items_a_user_and_repeats(tmp_path):
    folder = write_pickles(tmp_path, {**matrices("trn_"), "tst_int": [[3, 1, 3], None, (2,)]})
    found = release.read(folder)
    assert found.test_users.tolist() == [0, 0, 2]
    assert found.test_items.tolist() == [1, 3, 2]
    assert found.test_users.dtype == found.test_items.dtype == np.int32


def test_held_out_items_that_are_trained_on_are_noted(tmp_path):
    folder = write_pickles(tmp_path, {**matrices("trn_"), "tst_int": [0, 0, None]})
    assert (
        "1 of 2 held-out items are also train 'buy' interactions" in release.read(folder).notes[0]
    )


WRONG = {
    "too few users": ([3, 0], "has 2 entries; wanted 3, one a user"),
    "too many": ([3, 0, None, 1], "has 4 entries; wanted 3"),
    "an item too large": ([3, 4, None], "row 1: found 4, wanted an item id from 0 to 3"),
    "an item below 0": ([3, -1, None], "row 1: found -1, wanted"),
    "half an item": ([3, 0.5, None], "row 1: found 0.5"),
    "text": ([3, "0", None], "row 1: found '0'"),
    "a truth value": ([3, True, None], "row 1: found True"),
    "not a list": ({0: 3}, "holds a dict; wanted a pickled SciPy sparse matrix"),
    "a matrix": (sp.csr_matrix(np.eye(3)), "is 3 × 3 but"),
    "a table": (np.eye(3), "is 3 × 3 but"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_held_out_items_are_refused(tmp_path, name):
    test, sentence = WRONG[name]
    folder = write_pickles(tmp_path, {**matrices("trn_"), "tst_int": test})
    with pytest.raises(InputError, match=sentence) as error:
        release.read(folder)
    assert str(folder / "tst_int") in str(error.value)


@pytest.mark.parametrize("missing", ["trn_cart", "tst_int"])
def test_missing_files_are_named(tmp_path, missing):
    contents = {**matrices("trn_"), "tst_int": TEST}
    del contents[missing]
    folder = write_pickles(tmp_path, contents)
    wanted = f"{missing} does not exist; wanted in .*: trn_view, trn_cart, trn_buy, tst_int"
    with pytest.raises(InputError, match=wanted):
        release.read(folder, None, ("view", "cart", "buy"))
    with pytest.raises(InputError, match=f"{missing} does not exist|behaviour 'cart' is not in"):
        release.read(folder, ("cart", "buy"))
