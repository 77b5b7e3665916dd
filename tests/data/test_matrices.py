"""The layout of `train_mat_<behaviour>` and `test_mat` matrices."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from shops import TABLES, assert_same, dataset, matrices, write_pickles

from pkef_fast.data import layouts
from pkef_fast.data import matrices as layout
from pkef_fast.errors import InputError

HELD_OUT = np.array([[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]])


def folder_of(path, **changes):
    contents = {**matrices("train_mat_", ".pkl"), "test_mat.pkl": sp.csr_matrix(HELD_OUT)}
    return write_pickles(path / "shop", {**contents, **changes})


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok", "dia", "dense"])
def test_matrices_of_any_format_and_values(tmp_path, kind):
    """Any value above zero is an interaction, an entry that is zero is none."""
    contents = {}
    for name, table in TABLES.items():
        table = np.array(table) * 7.5
        contents[f"train_mat_{name}.pkl"] = (
            table if kind == "dense" else sp.coo_matrix(table).asformat(kind)
        )
    pairs = ([1, 1, 0], ([0, 1, 2], [3, 0, 2]))  # a zero that is written down
    contents["test_mat.pkl"] = sp.csr_matrix(pairs, (3, 4))
    folder = folder_of(tmp_path, **contents)
    assert layouts.layout_of(folder) == "matrices"
    assert_same(layout.read(folder), dataset())


def test_behaviors_are_put_in_order_or_chosen(tmp_path):
    folder = folder_of(tmp_path)
    assert layout.read(folder).behaviors == ("view", "cart", "buy")
    found = layout.read(folder, ("buy", "view"))
    assert found.behaviors == ("buy", "view")
    np.testing.assert_array_equal(found.interactions[0].indices, [0, 1, 2, 0])
    assert "usually of 'buy'" in found.notes[0]


WRONG = {
    "a negative value": (
        -np.eye(3, 4),
        r"row 0, column 0: found -1.0, wanted a value .*3 val",
    ),
    "not a number": (np.diag([0, np.nan, 1, 1])[:3], "row 1, column 1: found nan"),
    "another shape": (np.eye(3, 5), "is 3 × 5 but .* is 3 × 4; all behaviours share one numbering"),
    "no interactions": (
        np.zeros((3, 4)),
        "behaviour 'cart' of .* has no interactions",
    ),
    "a list": ([1, 2], "holds a list; wanted a pickled SciPy sparse matrix"),
    "a row": (np.ones(4), r"holds an array of shape \(4,\) and type float64"),
    "objects": (np.array([[None]], object), r"holds an array of shape \(1, 1\) and type object"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_matrices_are_refused(tmp_path, name):
    matrix, sentence = WRONG[name]
    folder = folder_of(tmp_path, **{"train_mat_cart.pkl": matrix})
    with pytest.raises(InputError, match=sentence):
        layout.read(folder)


def test_a_wrong_test_matrix_is_refused(tmp_path):
    folder = folder_of(tmp_path, **{"test_mat.pkl": np.eye(2)})
    with pytest.raises(InputError, match=r"test_mat\.pkl is 2 × 2 but"):
        layout.read(folder)
    (folder / "test_mat.pkl").unlink()
    with pytest.raises(InputError, match="test_mat does not exist; wanted in"):
        layout.read(folder)


def test_a_test_matrix_alone_wants_the_others(tmp_path):
    folder = write_pickles(tmp_path, {"test_mat.pkl": np.eye(2)})
    with pytest.raises(InputError, match="train_mat_<behaviour> does not exist; wanted in"):
        layout.read(folder)
