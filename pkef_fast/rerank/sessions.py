"""Features from times: which items are touched soon after one another, and when an item is touched.

A touch is a pair (u, i) of any behaviour that has times, at the latest of its times. A user's
touches stand in order of time, and by item where times are equal. Times are counted in units of τ,
the lower quartile of the times between successive touches of a user that are not zero; so the
data's own unit does not matter.

    S[i, v] = Σ_u (1 + |t_ui − t_uv|/τ)⁻² / √(n_i n_v)     both touched, at most REACH touches apart
    m_w(v)  = Σ_i w_ui S[i, v],    Σ_i w_ui = 1
    gap(v)  = |t′ − t|/τ

n_i are the touches of item i; only the n largest S of each item are kept, its mates. The weights w
of a user's touches are one of

- equal for all touches of a behaviour, one set for each behaviour;
- (1 + d)⁻² with d touches between this one and the nearest touch of a purchased item;
- (1 + d)⁻² with d touches between this one and the user's last one.

gap goes from t, the user's last touch of a purchased item, to t′, the touch of v by anyone that is
nearest in time. Where a user has bought nothing, the last touch stands for that of a purchase.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.dataset import Array, Dataset
from ..data.patterns import contains, keys_of
from ..device import Device
from ..kernels.candidates import Soon
from ..kernels.rows import offsets
from .neighbours import MEMORY


class Touches(NamedTuple):
    """All touches, by user, time and item.

    indptr (U+1,) int64; users, items (E,) int32; times (E,) float64 in τ since the first one;
    within (E, K) bool: which behaviours with times the touch is of.
    """

    indptr: Array
    users: Array
    items: Array
    times: Array
    within: Array


def touches(dataset: Dataset) -> Touches:
    """The touches of a data set that has times."""
    n_items, K = dataset.n_items, len(dataset.behaviors)
    timed = [k for k in range(K) if dataset.times[k] is not None]
    keys = np.concatenate([keys_of(dataset.interactions[k], n_items) for k in timed])
    keys, place = np.unique(keys, return_inverse=True)
    times = np.full(len(keys), np.iinfo(np.int64).min)
    np.maximum.at(times, place, np.concatenate([dataset.times[k] for k in timed]))
    users, items = np.divmod(keys, max(n_items, 1))
    order = np.lexsort((items, times, users))
    users, items, times = users[order], items[order], times[order]
    steps = np.diff(times)[users[1:] == users[:-1]]
    steps = steps[steps > 0]
    unit = float(np.quantile(steps, 0.25)) if len(steps) else 1.0
    within = np.zeros((len(keys), K), bool)
    for k in timed:
        within[:, k] = contains(dataset.interactions[k], users, items, n_items)
    return Touches(
        offsets(np.bincount(users, minlength=dataset.n_users)),
        users.astype(np.int32),
        items.astype(np.int32),
        (times - times.min()) / unit if len(times) else np.empty(0),
        within,
    )


def columns_of(behaviors: tuple[str, ...]) -> list[str]:
    """Names of the features, in the order of `kernels.candidates.describe`."""
    target = behaviors[-1]
    return [
        *(f"soon with my {s}s" for s in behaviors),
        f"soon with what is near my {target}s",
        "soon with my latest",
        "soonest",
        f"from its nearest time to my last {target}",
    ]


def sessions(dataset: Dataset, most: int, host: Device) -> Soon:
    """What `kernels.candidates` reads of times, `most` mates of an item; empty without times."""
    K = len(dataset.behaviors)
    if dataset.times is None:
        none = np.empty((0, 1), np.float32)
        return Soon(
            none.astype(np.uint32),
            none,
            np.zeros(1, np.int64),
            np.empty(0, np.int32),
            none,
            np.empty(0, np.float32),
            np.zeros(1, np.int64),
            np.empty(0),
            np.empty(0),
            0.0,
        )
    found = touches(dataset)
    by_item = np.lexsort((found.times, found.items))
    item_indptr = offsets(np.bincount(found.items, minlength=dataset.n_items))
    mates, strength = _mates(found, item_indptr, most, host)
    bought = contains(dataset.interactions[-1], found.users, found.items, dataset.n_items)
    near, late = _distances(found, bought)
    weights = [*found.within.T, (1.0 + near) ** -2, (1.0 + late) ** -2]
    weights = np.stack([_shared(found, one) for one in weights], axis=1)
    asked = np.full(dataset.n_users, np.nan)
    for some in (np.ones_like(bought), bought):  # times rise: the last one stays
        asked[found.users[some]] = found.times[some]
    return Soon(
        mates,
        strength,
        found.indptr,
        found.items,
        weights.astype(np.float32),
        ((_shared(found, np.ones(len(bought))) + weights[:, K]) / 2).astype(np.float32),
        item_indptr,
        found.times[by_item],
        asked,
        float(np.ptp(found.times)) if len(found.times) else 0.0,
    )


def _shared(found: Touches, weights: Array) -> Array:
    """Weights of each user's touches, over their sum."""
    total = np.bincount(found.users, weights, len(found.indptr) - 1)
    return weights / np.maximum(total, np.finfo(float).tiny)[found.users]


def _distances(found: Touches, bought: Array) -> tuple[Array, Array]:
    """(E,) touches between each and its user's nearest one that is `bought`, and the last one.

    Without a bought one the last one counts.
    """
    place = np.arange(len(bought))
    first, end = found.indptr[found.users], found.indptr[found.users + 1]
    before = np.maximum.accumulate(np.where(bought, place, -1))
    after = np.minimum.accumulate(np.where(bought, place, len(bought))[::-1])[::-1]
    far = len(bought)
    near = np.minimum(
        np.where(before >= first, place - before, far), np.where(after < end, after - place, far)
    )
    late = end - 1 - place
    return np.where(near == far, late, near), late


def _mates(found: Touches, item_indptr: Array, most: int, host: Device) -> tuple[Array, Array]:
    """The `most` largest S of each item: (I, n) numbers, padded with I, and values."""
    n_items = len(item_indptr) - 1
    most = max(1, min(most, n_items, MEMORY // (8 * max(n_items, 1))))
    roots = (1 / np.sqrt(np.maximum(np.diff(item_indptr), 1))).astype(np.float32)
    by_item = np.argsort(found.items, kind="stable")
    touches = found.indptr, found.users, found.items, found.times
    return host.kernels.neighbours.soon_after(*touches, item_indptr, by_item, roots, most)
