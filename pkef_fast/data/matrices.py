"""The layout of `train_mat_<behaviour>.pkl` matrices and a `test_mat.pkl` matrix.

All are pickled U × I SciPy sparse matrices; an entry above zero (a count, a time) is an
interaction. Values that are times (see `epochs`) are kept as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import checks, unpickle
from .dataset import Dataset
from .patterns import row_of_each
from .pickled import behaviors_in, find, read_matrices

TRAIN, TEST = "train_mat_", "test_mat"


def holds(folder: Path) -> bool:
    """Whether a folder looks like this layout."""
    return bool(behaviors_in(folder, TRAIN)) or find(folder, TEST) is not None


def read(
    folder: Path,
    behaviors: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
) -> Dataset:
    """The data set of a folder in this layout."""
    train = read_matrices(folder, TRAIN, TEST, behaviors, expected)
    path = find(folder, TEST)
    kind = "a pickled SciPy sparse matrix (users × items) of held-out pairs"
    matrix = checks.as_entries(unpickle.load(path, kind), path, kind)
    n_users, n_items = checks.same_shape({**train.shapes, path: matrix.shape})
    test, _ = checks.interactions_of(matrix, path)
    return checks.finished(
        name=folder.name,
        behaviors=train.behaviors,
        n_users=n_users,
        n_items=n_items,
        interactions=train.interactions,
        times=train.times,
        test_users=row_of_each(test),
        test_items=test.indices,
        notes=train.notes,
        all_behaviors=train.found,
    )
