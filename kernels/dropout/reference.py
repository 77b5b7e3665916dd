"""dropout in NumPy: the truth that the fast forms are held to. Contract: `__init__.py`."""

from __future__ import annotations

import numpy as np

from ..sample.reference import philox4x32
from . import EDGES, ENTRIES, key_for, threshold

__all__ = ["edges", "entries"]


def _words(low, high, step, stream, key):
    counter = np.empty((len(low), 4), np.uint32)
    counter[:, 0], counter[:, 1], counter[:, 2], counter[:, 3] = low, high, step, stream
    return philox4x32(counter, key)


def entries(x, rate, seed, step, stream=0):
    """x/(1 − rate) where an entry stays, else 0."""
    fours = np.arange(-(-x.size // 4), dtype=np.uint64)
    words = _words(
        fours & np.uint64(0xFFFFFFFF), fours >> np.uint64(32), step, stream, key_for(seed, ENTRIES)
    )
    stays = words.reshape(-1)[: x.size].reshape(x.shape) >= threshold(rate)
    return np.where(stays, x * x.dtype.type(1 / (1 - rate)), x.dtype.type(0))


def edges(adjacency, rate, seed, step, stream=0):
    """The adjacency of the edges that stay."""
    indptr, indices = adjacency.indptr, adjacency.indices
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    ends = np.minimum(rows, indices), np.maximum(rows, indices)
    stays = _words(*ends, step, stream, key_for(seed, EDGES))[:, 0] >= threshold(rate)
    counts = np.bincount(rows[stays], minlength=len(indptr) - 1)
    return adjacency._replace(
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        indices=indices[stays],
        scale_out=adjacency.scale_out * adjacency.scale_out.dtype.type(1 / (1 - rate)),
        unit_out=False,
    )
