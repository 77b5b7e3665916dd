"""The layout of the authors' release: `trn_<behaviour>` and `tst_int`, pickled.

`trn_<behaviour>` is a sparse matrix, users × items; `tst_int` a list or object array with an item
number, None, or a list of item numbers for each user.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .checks import assembled, same_shape
from .dataset import Dataset
from .patterns import pattern
from .unpickle import load_pickle

PREFIX, TEST = "trn_", "tst_int"


def is_release(folder: Path) -> bool:
    """Whether a folder has this layout's train files."""
    return any(folder.glob(f"{PREFIX}*"))


def load_release(
    folder: Path, name: str, behaviors: Sequence[str] | None, source: dict
) -> Dataset:
    """The data set in a folder of this layout."""
    files = {file.name.removeprefix(PREFIX): file for file in sorted(folder.glob(f"{PREFIX}*"))}
    if behaviors:  # unknown names are refused where all names are known
        files = {b: file for b, file in files.items() if b in behaviors} or files
    read = {b: pattern(load_pickle(file), file) for b, file in files.items()}
    shape = same_shape({files[b]: size for b, (_, size) in read.items()})
    test_file = folder / TEST
    if not test_file.is_file():
        raise InputError(
            f"{test_file} does not exist; wanted the held-out item of each user beside "
            f"{next(iter(files.values())).name}."
        )
    return assembled(
        name=name,
        place=folder,
        interactions={b: csr for b, (csr, _) in read.items()},
        behaviors=behaviors,
        shape=shape,
        test=held_out(load_pickle(test_file), test_file, shape),
        source=source,
    )


def held_out(found: Any, file: object, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Users and items of a `tst_int`; InputError naming the row of a bad entry."""
    if not isinstance(found, (list, tuple, np.ndarray)):
        raise InputError(f"{file} holds a {type(found).__name__}; wanted a list, an entry a user.")
    n_users, n_items = shape
    if len(found) != n_users:
        raise InputError(f"{file} has {len(found)} entries; wanted one for each of {n_users} users.")
    users, items = [], []
    for user, entry in enumerate(found):
        for item in entry if isinstance(entry, (list, tuple, np.ndarray)) else (entry,):
            if item is None:
                continue
            number = _whole(item)
            if number is None or not 0 <= number < n_items:
                raise InputError(
                    f"{file}, row {user}: the held-out item is {item!r}; wanted None or an item "
                    f"number from 0 to {n_items - 1}."
                )
            users.append(user)
            items.append(number)
    return np.array(users, np.int32), np.array(items, np.int32)


def _whole(item: Any) -> int | None:
    """An item number as int, or None for anything that is not a whole number."""
    if isinstance(item, (bool, np.bool_)) or not isinstance(item, (int, float, np.number)):
        return None
    return int(item) if np.isfinite(item) and item == int(item) else None
