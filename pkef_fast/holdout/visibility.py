"""How purchases to learn or choose from must be hidden: as the test's were.

A published split took its held-out pairs out of the target behaviour alone, so that most of them
stay visible in the views, or out of all behaviours. Purchases that are left out to learn from must
be hidden in the same way, or what is learned never holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.dataset import Dataset
from ..data.patterns import contains, keys_of, row_of_each
from ..errors import InputError
from ..evaluate.rules import unbought

WORDS = {"target": 1.0, "all": 0.0}
# Purchases that are there say how often a held-out item would be visible in a behaviour. Where less
# than this share of that is possible, held-out items were taken out of it too (our choice:
# retail_rocket has 0.37, all other data sets 1).
POSSIBLE = 0.5


class Visibility(NamedTuple):
    """The share of left-out purchases that stays visible elsewhere, and the reason in words."""

    share: float
    reason: str


def visibility_of(dataset: Dataset, wanted: str | float | None = None) -> Visibility:
    """How visible left-out train purchases must stay to be like the data set's held-out ones.

    The first of these that has an answer decides:

    1. `wanted`.
    2. The data set's own record of how it was split.
    3. The train data. A held-out item that is still visible in a behaviour is an item there that
       its user has not bought. So if few users have such an item in a behaviour in which purchases
       usually are, the held-out items were taken out of it: 0.
    4. Times, where train interactions have them: the share of train purchases whose item the user
       had touched in an auxiliary behaviour before, or at the same time, as the mean over users of
       each one's share. This supposes that only the purchase was taken out, so that what had been
       touched by then stays visible.

    Parameters
    ----------
    dataset : Dataset
        Only its train part and its record are read, no held-out item.
    wanted : {"target", "all"} or share, optional
        Hidden in the target alone, in all behaviours, or the share that stays visible.

    Raises
    ------
    InputError
        When `wanted` is none of these, or when nothing says how the data set was split.
    """
    if wanted is not None:
        return Visibility(_share(wanted), "as was asked for")
    if len(dataset.behaviors) == 1:
        return Visibility(1.0, "there is no other behaviour")
    if dataset.leave_out is not None:
        where = "the target alone" if dataset.leave_out == "target" else "all behaviours"
        return Visibility(
            WORDS[dataset.leave_out], f"data set {dataset.name!r} was split out of {where}"
        )
    name, possible, usual = _tightest(dataset)
    if possible < POSSIBLE * usual:
        return Visibility(
            0.0,
            f"{usual:.0%} of the train purchases of a user are in {name!r}, but only "
            f"{possible:.0%} of the users have an item there that they have not bought: the "
            "held-out ones were taken out of it",
        )
    before = _touched_before(dataset)
    if before is not None:
        return Visibility(
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
    if isinstance(wanted, str) and wanted in WORDS:
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
