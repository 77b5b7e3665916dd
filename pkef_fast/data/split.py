"""Leave-one-out: one target pair of each user is held out for the test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .dataset import Array


class Events(NamedTuple):
    """Events of one behaviour, in file order: users, items (E,) int, time (E,) or None."""

    users: Array
    items: Array
    time: Array | None


def distinct(events: Events) -> Events:
    """Each pair once, with its earliest time (of equal times the first in file order).

    Pairs stay in the order of those earliest events: by time, then file order.
    """
    time = np.zeros(len(events.users), np.int8) if events.time is None else events.time
    order = np.argsort(time, kind="stable")
    users, items = events.users[order], events.items[order]
    side = int(items.max(initial=0)) + 1
    _, first = np.unique(users.astype(np.int64) * side + items, return_index=True)
    first.sort()
    kept = order[first]
    return Events(
        events.users[kept],
        events.items[kept],
        None if events.time is None else events.time[kept],
    )


def latest(events: Events) -> Array:
    """Position of the last pair of each user with two or more; `events` come from `distinct`."""
    return _last_of_each(events.users, np.arange(len(events.users)))


def random(events: Events, seed: int) -> Array:
    """Position of a random pair of each user with two or more, whatever the order of the pairs."""
    draws = np.random.Generator(np.random.PCG64(seed)).random(len(events.users))
    keys = np.empty(len(draws))
    keys[np.lexsort((events.items, events.users))] = draws
    return _last_of_each(events.users, keys)


def _last_of_each(users: Array, keys: Array) -> Array:
    """Position of the largest key of each user who has two or more."""
    order = np.lexsort((keys, users))
    ordered = users[order]
    last = np.append(ordered[1:] != ordered[:-1], True)[: len(order)]
    several = np.append(False, ordered[1:] == ordered[:-1])[: len(order)]
    return order[last & several]
