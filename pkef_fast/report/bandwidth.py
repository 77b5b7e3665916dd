"""What the machine can do, to hold the kernels against: a copy, and reads of a table's rows.

`read_rows` reads the rows of a table in the order of a graph's indices and adds them up in vector
registers, as `propagate` does, but over thousands of edges at a time: nothing is scaled or written
at the end of each node. So a product cannot be faster, whatever its loops.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from ..kernels.jit import parallel
from ..kernels.propagate.neighbours import sum_neighbours

EDGES = 4096  # rows that one sum takes: many beside its few stores


@parallel()
def copy(x, y):
    """y = x, flat arrays."""
    for i in nb.prange(len(x)):
        y[i] = x[i]


@parallel()
def _read_rows(x, indices, bounds, y):
    for piece in nb.prange(len(bounds) - 1):
        first, last = bounds[piece], bounds[piece + 1]
        sum_neighbours(x, indices, first, last, 0, False, x.dtype.type(1), False, y, y, piece)


def read_rows(x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Sums (pieces, d) of the rows x[indices], EDGES at a time; x (N, d), indices (E,) int32."""
    bounds = np.append(np.arange(0, len(indices), EDGES), len(indices)).astype(np.int32)
    sums = np.empty((len(bounds) - 1, x.shape[1]), x.dtype)
    _read_rows(x, indices, bounds, sums)
    return sums
