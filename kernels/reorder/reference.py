"""reorder in NumPy: the truth that the CPU form is held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from ..rows import offsets

__all__ = ["merge", "ranks", "top_k", "unite"]


def _unseen(candidates, seen_indptr, seen_indices, row):
    """Whether each candidate of a row is not seen."""
    return ~np.isin(candidates, seen_indices[seen_indptr[row] : seen_indptr[row + 1]])


def merge(base, indptr, items, f):
    """Whole rows of scores."""
    result = base.astype(np.float64)
    for w, row in enumerate(result):
        part = slice(indptr[w], indptr[w + 1])
        finite = row[np.isfinite(row)]
        if part.stop > part.start and len(finite):
            row += np.float64(f[part].min()) - 1 - finite.max()
        row[items[part]] = f[part]
    return result


def ranks(indptr, items, f, rows, wanted, seen_indptr, seen_indices):
    """Rank and ties of an item among its row's unseen candidates, and whether it is one."""
    rank, tied = np.zeros((2, len(rows)), np.int32)
    listed = np.zeros(len(rows), bool)
    for n, (w, item) in enumerate(zip(rows, wanted, strict=True)):
        part = slice(indptr[w], indptr[w + 1])
        own = f[part][items[part] == item]
        listed[n] = len(own)
        free = _unseen(items[part], seen_indptr, seen_indices, w) & (items[part] != item)
        others, numbers = f[part][free], items[part][free]
        least = own[0] if listed[n] else -np.inf
        before = (others > least) | ((others == least) & (numbers < item))
        rank[n], tied[n] = np.count_nonzero(before), np.count_nonzero(others == least)
    return rank, tied, listed


def top_k(indptr, items, f, k, seen_indptr, seen_indices):
    """The best unseen candidates of each row."""
    n_rows = len(indptr) - 1
    best, scores = np.full((n_rows, k), -1, np.int32), np.full((n_rows, k), -np.inf)
    sizes = np.zeros(n_rows, np.int64)
    for w in range(n_rows):
        part = slice(indptr[w], indptr[w + 1])
        free = np.flatnonzero(_unseen(items[part], seen_indptr, seen_indices, w))
        order = free[np.argsort(-f[part][free], kind="stable")][:k]
        sizes[w] = len(order)
        best[w, : len(order)], scores[w, : len(order)] = items[part][order], f[part][order]
    return best, scores, sizes


def unite(a_indptr, a_items, b_indptr, b_items):
    """Rows with the items of both."""
    rows = [
        np.union1d(a_items[a_indptr[n] : a_indptr[n + 1]], b_items[b_indptr[n] : b_indptr[n + 1]])
        for n in range(len(a_indptr) - 1)
    ]
    items = np.concatenate([*rows, np.empty(0)]).astype(np.int32)
    return offsets([len(row) for row in rows]), items
