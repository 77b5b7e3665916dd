"""dropout in Numba. Contract: `__init__.py`."""

import numba as nb
import numpy as np

from ..buffers import empty, empty_like
from ..jit import parallel
from ..philox import MASK, WORD, words
from . import EDGES, ENTRIES, key_for, threshold

__all__ = ["edges", "entries"]


BLOCK = 256  # words that are drawn at a time, before any of them is used: see `philox`


@parallel()
def _entries(x, bound, factor, key, step, stream, y):
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for block in nb.prange(-(-len(x) // BLOCK)):
        drawn = np.empty((BLOCK // 4, 4), np.uint32)
        for i in range(BLOCK // 4):
            four = np.uint64(block * (BLOCK // 4) + i)
            w0, w1, w2, w3 = words(four & MASK, four >> WORD, step, stream, k0, k1)
            drawn[i, 0], drawn[i, 1], drawn[i, 2], drawn[i, 3] = w0, w1, w2, w3
        word, first = drawn.reshape(-1), block * BLOCK
        for i in range(min(BLOCK, len(x) - first)):
            y[first + i] = x[first + i] * factor if word[i] >= bound else x.dtype.type(0)


def entries(x, rate, seed, step, stream=0):
    """x/(1 − rate) where an entry stays, else 0."""
    y = empty_like(x)
    numbers = _numbers(rate, seed, ENTRIES, step, stream)
    factor = x.dtype.type(1 / (1 - rate))
    _entries(x.reshape(-1), numbers[0], factor, *numbers[1:], y.reshape(-1))
    return y


def _numbers(rate, seed, what, step, stream):
    """Threshold, key, step and stream as the kernels take them."""
    return threshold(rate), key_for(seed, what), np.uint64(step), np.uint64(stream)


@parallel()
def _stays(indptr, indices, chunks, bound, key, step, stream, kept, counts):
    """Each row's edges that stay, packed at the row's old place, and how many."""
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for chunk in nb.prange(len(chunks) - 1):
        word = np.empty(BLOCK, np.uint32)
        for n in range(chunks[chunk], chunks[chunk + 1]):
            at, last = indptr[n], indptr[n + 1]
            for first in range(indptr[n], last, BLOCK):
                count = min(BLOCK, last - first)
                for i in range(count):
                    m = indices[first + i]
                    low, high = np.uint64(min(n, m)), np.uint64(max(n, m))
                    word[i] = words(low, high, step, stream, k0, k1)[0]
                for i in range(count):
                    kept[at] = indices[first + i]
                    at += 1 if word[i] >= bound else 0
            counts[n] = at - indptr[n]


@parallel()
def _pack(indptr, kept, chunks, packed_ptr, packed):
    for chunk in nb.prange(len(chunks) - 1):
        for n in range(chunks[chunk], chunks[chunk + 1]):
            start = indptr[n]
            for edge in range(packed_ptr[n], packed_ptr[n + 1]):
                packed[edge] = kept[start + edge - packed_ptr[n]]


def edges(adjacency, rate, seed, step, stream=0):
    """The adjacency of the edges that stay."""
    indptr, indices, chunks = adjacency.indptr, adjacency.indices, adjacency.chunks
    kept, counts = empty(len(indices), np.int32), np.zeros(len(indptr) - 1, np.int32)
    _stays(indptr, indices, chunks, *_numbers(rate, seed, EDGES, step, stream), kept, counts)
    packed_ptr = np.zeros(len(indptr), np.int32)
    np.cumsum(counts, out=packed_ptr[1:])
    packed = empty(int(packed_ptr[-1]), np.int32)
    _pack(indptr, kept, chunks, packed_ptr, packed)
    return adjacency._replace(
        indptr=packed_ptr,
        indices=packed,
        scale_out=adjacency.scale_out * adjacency.scale_out.dtype.type(1 / (1 - rate)),
        unit_out=False,
    )
