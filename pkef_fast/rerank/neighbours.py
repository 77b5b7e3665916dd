"""Which items are alike, seen through the users who share them: the two-hop sums, item by item.

With N_k = D_u^-½ M_k D_v^-½ of behaviour k, the sums over two hops are

    T_ab[i, v] = Σ_u N_a[u, i] · N_b[u, v]        who did a with i, and b with v

so a user's two-hop score of v is a sum of T over the user's own items, and the graph ranking of
models/graph_rank is, in all items that the user has not touched, such a sum but for terms of three
hops and more (each has another factor γ). `Neighbours` keeps the n largest of each item.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..graph.adjacency import transpose
from ..kernels.jit import parallel, serial
from ..kernels.select import nth_largest

PIECES = 64  # of the items: each has sums of its own, whatever the number of threads
MEMORY = 2**29  # bytes that the lists may take
GROWTH = 2**26  # bytes of the sums of one piece; many items make fewer pieces


class Neighbours(NamedTuple):
    """Lists of the nearest items of each item.

    indptr (I+1,) int64; items (E,) int32, rising in a row; values (E, K²) float32, column a·K + b
    holding T_ab[i, v] for row i.
    """

    indptr: Array
    items: Array
    values: Array


class Stacked(NamedTuple):
    """K patterns as one: row r·K + k is row r of behaviour k.

    indptr (R·K + 1,) int64, indices (E,) int32.
    """

    indptr: Array
    indices: Array


def stacked(patterns: tuple[Csr, ...]) -> Stacked:
    """The patterns' rows, interleaved."""
    counts = np.stack([np.diff(csr.indptr) for csr in patterns], axis=1).astype(np.int64)
    indptr = np.zeros(counts.size + 1, np.int64)
    np.cumsum(counts.ravel(), out=indptr[1:])
    indices = np.empty(indptr[-1], np.int32)
    for k, csr in enumerate(patterns):
        starts = indptr[k : -1 : len(patterns)]
        shift = np.repeat(starts - csr.indptr[:-1], counts[:, k])
        indices[shift + np.arange(len(csr.indices))] = csr.indices
    return Stacked(indptr, indices)


def neighbours(dataset: Dataset, most: int, more_bytes: int = 0) -> Neighbours:
    """The `most` nearest items of each item by Σ_ab T_ab, itself left out.

    Fewer where so many would take more than MEMORY bytes, together with those that the caller
    keeps of each neighbour.
    """
    n_items, n_behaviors = dataset.n_items, len(dataset.behaviors)
    row_bytes = 4 * (n_behaviors**2 + 1)
    most = max(1, min(most, n_items, MEMORY // ((row_bytes + more_bytes) * max(n_items, 1))))
    by_user = stacked(dataset.interactions)
    by_item = stacked(tuple(transpose(csr, n_items) for csr in dataset.interactions))
    user_roots, item_roots = (
        (1 / np.sqrt(np.maximum(np.diff(one.indptr), 1))).astype(np.float32)
        for one in (by_user, by_item)
    )
    counts = np.zeros(n_items, np.int64)
    items = np.empty((n_items, most), np.int32)
    values = np.empty((n_items, most, n_behaviors**2), np.float32)
    pieces = int(np.clip(GROWTH // (row_bytes * max(n_items, 1)), 2, PIECES))
    _fill(by_user, by_item, user_roots, item_roots, n_behaviors, pieces, counts, items, values)
    indptr = np.zeros(n_items + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    kept = np.arange(most) < counts[:, None]
    return Neighbours(indptr, items[kept], values[kept])


@serial()
def largest(keys, touched, found, most, work, edge, items):
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
def _fill(by_user, by_item, user_roots, item_roots, n_behaviors, pieces, counts, items, values):
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
            listed = largest(keys, touched, found, most, work, edge, items[i])
            for t in range(listed):
                values[i, t] = sums[items[i, t]]
            counts[i] = listed
            for t in range(found):
                sums[touched[t]] = 0
                seen[touched[t]] = False
