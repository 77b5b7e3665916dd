"""neighbours for the CPU, in Numba. Contract: `__init__.py`.

Items are divided into pieces. Each has tables of sums of its own, whatever the number of threads,
and clears only the rows that an item touched.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from ..jit import parallel, serial
from ..select import nth_largest
from . import REACH, SMALLEST

__all__ = ["soon_after", "two_hop"]

PIECES = 64  # of the items
GROWTH = 2**26  # bytes of the sums of one piece; many items make fewer pieces


def _pieces(n_items, row_bytes):
    return int(np.clip(GROWTH // (row_bytes * max(n_items, 1)), 2, PIECES))


def two_hop(by_user, by_item, user_roots, item_roots, n_behaviors, most):
    """The nearest items of each item by Σ_ab T_ab."""
    K = n_behaviors
    n_items = len(item_roots) // K
    counts = np.zeros(n_items, np.int64)
    items = np.full((n_items, most), n_items, np.int32)
    values = np.zeros((n_items, most, K * K), np.float32)
    pieces = _pieces(n_items, 4 * (K * K + 1))
    _fill_two_hop(by_user, by_item, user_roots, item_roots, K, pieces, counts, items, values)
    return counts, items, values


def soon_after(indptr, users, items, times, item_indptr, by_item, roots, most):
    """The items of each item's largest S."""
    n_items = len(roots)
    mates = np.full((n_items, most), n_items, np.uint32)
    strength = np.zeros((n_items, most), np.float32)
    touches = indptr, users, items, times
    _fill_soon(*touches, item_indptr, by_item, roots, _pieces(n_items, 4), mates, strength)
    return mates, strength


@serial()
def _largest(keys, touched, found, most, work, edge, items):
    """Write the `most` of touched[:found] with the largest keys to `items`, by rising number.

    Of equal keys the lowest numbers. Returns how many there are; `work` and `edge` are scratch.
    """
    least = np.float32(-1)
    if found > most:
        work[:found] = keys[:found]
        least = nth_largest(work, found, most)
    listed, equal = 0, 0
    for t in range(found):
        if keys[t] > least:
            items[listed] = touched[t]
            listed += 1
        elif keys[t] == least:
            edge[equal] = touched[t]
            equal += 1
    edge[:equal].sort()
    for t in range(min(equal, most - listed)):
        items[listed + t] = edge[t]
    listed += min(equal, most - listed)
    items[:listed].sort()
    return listed


@parallel()
def _fill_two_hop(
    by_user, by_item, user_roots, item_roots, n_behaviors, pieces, counts, items, values
):
    n_items, most = items.shape
    K = n_behaviors
    for piece in nb.prange(pieces):
        sums = np.zeros((n_items, K * K), np.float32)
        seen = np.zeros(n_items, nb.boolean)
        touched = np.empty(n_items, np.int32)
        keys, work = np.empty(n_items, np.float32), np.empty(n_items, np.float32)
        edge = np.empty(n_items, np.int32)
        for i in range(piece * n_items // pieces, (piece + 1) * n_items // pieces):
            found = 0
            seen[i] = True  # itself is no neighbour
            for a in range(K):
                root = item_roots[i * K + a]
                for e in range(by_item.indptr[i * K + a], by_item.indptr[i * K + a + 1]):
                    u = by_item.indices[e]
                    from_i = root * user_roots[u * K + a]
                    for b in range(K):
                        weight = from_i * user_roots[u * K + b]
                        for f in range(by_user.indptr[u * K + b], by_user.indptr[u * K + b + 1]):
                            v = by_user.indices[f]
                            if not seen[v]:
                                seen[v] = True
                                touched[found] = v
                                found += 1
                            sums[v, a * K + b] += weight * item_roots[v * K + b]
            sums[i] = 0
            seen[i] = False
            for t in range(found):
                row = sums[touched[t]]
                key = np.float32(0)
                for c in range(K * K):
                    key += row[c]
                keys[t] = key
            listed = _largest(keys, touched, found, most, work, edge, items[i])
            for t in range(listed):
                values[i, t] = sums[items[i, t]]
            counts[i] = listed
            for t in range(found):
                sums[touched[t]] = 0
                seen[touched[t]] = False


@parallel()
def _fill_soon(indptr, users, items, times, item_indptr, by_item, roots, pieces, mates, strength):
    n_items, most = mates.shape
    for piece in nb.prange(pieces):
        sums = np.zeros(n_items, np.float32)
        touched, edge = np.empty((2, n_items), np.int32)
        keys, work = np.empty((2, n_items), np.float32)
        for i in range(piece * n_items // pieces, (piece + 1) * n_items // pieces):
            count = 0
            for e in range(item_indptr[i], item_indptr[i + 1]):
                place = by_item[e]
                u = users[place]
                first = max(indptr[u], place - REACH)
                for other in range(first, min(indptr[u + 1], place + REACH + 1)):
                    if other == place:
                        continue
                    v = items[other]
                    if sums[v] == 0:
                        touched[count] = v
                        count += 1
                    apart = np.float32(1 + abs(times[other] - times[place]))
                    sums[v] += max(1 / (apart * apart), SMALLEST)
            for t in range(count):
                keys[t] = sums[touched[t]] * roots[i] * roots[touched[t]]
            listed = _largest(keys, touched, count, most, work, edge, mates[i])
            for t in range(listed):
                strength[i, t] = sums[mates[i, t]] * roots[i] * roots[mates[i, t]]
            for t in range(count):
                sums[touched[t]] = 0
