"""reorder for the CPU, in Numba. Contract: `__init__.py`."""

from __future__ import annotations

import numba as nb
import numpy as np

from ..jit import parallel
from ..rows import offsets

__all__ = ["merge", "ranks", "top_k", "unite"]


def merge(base, indptr, items, f):
    """Whole rows of scores."""
    merged = np.empty(base.shape, np.float64)
    _merge(base, indptr, items, f, merged)
    return merged


def ranks(indptr, items, f, rows, wanted, seen_indptr, seen_indices):
    """Rank and ties of an item among its row's unseen candidates, and whether it is one."""
    rank, tied = np.zeros((2, len(rows)), np.int32)
    listed = np.zeros(len(rows), bool)
    _rank(indptr, items, f, rows, wanted, seen_indptr, seen_indices, rank, tied, listed)
    return rank, tied, listed


def top_k(indptr, items, f, k, seen_indptr, seen_indices):
    """The best unseen candidates of each row."""
    n_rows = len(indptr) - 1
    best, scores = np.full((n_rows, k), -1, np.int32), np.full((n_rows, k), -np.inf)
    sizes = _best(indptr, items, f, seen_indptr, seen_indices, best, scores)
    return best, scores, sizes


def unite(a_indptr, a_items, b_indptr, b_items):
    """Rows with the items of both."""
    counts = np.zeros(len(a_indptr) - 1, np.int64)
    items = np.empty(len(a_items) + len(b_items), np.int32)
    kept = np.zeros(len(items), bool)
    _unite(a_indptr, a_items, b_indptr, b_items, counts, items, kept)
    return offsets(counts), items[kept]


@parallel()
def _merge(base, indptr, items, f, merged):
    """Scores in the end: f for candidates; for others the model's, moved below the least f."""
    for w in nb.prange(len(base)):
        low, high = np.float64(0), -np.inf
        for c in range(indptr[w], indptr[w + 1]):
            low = min(low, np.float64(f[c])) if c > indptr[w] else np.float64(f[c])
        for v in range(base.shape[1]):
            value = np.float64(base[w, v])
            merged[w, v] = value
            if np.isfinite(value):
                high = max(high, value)
        if indptr[w + 1] > indptr[w] and high > -np.inf:
            for v in range(base.shape[1]):
                merged[w, v] += low - 1 - high
        for c in range(indptr[w], indptr[w + 1]):
            merged[w, items[c]] = f[c]


@parallel()
def _rank(indptr, items, f, rows, wanted, seen_indptr, seen_indices, rank, tied, listed):
    """Rank and ties of wanted[n] among the unseen candidates of rows[n], and whether it is one.

    One that is none gets their number.
    """
    for n in nb.prange(len(rows)):
        first, last = indptr[rows[n]], indptr[rows[n] + 1]
        own = np.float32(-np.inf)
        at = first + np.searchsorted(items[first:last], wanted[n])
        if at < last and items[at] == wanted[n]:
            own, listed[n] = f[at], True
        e, end = seen_indptr[rows[n]], seen_indptr[rows[n] + 1]
        better, equal = 0, 0
        for c in range(first, last):
            while e < end and seen_indices[e] < items[c]:
                e += 1
            if items[c] == wanted[n] or (e < end and seen_indices[e] == items[c]):
                continue
            better += f[c] > own or (f[c] == own and items[c] < wanted[n])
            equal += f[c] == own
        rank[n], tied[n] = better, equal


@parallel()
def _best(indptr, items, f, seen_indptr, seen_indices, best, best_scores):
    """The best unseen candidates of each user, and how many there are."""
    k = best.shape[1]
    sizes = np.zeros(len(best), np.int64)
    for w in nb.prange(len(best)):
        first, last = indptr[w], indptr[w + 1]
        e, end = seen_indptr[w], seen_indptr[w + 1]
        free = np.empty(last - first, np.int64)
        found = 0
        for c in range(first, last):
            while e < end and seen_indices[e] < items[c]:
                e += 1
            if not (e < end and seen_indices[e] == items[c]):
                free[found] = c
                found += 1
        # Stable, and items rise: of equal ones the lowest numbers come first.
        order = np.argsort(-f[free[:found]], kind="mergesort")
        sizes[w] = min(found, k)
        for n in range(sizes[w]):
            c = free[order[n]]
            best[w, n], best_scores[w, n] = items[c], f[c]
    return sizes


@parallel()
def _unite(a_indptr, a_items, b_indptr, b_items, counts, items, kept):
    """The union of each two rising rows from where both begin, `kept` as long as it is."""
    for n in nb.prange(len(counts)):
        i, j, start = a_indptr[n], b_indptr[n], a_indptr[n] + b_indptr[n]
        at = start
        while i < a_indptr[n + 1] or j < b_indptr[n + 1]:
            if j == b_indptr[n + 1] or (i < a_indptr[n + 1] and a_items[i] < b_items[j]):
                items[at] = a_items[i]
                i += 1
            else:
                items[at] = b_items[j]
                i += i < a_indptr[n + 1] and a_items[i] == b_items[j]
                j += 1
            kept[at] = True
            at += 1
        counts[n] = at - start
