"""neighbours in NumPy: the truth that the CPU form is held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from . import REACH, SMALLEST

__all__ = ["soon_after", "two_hop"]


def _largest(keys, most):
    """The items with the `most` largest keys above 0, by rising number; of equals the lowest."""
    positive = np.flatnonzero(keys > 0)
    order = np.argsort(-keys[positive], kind="stable")
    return np.sort(positive[order[:most]])


def two_hop(by_user, by_item, user_roots, item_roots, n_behaviors, most):
    """The nearest items of each item by Σ_ab T_ab."""
    K = n_behaviors
    n_items = len(item_roots) // K
    counts = np.zeros(n_items, np.int64)
    items = np.full((n_items, most), n_items, np.int32)
    values = np.zeros((n_items, most, K * K), item_roots.dtype)
    for i in range(n_items):
        T = np.zeros((n_items, K * K), item_roots.dtype)  # T_ab[i, v] at [v, a·K + b]
        for a in range(K):
            root = item_roots[i * K + a]
            for u in by_item.indices[by_item.indptr[i * K + a] : by_item.indptr[i * K + a + 1]]:
                for b in range(K):
                    row = slice(by_user.indptr[u * K + b], by_user.indptr[u * K + b + 1])
                    v = by_user.indices[row]
                    weight = root * user_roots[u * K + a] * user_roots[u * K + b]
                    T[v, a * K + b] += weight * item_roots[v * K + b]
        T[i] = 0  # itself is no neighbour
        total = np.zeros(n_items, item_roots.dtype)
        for column in T.T:
            total += column
        nearest = _largest(total, most)
        counts[i] = len(nearest)
        items[i, : len(nearest)], values[i, : len(nearest)] = nearest, T[nearest]
    return counts, items, values


def soon_after(indptr, users, items, times, item_indptr, by_item, roots, most):
    """The items of each item's largest S."""
    n_items = len(roots)
    mates = np.full((n_items, most), n_items, np.uint32)
    strength = np.zeros((n_items, most), roots.dtype)
    for i in range(n_items):
        sums = np.zeros(n_items, roots.dtype)
        for place in by_item[item_indptr[i] : item_indptr[i + 1]]:
            first, end = indptr[users[place]], indptr[users[place] + 1]
            others = np.arange(max(first, place - REACH), min(end, place + REACH + 1))
            others = others[others != place]
            apart = (1 + np.abs(times[others] - times[place])).astype(roots.dtype)
            near = 1 / (apart * apart).astype(np.float64)
            v = items[others]
            sums[v] = sums[v] + np.maximum(near, np.float64(SMALLEST))
        S = sums * roots[i] * roots
        nearest = _largest(S, most)
        mates[i, : len(nearest)], strength[i, : len(nearest)] = nearest, S[nearest]
    return mates, strength
