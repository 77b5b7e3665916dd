"""A data set of matrices in memory."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import scipy.sparse as sp
from shops import TABLES, TEST, assert_same, dataset

from pkef_fast import InputError
from pkef_fast.data import Dataset
from pkef_fast.data import from_matrices as module

HELD_OUT = np.array([[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]])
PAIRS = np.array([[1, 0], [0, 3], [1, 0]])
KINDS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia", "array", "matrix", "dense", "lists"]


def tables(kind="csr"):
    make = {
        "array": sp.coo_array,
        "matrix": np.matrix,
        "dense": lambda table: np.array(table, np.float32) * 7,
        "lists": list,
    }.get(kind, lambda table: sp.csr_matrix(table).asformat(kind))
    return {name: make(table) for name, table in TABLES.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_matrices_of_any_kind(kind):
    data = Dataset.from_matrices(tables(kind), test=TEST, name="mine")
    assert_same(data, dataset())
    assert (data.name, data.notes, data.source, data.leave_out) == ("mine", (), {}, None)


TESTS = {
    "pairs": PAIRS,
    "a list": [3, (0,), None],
    "an array of objects": np.array([3, [0, 0], None], object),
    "numbers of NumPy": [np.int32(3), np.array([0]), None],
    "a sparse matrix": sp.csc_matrix(HELD_OUT),
    "a table": HELD_OUT,
}


@pytest.mark.parametrize("name", TESTS)
def test_held_out_parts_of_any_form(name):
    data = Dataset.from_matrices(tables(), test=TESTS[name])
    assert_same(data, dataset())
    data = Dataset.from_matrices(tables(), validation=TESTS[name], leave_out="target")
    assert data.leave_out == "target"
    assert [one.tolist() for one in data.validation] == [[0, 1], [3, 0]]
    assert data.validation[0].dtype == np.int32
    assert data.notes == ("There are no held-out items, so nothing can be evaluated.",)


def test_the_order_is_the_dicts_unless_another_is_given():
    turned = dict(reversed(tables().items()))
    assert Dataset.from_matrices(turned).behaviors == ("buy", "cart", "view")
    data = Dataset.from_matrices(turned, TEST, behaviors="view,cart,buy")
    assert_same(data, dataset())
    assert Dataset.from_matrices(turned, behaviors=["cart", "buy"]).behaviors == ("cart", "buy")


def test_times_are_kept():
    times = np.where(TABLES["buy"], 1_500_000_000 + np.arange(12).reshape(3, 4), 0)
    data = Dataset.from_matrices({**tables(), "buy": times}, TEST)
    assert data.times[-1].tolist() == [1_500_000_000 + n for n in (0, 5, 6, 8)]
    assert "taken for times" in data.notes[0]


WRONG = {
    "nothing": ({}, None, "wanted a dict of behaviour"),
    "no dict": (np.eye(3), None, "wanted a dict of behaviour"),
    "a row": ({"buy": np.ones(3)}, None, r"matrix 'buy' is an array of shape \(3,\)"),
    "words": ({"buy": [["a"]]}, None, "matrix 'buy' is an array of shape"),
    "other shapes": ({"view": np.eye(3), "buy": np.eye(4)}, None, "matrix 'buy' is 4 × 4 but"),
    "a negative value": ({"buy": -np.eye(2)}, None, "matrix 'buy', row 0, column 0: found -1.0"),
    "no interactions": ({"buy": np.zeros((2, 3))}, None, "has no interactions"),
    "a short list": ({"buy": np.eye(3)}, [0], "test is a list of 1; wanted an array"),
    "no item": ({"buy": np.eye(3)}, [0, 3, 1], "test, row 1: found 3"),
    "a wild pair": ({"buy": np.eye(3, 4)}, np.array([[0, 1], [0, 4]]), r"row 1: found \[0, 4\]"),
    "fractions": ({"buy": np.eye(3, 4)}, np.array([[0.5, 1]]), "wanted whole numbers"),
    "an unclear table": ({"buy": np.eye(3, 2)}, np.ones((3, 2), int), "may be pairs or a matrix"),
    "unclear pairs": ({"buy": np.eye(3)}, [(0, 1), (1, 2), (2, 0)], "user and item or two items"),
    "another matrix": ({"buy": np.eye(3)}, sp.csr_matrix(np.eye(4)), "matrix 'test' is 4 × 4"),
    "a wide table": ({"buy": np.eye(3)}, np.eye(5), "test is an array of shape"),
    "a word": ({"buy": np.eye(3)}, "buy", "test is a str; wanted an array"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_parts_are_refused_in_a_sentence(name):
    matrices, test, sentence = WRONG[name]
    with pytest.raises(InputError, match=sentence) as error:
        Dataset.from_matrices(matrices, test)
    assert "\n" not in str(error.value)


def test_wrong_options_are_refused():
    with pytest.raises(InputError, match="behaviour 'byu' is not in the matrices; did you mean"):
        Dataset.from_matrices(tables(), behaviors=["byu"])
    with pytest.raises(InputError, match="leave_out cannot be 'some'"):
        Dataset.from_matrices(tables(), leave_out="some")


def test_the_example_runs():
    found = doctest.testmod(module)
    assert (found.attempted > 2, found.failed) == (True, 0)
