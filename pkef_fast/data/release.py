"""The layout of the authors' release: `trn_<behaviour>` matrices and `tst_int`.

`trn_<behaviour>` is a pickled U × I SciPy sparse matrix; `tst_int` a pickled list or array of
length U whose entry u is the held-out item of user u, None, or a list of items.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from . import checks, unpickle
from .dataset import Array, Dataset
from .pickled import behaviors_in, find, read_matrices
from .sparse import Entries

TRAIN, TEST = "trn_", "tst_int"


def holds(folder: Path) -> bool:
    """Whether a folder looks like this layout."""
    return bool(behaviors_in(folder, TRAIN)) or find(folder, TEST) is not None


def read(
    folder: Path,
    behaviors: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
) -> Dataset:
    """The data set of a folder in the release's layout."""
    train = read_matrices(folder, TRAIN, TEST, behaviors, expected)
    n_users, n_items = next(iter(train.shapes.values()))
    test_users, test_items = _held_out(find(folder, TEST), n_users, n_items)
    return checks.finished(
        name=folder.name,
        behaviors=train.behaviors,
        n_users=n_users,
        n_items=n_items,
        interactions=train.interactions,
        times=train.times,
        test_users=test_users,
        test_items=test_items,
        notes=train.notes,
        all_behaviors=train.found,
        leave_out="target",  # so are all data sets that came in this layout (spec "Data facts")
    )


def _held_out(path: Path, n_users: int, n_items: int) -> tuple[Array, Array]:
    kind = f"a pickled list with a held-out item, or None, for each of {n_users} users"
    content = unpickle.load(path, kind)
    if isinstance(content, np.ndarray) and content.ndim == 1:
        content = content.tolist()
    if not isinstance(content, (list, tuple)) or isinstance(content, Entries):
        found = "sparse matrix" if isinstance(content, Entries) else type(content).__name__
        raise InputError(f"{path} holds a {found}; wanted {kind}.")
    if len(content) != n_users:
        raise InputError(f"{path} has {len(content)} entries; wanted {n_users}, one a user.")
    rows = [_items(entry) for entry in content]
    flat = list(itertools.chain.from_iterable(rows))
    users = np.repeat(np.arange(n_users), [len(row) for row in rows])
    for user, item in zip(users, flat, strict=True):
        if not _is_whole(item) or not 0 <= item < n_items:
            raise InputError(
                f"{path}, row {user}: found {item!r}, wanted an item id from 0 to {n_items - 1}, "
                "or None for a user without a held-out item."
            )
    return users, np.array(flat, np.int64)


def _items(entry: Any) -> Sequence[Any]:
    """Items of one user's entry."""
    if entry is None:
        return ()
    if isinstance(entry, np.ndarray):
        return entry.ravel().tolist()
    return entry if isinstance(entry, (list, tuple)) else (entry,)


def _is_whole(value: Any) -> bool:
    """Whether an entry is an integer, perhaps written as a float."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)
