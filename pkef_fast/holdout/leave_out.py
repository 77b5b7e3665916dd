"""Train purchases left out as the test's were: what the re-ranker learns from.

A published split took its held-out pairs out of the target behaviour alone, so that most of them
stay visible in the views, or out of all behaviours. Purchases that are left out to learn from must
be hidden in the same way, or what is learned never holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.dataset import Array, Dataset
from ..data.patterns import contains, keys_of, row_of_each, without
from ..errors import InputError
from ..evaluate.rules import unbought

WORDS = {"target": 1.0, "all": 0.0}
# Purchases of the others say that so much of the held-out would be visible; with less than this
# share of it possible, they were hidden (our choice: retail_rocket has 0.37, all others 1).
POSSIBLE = 0.5


class Choice(NamedTuple):
    """How train purchases are left out: the share that stays visible, and the reason in words."""

    share: float
    reason: str


def choice(dataset: Dataset, wanted: str | float | None = None) -> Choice:
    """How to leave out train purchases of a data set so that they are like its held-out ones.

    What is wanted rules; then the data set's own record of its split; then what the train data
    says: a held-out item that is still visible in a behaviour is there an item that its user has
    not bought, so no more of them can be visible than there are users with such an item.

    Then, where train interactions have times, they: the share of train purchases whose item the
    user had touched in an auxiliary behaviour before, or at the same time. It is the mean over
    users of each one's share, so that every user counts as one held-out item does. This supposes
    that what had been touched by then stays visible, as when only the purchase was taken out.

    Parameters
    ----------
    dataset : Dataset
        Only its train part and its record are read, never a held-out item.
    wanted : {"target", "all"} or share, optional
        Hidden in the target alone, in all behaviours, or the share that stays visible.

    Raises
    ------
    InputError
        When `wanted` is none of these, or when nothing says how the data set was split.
    """
    if wanted is not None:
        return Choice(_share(wanted), "as was asked for")
    if len(dataset.behaviors) == 1:
        return Choice(1.0, "there is no other behaviour")
    if dataset.leave_out is not None:
        where = "the target alone" if dataset.leave_out == "target" else "all behaviours"
        return Choice(
            WORDS[dataset.leave_out], f"data set {dataset.name!r} was split out of {where}"
        )
    name, possible, usual = _tightest(dataset)
    if possible < POSSIBLE * usual:
        return Choice(
            0.0,
            f"{usual:.0%} of the train purchases of a user are in {name!r}, but only "
            f"{possible:.0%} of the users have an item there that they have not bought: the "
            "held-out ones were taken out of it",
        )
    before = _touched_before(dataset)
    if before is not None:
        return Choice(
            before,
            f"the user had touched the item before {before:.0%} of the train {dataset.target!r} "
            "interactions, by their times",
        )
    raise InputError(
        f"nothing says how the held-out items of data set {dataset.name!r} were split off, and "
        "purchases to learn from must be hidden in the same way; wanted --leave-out target (they "
        "are still in the other behaviours), all (in none), or the share that still is, as 0.8."
    )


def _share(wanted: str | float) -> float:
    if wanted in WORDS:
        return WORDS[wanted]
    try:
        share = float(wanted)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1:
        raise InputError(
            f"leave_out cannot be {wanted!r}; wanted 'target', 'all', or the share that stays "
            "visible, from 0 to 1."
        )
    return share


def _tightest(dataset: Dataset) -> tuple[str, float, float]:
    """The auxiliary behaviour that leaves the least room for visible held-out items: its name, the
    share of users with an unbought item in it, and the mean share of a user's purchases in it."""
    target = dataset.interactions[-1]
    degrees = np.diff(target.indptr)
    rows = row_of_each(target)
    found = []
    for name, csr in zip(dataset.behaviors[:-1], dataset.interactions[:-1], strict=True):
        inside = contains(csr, rows, target.indices, dataset.n_items)
        usual = float(np.average(inside, weights=1 / degrees[rows])) if len(rows) else 0.0
        lists = np.diff(unbought(csr, dataset).indptr)[degrees > 0]
        possible = float(np.mean(lists > 0)) if len(lists) else 1.0
        found.append((name, possible, usual))
    return min(found, key=lambda one: one[1] / max(one[2], 1e-9))


def _touched_before(dataset: Dataset) -> float | None:
    """Mean over users of the share of train purchases that were touched before; None if unknown."""
    target = dataset.interactions[-1]
    times = dataset.times or (None,)
    if times[-1] is None or all(one is None for one in times[:-1]) or not len(target.indices):
        return None
    rows, keys = row_of_each(target), keys_of(target, dataset.n_items)
    before = np.zeros(len(keys), bool)
    for csr, one in zip(dataset.interactions[:-1], times[:-1], strict=True):
        if one is not None:
            _, here, there = np.intersect1d(
                keys, keys_of(csr, dataset.n_items), assume_unique=True, return_indices=True
            )
            before[here] |= one[there] <= times[-1][here]
    return float(np.average(before, weights=1 / np.diff(target.indptr)[rows]))


class LeftOut(NamedTuple):
    """Left-out target pairs, users rising and distinct; `visible`: not hidden elsewhere.

    users, items (n,) int32; visible (n,) bool.
    """

    users: Array
    items: Array
    visible: Array

    def of(self, chosen: Array) -> LeftOut:
        """Those at these places, or under this mask."""
        return LeftOut(self.users[chosen], self.items[chosen], self.visible[chosen])


def draw(dataset: Dataset, share: float, least: int, seed: int, rounds: int = 1) -> list[LeftOut]:
    """`rounds` draws of a target pair of each user with `least` of them or more.

    The first draw is a random pair; where the target has times, the latest one (of several at one
    time a random one), as what is held out mostly is, unless the data set was split at random. The
    draws after it go on from there, so a user's differ as long as there are others. A share of the
    pairs stays visible in the auxiliary behaviours that they are in. What is drawn for a user
    depends on the seed and on this user's row alone, not on anything held out.
    """
    target = dataset.interactions[-1]
    degrees = np.diff(target.indptr)
    users = np.flatnonzero(degrees >= max(least, 1)).astype(np.int32)
    random = np.random.Generator(np.random.PCG64([seed, 0]))
    first = (random.random(dataset.n_users) * degrees).astype(np.int64)
    order = _order(dataset, first)
    result = []
    for number in range(rounds):
        place = order[target.indptr[users] + number % degrees[users]]
        stays = np.random.Generator(np.random.PCG64([seed, 1 + number])).random(dataset.n_users)
        items = target.indices[place]
        result.append(LeftOut(users, items, stays[users] < share))
    return result


def _order(dataset: Dataset, first: Array) -> Array:
    """(E,) target entries, user by user in the order in which they are drawn.

    From the latest to the earliest, where there are times and they were split by; those of equal
    times, or all, in the order of the row from its entry `first` (U,) on, and around.
    """
    target = dataset.interactions[-1]
    rows = row_of_each(target)
    place = np.arange(len(rows)) - target.indptr[rows]
    keys = [(place - first[rows]) % np.diff(target.indptr)[rows], rows]
    times = None if dataset.times is None else dataset.times[-1]
    if times is not None and dataset.source.get("split") != "random":
        keys.insert(1, -times)
    return np.lexsort(keys)


def hidden(dataset: Dataset, left: LeftOut) -> Dataset:
    """The data set as it is without the left-out pairs: its train part alone, nothing held out."""
    everywhere = left.of(~left.visible)
    upstream = [(everywhere.users, everywhere.items)] * (len(dataset.behaviors) - 1)
    return without(
        dataset,
        [*upstream, (left.users, left.items)],
        test_users=np.empty(0, np.int32),
        test_items=np.empty(0, np.int32),
    )
