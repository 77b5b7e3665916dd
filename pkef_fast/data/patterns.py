"""Building and asking binary U × I patterns, without loops over interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .dataset import Array, Csr, Dataset


def pattern(rows: Array, columns: Array, n_users: int, n_items: int) -> Csr:
    """The distinct pairs (rows[e], columns[e]) as a Csr, in any order and with repeats.

    Parameters
    ----------
    rows, columns : (E,) integers, 0 ≤ row < n_users and 0 ≤ column < n_items
        Unchecked; readers check before.
    """
    keys = rows.astype(np.int64) * n_items + columns
    if not np.all(keys[1:] > keys[:-1]):  # most files are sorted already; a sort is 50 × the test
        keys.sort()  # NumPy's unique goes by a hash table, which takes eight times as long
        keys = keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]
    rows, columns = np.divmod(keys, max(n_items, 1))
    indptr = np.zeros(n_users + 1, np.int32)
    np.cumsum(np.bincount(rows, minlength=n_users), out=indptr[1:])
    return Csr(indptr, columns.astype(np.int32))


def union(patterns: Sequence[Csr], n_items: int) -> Csr:
    """The pairs that are in any of the patterns."""
    rows = np.concatenate([row_of_each(csr) for csr in patterns])
    columns = np.concatenate([csr.indices for csr in patterns])
    return pattern(rows, columns, len(patterns[0].indptr) - 1, n_items)


def row_of_each(csr: Csr) -> Array:
    """(E,) int64 row of each entry of a pattern."""
    return np.repeat(np.arange(len(csr.indptr) - 1), np.diff(csr.indptr))


def keys_of(csr: Csr, n_items: int) -> Array:
    """(E,) int64 user · n_items + item of each entry, rising."""
    return row_of_each(csr) * n_items + csr.indices


def contains(csr: Csr, rows: Array, columns: Array, n_items: int) -> Array:
    """Whether each pair (rows[e], columns[e]) is in the pattern; (E,) bool."""
    keys = keys_of(csr, n_items)
    wanted = rows.astype(np.int64) * n_items + columns
    place = np.searchsorted(keys, wanted)
    found = np.zeros(len(wanted), bool)
    inside = place < len(keys)
    found[inside] = keys[place[inside]] == wanted[inside]
    return found


def earliest(csr: Csr, rows: Array, columns: Array, times: Array, n_items: int) -> Array:
    """(E,) int64 time of each entry of a pattern: the least of times[e] at (rows[e], columns[e]).

    Every entry must be among these pairs, which may repeat, and every pair among the entries.
    """
    place = np.searchsorted(keys_of(csr, n_items), rows.astype(np.int64) * n_items + columns)
    result = np.full(len(csr.indices), np.iinfo(np.int64).max)
    np.minimum.at(result, place, times)
    return result


def less(
    csr: Csr, times: Array | None, rows: Array, columns: Array, n_items: int
) -> tuple[Csr, Array | None]:
    """A pattern and its times (E,), if any, without the given pairs; some may not be there."""
    n_users = len(csr.indptr) - 1
    gone = rows.astype(np.int64) * n_items + columns
    left = np.isin(keys_of(csr, n_items), gone, invert=True)
    kept = pattern(row_of_each(csr)[left], csr.indices[left], n_users, n_items)
    return kept, None if times is None else times[left]


def without(
    dataset: Dataset, pairs: Sequence[tuple[Array, Array]], **changes: Array | dict | None
) -> Dataset:
    """The data set less some train pairs, (users, items) a behaviour, and with other fields."""
    times = dataset.times or (None,) * len(pairs)
    left = [
        less(*one, *gone, dataset.n_items)
        for *one, gone in zip(dataset.interactions, times, pairs, strict=True)
    ]
    patterns, times = zip(*left, strict=True)
    return replace(dataset, interactions=patterns, times=times, **changes)


def rows_of(csr: Csr, users: Array) -> Csr:
    """The pattern's rows of these users, in this order; users may repeat."""
    starts = csr.indptr[users].astype(np.int64)
    counts = csr.indptr[users + 1] - starts
    indptr = np.zeros(len(users) + 1, np.int32)
    np.cumsum(counts, out=indptr[1:])
    places = np.repeat(starts - indptr[:-1], counts) + np.arange(indptr[-1])
    return Csr(indptr, csr.indices[places])
