"""Small data sets for tests, in memory and as files of each layout."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from pkef_fast.data import Csr, Dataset
from pkef_fast.data.patterns import row_of_each


def dense(csr: Csr, n_items: int) -> np.ndarray:
    """A pattern as a table of truth values."""
    table = np.zeros((len(csr.indptr) - 1, n_items), bool)
    table[row_of_each(csr), csr.indices] = True
    return table


def csr_of(table: Sequence) -> Csr:
    """The pattern of a table of truth values."""
    rows, columns = np.nonzero(np.asarray(table))
    indptr = np.searchsorted(rows, np.arange(len(table) + 1))
    return Csr(indptr.astype(np.int32), columns.astype(np.int32))


# Three users, four items; user 2 has no held-out item, and item 3 is held out alone.
TABLES = {
    "view": [[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0]],
    "cart": [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]],
    "buy": [[1, 0, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0]],
}
TEST = [3, 0, None]


def dataset(**changes) -> Dataset:
    """The data set of TABLES and TEST."""
    fields = {
        "name": "shop",
        "behaviors": tuple(TABLES),
        "n_users": 3,
        "n_items": 4,
        "interactions": tuple(csr_of(table) for table in TABLES.values()),
        "test_users": np.array([0, 1], np.int32),
        "test_items": np.array([3, 0], np.int32),
    }
    return Dataset(**{**fields, **changes})


def write_pickles(folder: Path, contents: Mapping[str, object]) -> Path:
    """A folder of pickles by file name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
    return folder


def matrices(prefix: str, ending: str = "") -> dict[str, object]:
    """A SciPy matrix a behaviour, by file name."""
    return {f"{prefix}{name}{ending}": sp.csr_matrix(table) for name, table in TABLES.items()}


def assert_same(found: Dataset, wanted: Dataset) -> None:
    """What training and evaluation read, field by field."""
    assert found.behaviors == wanted.behaviors
    assert (found.n_users, found.n_items) == (wanted.n_users, wanted.n_items)
    for one, other in zip(found.interactions, wanted.interactions, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
    np.testing.assert_array_equal(found.test_users, wanted.test_users, strict=True)
    np.testing.assert_array_equal(found.test_items, wanted.test_items, strict=True)
