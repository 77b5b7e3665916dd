"""Recycled memory for tables: a step of the CPU kernels makes and drops some sixty of them.

The allocator gives a dropped table back to the system, and the next one costs page faults and
zeroing: a fifth of a step on Taobao. So large buffers go back to a list by their size instead.
"""

from __future__ import annotations

import math
import threading

import numpy as np

SMALLEST = 1 << 18  # bytes; below, the allocator recycles by itself
SLAB = 1 << 25  # bytes
LINE = 64  # bytes; buffers start at a cache line, so that rows of 16 floats are one line


class _Lease:
    """Base of one array; gives its buffer back when the last view of the array is gone."""

    __slots__ = ("__array_interface__", "buffer", "pool")

    def __init__(self, pool, buffer, shape, dtype):
        self.pool, self.buffer = pool, buffer
        start = -buffer.ctypes.data % LINE + buffer.ctypes.data
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (start, False),
        }

    def __del__(self):
        self.pool.give_back(self.buffer)


def _size_class(n_bytes: int) -> int:
    """`n_bytes` up to the next eighth of a power of two: batches differ a little in size."""
    step = 1 << max(n_bytes.bit_length() - 4, 0)
    return -(-n_bytes // step) * step


class _Pool:
    """Free buffers by size.

    New ones are cut from slabs: NumPy asks for huge pages for arrays of megabytes, but one table by
    itself has most of its rows outside of the pages' boundaries.
    """

    def __init__(self):
        self._free: dict[int, list[np.ndarray]] = {}
        self._slab = np.empty(0, np.uint8)  # what is left of it
        self._lock = threading.RLock()  # a lease may die while this thread holds it

    def take(self, n_bytes: int) -> np.ndarray:
        with self._lock:
            free = self._free.get(n_bytes)
            if free:
                return free.pop()
            if len(self._slab) < n_bytes:
                self._slab = np.empty(max(SLAB, n_bytes), np.uint8)
            buffer, self._slab = self._slab[:n_bytes], self._slab[n_bytes:]
            return buffer

    def give_back(self, buffer: np.ndarray) -> None:
        with self._lock:
            self._free.setdefault(len(buffer), []).append(buffer)


_POOL = _Pool()


def empty(shape: int | tuple[int, ...], dtype: np.typing.DTypeLike) -> np.ndarray:
    """An uninitialised C-ordered array that starts at a cache line; large ones are recycled."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes < SMALLEST:
        return np.empty(shape, dtype)
    return np.asarray(_Lease(_POOL, _POOL.take(_size_class(n_bytes + LINE)), shape, dtype))


def empty_like(array: np.ndarray) -> np.ndarray:
    """An uninitialised array of the same shape and dtype."""
    return empty(array.shape, array.dtype)
