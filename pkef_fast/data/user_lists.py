"""Held-out items as a list with an entry for each user."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .dataset import Array


def pairs_of(
    content: Sequence[Any], where: object, n_users: int, n_items: int
) -> tuple[Array, Array]:
    """Users and items (T,) int64 of a list with an entry for each user.

    An entry is an item, None or a list of items; `where` is named in errors.

    Raises
    ------
    InputError
        For a list of another length, and for what is no item, with its row.
    """
    if len(content) != n_users:
        raise InputError(f"{where} has {len(content)} entries; wanted {n_users}, one a user.")
    rows = [_items(entry) for entry in content]
    flat = list(itertools.chain.from_iterable(rows))
    users = np.repeat(np.arange(n_users), [len(row) for row in rows])
    for user, item in zip(users, flat, strict=True):
        if not _is_whole(item) or not 0 <= item < n_items:
            raise InputError(
                f"{where}, row {user}: found {item!r}, wanted an item id from 0 to {n_items - 1}, "
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
    if isinstance(value, (float, np.floating)):
        return float(value).is_integer()
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
