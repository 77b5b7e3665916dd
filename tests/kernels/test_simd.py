"""simd: lines hold what was loaded, at any address, and add and multiply lane by lane."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

from pkef_fast.kernels.simd import (
    above,
    larger,
    load,
    logarithm,
    lowest,
    number,
    spread_over,
    store,
    total,
    zero,
)


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


@nb.njit
def _compared(a, b, y):
    """y: the larger numbers; returns the places where a is higher, one after the other."""
    x, other = load(a, 0, 0), load(b, 0, 0)
    store(larger(x, other), y, 0, 0)
    places = []
    bits = above(x, other)
    while bits:
        places.append(lowest(bits))
        bits &= bits - 1
    return places


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lines_are_compared_lane_by_lane(dtype):
    w = 64 // np.dtype(dtype).itemsize
    rng = np.random.default_rng(0)
    a, b = rng.integers(-2, 3, (2, 1, w)).astype(dtype)  # with equal ones
    a[0, 1], b[0, 2], a[0, -1], b[0, -1] = np.nan, np.nan, np.inf, 1
    y = np.empty((1, w), dtype)
    found = _compared(a, b, y)
    assert found == np.flatnonzero(a > b).tolist()
    assert found[-1] == w - 1
    np.testing.assert_array_equal(y, np.where(a > b, a, b))


@nb.njit
def _logarithms(x, y):
    for n in range(len(x)):
        store(logarithm(load(x, n, 0)), y, n, 0)


def test_logarithms_of_all_sizes():
    """From the smallest normal number to the largest, and closely around 1."""
    rng = np.random.default_rng(0)
    tiny, huge = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    x = np.concatenate([
        np.exp(rng.uniform(np.log(tiny) + 1e-3, np.log(huge) - 1e-3, 8000)),
        1 + rng.uniform(-0.3, 0.5, 8000) ** 5,
        [tiny, huge, 1, 0.5, 2, np.sqrt(0.5), np.nextafter(1, 0), np.nextafter(1, 2)] * 2,
    ]).astype(np.float32).reshape(-1, 16)  # fmt: skip
    y = np.empty_like(x)
    _logarithms(x, y)
    truth = np.log(x.astype(np.float64))
    assert np.all(np.abs(y - truth) <= 2 * np.spacing(np.abs(truth).astype(np.float32)))
    assert y[-1, 2] == 0
