"""Parts of sparse matrices: entries of each format, and parts that do not make a matrix."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from pkef_fast.data.sparse import MAX_SIDE, SPARSE_FORMATS, Inconsistent, dense_entries, entries


def parts_of(matrix) -> dict:
    """What a pickle of a SciPy matrix holds."""
    names = ("data", "indices", "indptr", "row", "col", "rows", "offsets")
    parts = {name: getattr(matrix, name) for name in names if hasattr(matrix, name)}
    if matrix.format == "dok":
        parts["_dict"] = dict(matrix.items())
    return {**parts, "shape": matrix.shape}


def dense(found) -> np.ndarray:
    table = np.zeros(found.shape)
    np.add.at(table, (found.rows, found.columns), found.values)
    return table


@given(st.data())
def test_entries_are_those_of_scipy(data):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 5)))
    size = shape[0] * shape[1]
    numbers = data.draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size))
    table = np.array(numbers).reshape(shape)
    for kind in SPARSE_FORMATS:
        matrix = sp.coo_matrix(table).asformat(kind)
        np.testing.assert_array_equal(dense(entries(kind, parts_of(matrix))), table, kind)
    np.testing.assert_array_equal(dense(dense_entries(table)), table)


def test_repeats_spare_room_and_padding():
    twice = sp.coo_matrix(([1, 5], ([0, 0], [2, 2])), (2, 3))
    found = entries("coo", parts_of(twice))
    assert (found.rows.tolist(), found.values.tolist()) == ([0, 0], [1, 5])
    parts = {"shape": (1, 3), "indptr": [0, 1], "indices": [2, 9, 9], "data": [4, 0, 0]}
    roomy = {name: np.array(one) if name != "shape" else one for name, one in parts.items()}
    assert entries("csr", roomy).columns.tolist() == [2]
    dia = {"shape": (2, 2), "data": np.array([[7, 8, 9]]), "offsets": np.array([1])}
    assert dense(entries("dia", dia)).tolist() == [[0, 8], [0, 0]]
    coords = {"shape": (2, 2), "coords": (np.array([1]), np.array([0])), "data": np.array([3])}
    assert dense(entries("coo", coords)).tolist() == [[0, 0], [3, 0]]


def whole(kind: str) -> dict:
    return parts_of(sp.coo_matrix(np.array([[0, 2, 0], [1, 0, 3]])).asformat(kind))


def of_objects(*lists) -> np.ndarray:
    array = np.empty(len(lists), object)
    array[:] = lists
    return array


A = np.array
WRONG = [
    ("csr", {"shape": None}, "shape None, wanted two dimensions"),
    ("csr", {"shape": (2, 3, 1)}, "wanted two dimensions"),
    ("csr", {"shape": (-2, 3)}, "size -2"),
    ("csr", {"shape": (2.0, 3)}, "size 2.0"),
    ("csr", {"shape": (2, MAX_SIDE + 1)}, f"wanted 0 to {MAX_SIDE}"),
    ("csr", {"indptr": A([0, 1])}, "2 rows with 2 row starts"),
    ("csr", {"indptr": A([1, 1, 3])}, "do not rise from 0"),
    ("csr", {"indptr": A([0, 3, 1])}, "do not rise from 0"),
    ("csr", {"indptr": A([0, 1, 9])}, "do not rise from 0 to its 3 entries"),
    ("csr", {"indptr": A([0.0, 1.0, 3.0])}, "'indptr' is not a list of numbers"),
    ("csr", {"indices": A([1, 0, 3])}, "entry 2 has column 3, wanted 0 to 2"),
    ("csr", {"indices": A([1, -1, 2])}, "entry 1 has column -1"),
    ("csr", {"indices": A([[1, 0, 2]])}, "'indices' is not a list of numbers"),
    ("csr", {"data": A(["a", "b", "c"])}, "'data' is not a list of numbers"),
    ("csr", {"data": None}, "'data' is not a list of numbers"),
    ("csr", {"data": A([1])}, "do not rise"),
    ("csc", {"indices": A([1, 0, 2])}, "has row 2, wanted 0 to 1"),
    ("coo", {"row": A([0, 1])}, "2 rows, 3 columns and 3 values"),
    ("coo", {"col": A([0, 9, 1])}, "has column 9"),
    ("coo", {"coords": (A([0]),)}, "without two lists of coordinates"),
    ("lil", {"rows": of_objects([1])}, "'rows' is not 2 lists"),
    ("lil", {"rows": of_objects([1], 5)}, "'rows' is not 2 lists"),
    ("lil", {"rows": of_objects([1], [0])}, "unequal numbers of columns and values"),
    ("lil", {"rows": of_objects([1], [0, 2.5])}, "ids that are not whole numbers"),
    ("lil", {"data": of_objects([1], ["a", "b"])}, "entries that are not numbers"),
    ("dok", {"_dict": {1: 2}}, "keys are not pairs"),
    ("dok", {"_dict": {(0, 7): 2}}, "has column 7"),
    ("dok", {"_dict": {(0, "a"): 2}}, "not numbers"),
    ("dok", {"_dict": None}, "keys are not pairs"),
    ("dia", {"data": A([1, 2])}, "diagonals do not fit"),
    ("dia", {"offsets": A([0])}, "diagonals do not fit"),
    ("bsr", {"data": A([1, 2])}, "without blocks"),
    ("bsr", {"data": np.ones((1, 5, 1))}, "blocks of 5 × 1"),
    ("bsr", {"data": np.ones((0, 0, 1))}, "without blocks"),
]


@pytest.mark.parametrize(("kind", "changes", "sentence"), WRONG)
def test_parts_that_do_not_fit_are_refused(kind, changes, sentence):
    entries(kind, whole(kind))
    with pytest.raises(Inconsistent) as error:
        entries(kind, {**whole(kind), **changes})
    assert sentence in str(error.value)


@pytest.mark.parametrize("kind", SPARSE_FORMATS)
def test_each_part_is_wanted(kind):
    parts = whole(kind)
    used = {
        "csr": ("data", "indices", "indptr"),
        "csc": ("data", "indices", "indptr"),
        "coo": ("data", "row", "col"),
        "lil": ("data", "rows"),
        "dok": ("_dict",),
        "dia": ("data", "offsets"),
        "bsr": ("data", "indices", "indptr"),
    }[kind]
    for name in used:
        with pytest.raises(Inconsistent, match=f"without its part '{name}'"):
            entries(kind, {key: one for key, one in parts.items() if key != name})
