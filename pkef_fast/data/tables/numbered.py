"""Rows by numbers: users and items counted from 0, and which of them are left in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...errors import InputError
from .. import split as splits
from ..dataset import Array
from ..id_column import column_of
from ..split import Events
from . import cells
from .rows import Read
from .times import Unit


class Numbered(NamedTuple):
    """Rows by numbers.

    users, items : (E,) int32
    user_ids, item_ids : the ids in the order of the numbers
    time : (E,) int64 or float64, or None
    unit : Unit or None
    """

    users: Array
    items: Array
    user_ids: Sequence
    item_ids: Sequence
    time: Array | None
    unit: Unit | None

    def events(self, rows: Array | slice, part: Array | None = None) -> Events:
        """The distinct events of some rows; under the mask `part` (E,), where there is one."""
        if part is not None:
            chosen = np.arange(len(part))[rows]
            rows = chosen[part[chosen]]
        time = None if self.time is None else self.time[rows]
        found = Events(self.users[rows], self.items[rows], time)
        return splits.distinct(found, len(self.item_ids))


def numbered(read: Read, unit: Unit | None) -> Numbered:
    """The rows that were read, by numbers."""
    users, user_ids = cells.coded(read.users)
    items, item_ids = cells.coded(read.items)
    time = None if unit is None else unit.values
    return Numbered(users, items, user_ids, item_ids, time, unit)


def core(
    found: Numbered, events: Mapping[str, Events], target: str, least: int
) -> tuple[Numbered, dict[str, Events], str]:
    """What is left of users and items that have enough target pairs, numbered anew."""
    pairs = events[target]
    sizes = len(found.user_ids), len(found.item_ids)
    users, items = splits.core(pairs.users, pairs.items, least, *sizes)
    if not users.any():
        raise InputError(
            f"no user and item is left that have {least} {target} interactions among themselves; "
            "wanted a smaller --k-core."
        )
    new_users, new_items = np.cumsum(users) - 1, np.cumsum(items) - 1
    left = {}
    for name, one in events.items():
        kept = one.chosen(users[one.users] & items[one.items])
        left[name] = Events(new_users[kept.users], new_items[kept.items], kept.time)
    ids = [
        [one for one, good in zip(every, kept.tolist(), strict=True) if good]
        if isinstance(every, list)
        else every[kept]
        for every, kept in ((found.user_ids, users), (found.item_ids, items))
    ]
    said = (
        f"{sizes[0] - int(users.sum())} users and {sizes[1] - int(items.sum())} items with fewer "
        f"than {least} {target} interactions among the others were left out."
    )
    return found._replace(user_ids=ids[0], item_ids=ids[1]), left, said


def ids_or_none(ids: Sequence) -> Array | None:
    """Ids as an array, or None where they are 0, 1, 2…"""
    ids = column_of(ids)
    plain = ids.dtype.kind == "i" and np.array_equal(ids, np.arange(len(ids)))
    return None if plain else ids
