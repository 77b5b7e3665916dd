"""tiles: products in registers equal NumPy's for widths of whole lines, parts of them, and both."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.jit import serial
from pkef_fast.kernels.tiles import add_outer, add_product

WIDTHS = (1, 5, 8, 16, 24, 32, 64, 83, 128)


@serial()
def _add_product(x, rows, w, first, factors, y):
    a, b, c, e = rows
    f, g, h, k = factors
    add_product(x, a, b, c, e, w, first, f, g, h, k, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("inner", [0, 1, 7, 64])
def test_add_product(width, inner, dtype):
    """A row that stands twice is added to twice; other rows of y and of w stay out of it."""
    rng = np.random.default_rng(width)
    x, w, y = (
        rng.normal(size=size).astype(dtype) for size in ((6, inner), (inner + 5, width), (6, width))
    )
    wanted, factors = y.copy(), rng.normal(size=4).astype(dtype)
    for n, factor in zip((4, 0, 5, 5), factors, strict=True):
        wanted[n] += factor * (x[n] @ w[3 : 3 + inner])
    _add_product(x, (4, 0, 5, 5), w, 3, tuple(factors), y)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=64 * np.finfo(dtype).eps * max(inner, 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("rows", [1, 3, 4, 10])
def test_add_outer(width, rows, dtype):
    rng = np.random.default_rng(width)
    x, y, sums = (
        rng.normal(size=size).astype(dtype) for size in ((30, rows), (30, width), (rows + 2, width))
    )
    wanted = sums.copy()
    wanted[1 : 1 + rows] += x[5:21].T @ y[5:21]
    add_outer(x, y, 5, 21, sums, 1)
    np.testing.assert_allclose(sums, wanted, rtol=0, atol=300 * np.finfo(dtype).eps)
