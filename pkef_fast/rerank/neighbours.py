"""Which items are alike, seen through the users who share them: lists of `kernels.neighbours`.

A user's two-hop score of an item is a sum of T over the user's own items, and the graph ranking of
models/graph_rank is, in all items that the user has not touched, such a sum but for terms of three
hops and more (each has another factor γ).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.dataset import Array, Csr, Dataset
from ..device import Device
from ..graph.adjacency import transpose
from ..kernels.neighbours import Stacked
from ..kernels.rows import offsets

MEMORY = 2**29  # bytes that the lists may take


class Neighbours(NamedTuple):
    """Lists of the nearest items of each item.

    indptr (I+1,) int64; items (E,) int32, rising in a row; values (E, K²) float32, column a·K + b
    holding T_ab[i, v] for row i.
    """

    indptr: Array
    items: Array
    values: Array


def stacked(patterns: tuple[Csr, ...]) -> Stacked:
    """The patterns' rows, interleaved."""
    counts = np.stack([np.diff(csr.indptr) for csr in patterns], axis=1).astype(np.int64)
    indptr = offsets(counts.ravel())
    indices = np.empty(indptr[-1], np.int32)
    for k, csr in enumerate(patterns):
        starts = indptr[k : -1 : len(patterns)]
        shift = np.repeat(starts - csr.indptr[:-1], counts[:, k])
        indices[shift + np.arange(len(csr.indices))] = csr.indices
    return Stacked(indptr, indices)


def neighbours(dataset: Dataset, most: int, host: Device, more_bytes: int = 0) -> Neighbours:
    """The `most` nearest items of each item by Σ_ab T_ab, itself left out.

    Fewer where so many would take more than MEMORY bytes, together with the `more_bytes` that the
    caller keeps of each neighbour.
    """
    n_items, n_behaviors = dataset.n_items, len(dataset.behaviors)
    row_bytes = 4 * (n_behaviors**2 + 1)
    most = max(1, min(most, n_items, MEMORY // ((row_bytes + more_bytes) * max(n_items, 1))))
    by_user = stacked(dataset.interactions)
    by_item = stacked(tuple(transpose(csr, n_items) for csr in dataset.interactions))
    roots = (
        (1 / np.sqrt(np.maximum(np.diff(one.indptr), 1))).astype(np.float32)
        for one in (by_user, by_item)
    )
    counts, items, values = host.kernels.neighbours.two_hop(
        by_user, by_item, *roots, n_behaviors, most
    )
    kept = np.arange(most) < counts[:, None]
    return Neighbours(offsets(counts), items[kept], values[kept])
