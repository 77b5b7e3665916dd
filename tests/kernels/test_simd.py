"""simd: lines hold what was loaded, at any address, and add and multiply lane by lane."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

from pkef_fast.kernels.simd import load, number, spread_over, store, total, zero


@nb.njit  # not cached: a cache does not see that simd.py changed
def _everything(a, b, s, row, column, y):
    """y rows: a, a + b, a·b, s·a, 0; returns the sum of a's lanes."""
    x = load(a, row, column)
    store(x, y, 0, 1)
    store(x + load(b, row, column), y, 1, 1)
    store(x * load(b, row, column), y, 2, 1)
    store(spread_over(s, a) * x, y, 3, 1)
    store(zero(a), y, 4, 1)
    return total(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("column", [0, 1, 3])  # most of them not at a cache line
def test_lines(column, dtype):
    w = 64 // np.dtype(dtype).itemsize
    rng = np.random.default_rng(column)
    a, b = rng.normal(size=(2, 3, w + 5)).astype(dtype)
    y = np.full((5, w + 2), np.nan, dtype)
    s = dtype(-1.5)
    found = _everything(a, b, s, 2, column, y)
    x, other = a[2, column : column + w], b[2, column : column + w]
    wanted = [x, x + other, x * other, s * x, np.zeros(w, dtype)]
    np.testing.assert_array_equal(y[:, 1:-1], wanted)
    assert np.isnan(y[:, [0, -1]]).all()  # nothing beyond the line was written
    halves = x
    while len(halves) > 1:
        halves = halves[: len(halves) // 2] + halves[len(halves) // 2 :]
    assert found == halves[0]


@nb.njit
def _widened(x, row, column, y):
    """y rows: a line of the bfloat16 table x, twice it, and its numbers one by one."""
    line = load(x, row, column) + zero(x)
    store(line, y, 0, 0)
    store(spread_over(np.float32(2), x) * line, y, 1, 0)
    for j in range(16):
        y[2, j] = number(x, row, column + j)


@pytest.mark.parametrize("column", [0, 1, 3])
def test_a_line_of_bfloat16_numbers_is_float32(column):
    rng = np.random.default_rng(column)
    bits = rng.integers(0, 2**16, (3, 16 + 5)).astype(np.uint16) & 0xBFFF  # below 2
    y = np.empty((3, 16), np.float32)
    _widened(bits, 2, column, y)
    wanted = (bits[2, column : column + 16].astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(y, [wanted, 2 * wanted, wanted])
