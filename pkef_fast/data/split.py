"""Which target pairs are held out for the test, and who is left in at all.

Leave-one-out holds one pair of each user out; the split by a date holds out whatever a user takes
up after it, and nothing after it is learned from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..config.streams import stream
from .dataset import Array


class Events(NamedTuple):
    """Events of one behaviour: users, items (E,) int, time (E,) or None."""

    users: Array
    items: Array
    time: Array | None

    def chosen(self, which: Array) -> Events:
        """Those at these positions, or under this mask."""
        time = None if self.time is None else self.time[which]
        return Events(self.users[which], self.items[which], time)


def distinct(events: Events, n_items: int) -> Events:
    """Each pair once, with its earliest time; by rising user and item."""
    keys = events.users.astype(np.int64) * n_items + events.items
    if np.all(keys[1:] > keys[:-1]):
        return events
    order = np.argsort(keys)
    keys = keys[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    kept = order[first]
    time = events.time
    if time is not None and len(time):
        time = np.minimum.reduceat(time[order], first)
    return Events(events.users[kept], events.items[kept], time)


def latest(events: Events, seed: int = 0) -> tuple[Array, int]:
    """Position of the latest pair of each user with two or more; pairs are distinct, with times.

    Where several of a user's pairs are the latest, one of them is drawn, whatever the order of the
    rows.

    Returns
    -------
    positions : (H,) int64
    ties : int
        Users whose latest pair was drawn.
    """
    time = events.time
    order = np.lexsort((_draws(events, seed), time, events.users))
    held = _last_of_each(events.users[order])
    before = order[held - 1]
    tied = time[before] == time[order[held]]  # the one before is of the same user
    return order[held], int(np.count_nonzero(tied))


def random(events: Events, seed: int) -> Array:
    """Position of a random pair of each user with two or more, whatever the order of the pairs."""
    keys = np.empty(len(events.users))
    draws = np.random.Generator(np.random.PCG64(seed)).random(len(keys))
    keys[np.lexsort((events.items, events.users))] = draws
    order = np.lexsort((keys, events.users))
    return order[_last_of_each(events.users[order])]


def core(users: Array, items: Array, least: int, n_users: int, n_items: int) -> tuple[Array, Array]:
    """Users (n_users,) and items (n_items,) bool that have `least` pairs or more among themselves.

    The pairs are distinct. Others are left out, with their pairs, until nothing changes.
    """
    kept = np.ones(len(users), bool)
    while True:
        good_users = np.bincount(users[kept], minlength=n_users) >= least
        good_items = np.bincount(items[kept], minlength=n_items) >= least
        left = kept & good_users[users] & good_items[items]
        if left.sum() == kept.sum():
            return good_users, good_items
        kept = left


def _draws(events: Events, seed: int) -> Array:
    """A number of each pair that depends on the pair and the seed, not on the rows' order."""
    draws = stream(seed, "ties in time").random(len(events.users))
    result = np.empty(len(draws))
    result[np.lexsort((events.items, events.users))] = draws
    return result


def _last_of_each(users: Array) -> Array:
    """Position of the last of each user who has two or more; users rise."""
    last = np.append(users[1:] != users[:-1], True)[: len(users)]
    several = np.append(False, users[1:] == users[:-1])[: len(users)]
    return np.flatnonzero(last & several)
