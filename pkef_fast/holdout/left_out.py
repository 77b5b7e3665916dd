"""Train purchases that are left out, so that something can be learned from them or chosen by them.

One rule for all who need such purchases: for validation (`validation`), and for the re-ranker.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from ..config.streams import stream
from ..data.dataset import Array, Dataset
from ..data.patterns import row_of_each, without
from ..errors import InputError


class LeftOut(NamedTuple):
    """Left-out target pairs, users rising; `visible`: not hidden elsewhere.

    Users are distinct where pairs were drawn; publishers may hold out several of a user.

    users, items (n,) int32; visible (n,) bool.
    """

    users: Array
    items: Array
    visible: Array

    def of(self, chosen: Array) -> LeftOut:
        """Those at these places, or under this mask."""
        return LeftOut(self.users[chosen], self.items[chosen], self.visible[chosen])

    def digest(self) -> str:
        """16 hexadecimal digits that tell these pairs from others."""
        parts = (np.ascontiguousarray(part, "<i4").tobytes() for part in self)
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def leave_out(
    dataset: Dataset, share: float, least: int, seed: int, rounds: int = 1
) -> list[LeftOut]:
    """One target pair of each user with `least` of them or more, `rounds` times.

    The first one is the user's latest, as what is held out mostly is, where the target has times
    and the data set was not split at random; else, and among pairs of the same time, a random one.
    Later rounds go on from there, so a user's pairs differ as long as there are others. What is
    left out of a user's row depends on the seed and this row alone, never on anything held out.

    Parameters
    ----------
    dataset : Dataset
        Left as it is; only its train part is read.
    share : float, 0 to 1
        Chance that a pair stays visible in the user's other behaviours; see `visibility_of`.
    least : int, at least 1
    seed : int
    rounds : int

    Returns
    -------
    list of LeftOut
        One a round, of the same users.

    Raises
    ------
    InputError
        For a share out of range.
    """
    if not 0 <= share <= 1:
        raise InputError(f"the share that stays visible cannot be {share!r}; wanted 0 to 1.")
    target = dataset.interactions[-1]
    degrees = np.diff(target.indptr)
    users = np.flatnonzero(degrees >= max(least, 1)).astype(np.int32)
    draws = stream(seed, "left-out pair").random(dataset.n_users)
    order = _order(dataset, (draws * degrees).astype(np.int64))
    result = []
    for number in range(rounds):
        place = order[target.indptr[users] + number % degrees[users]]
        draws = stream(seed, "left-out visibility", number).random(dataset.n_users)
        result.append(LeftOut(users, target.indices[place], draws[users] < share))
    return result


def _order(dataset: Dataset, first: Array) -> Array:
    """(E,) target entries, user by user in the order in which they are left out.

    From the latest to the earliest, where there are times and they were split by; those of equal
    times, or all, in the order of the row from its entry `first` (U,) on, and around.
    """
    target = dataset.interactions[-1]
    rows = row_of_each(target)
    place = np.arange(len(rows)) - target.indptr[rows]
    keys = [(place - first[rows]) % np.diff(target.indptr)[rows], rows]
    times = None if dataset.times is None else dataset.times[-1]
    if times is not None and dataset.split != "random":
        keys.insert(1, -times)
    return np.lexsort(keys)


def published(dataset: Dataset, share: float, seed: int) -> LeftOut | None:
    """The validation pairs that came with the data set, as left-out pairs; None without any.

    Their publishers took them out of the target, so they are where they are in other behaviours;
    of a share below 1, the others are to be hidden there too.
    """
    if dataset.validation is None:
        return None
    users, items = dataset.validation
    draws = stream(seed, "left-out visibility", 0).random(dataset.n_users)
    return LeftOut(users, items, draws[users] < share)


def without_left_out(dataset: Dataset, left: LeftOut) -> Dataset:
    """The train part without the left-out pairs; nothing is held out in it."""
    everywhere = left.of(~left.visible)
    auxiliary = [(everywhere.users, everywhere.items)] * (len(dataset.behaviors) - 1)
    return without(
        dataset,
        [*auxiliary, (left.users, left.items)],
        test_users=np.empty(0, np.int32),
        test_items=np.empty(0, np.int32),
        validation=None,
    )
