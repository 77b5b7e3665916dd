"""Rows of different lengths in one array, by hand."""

from __future__ import annotations

import numpy as np

from pkef_fast.kernels.rows import filled, offsets


def test_offsets():
    assert offsets(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]
    assert offsets(np.array([], np.int32)).tolist() == [0]
    assert offsets(np.full(3, 2**30, np.int32)).tolist() == [0, 2**30, 2**31, 3 * 2**30]


def test_filled():
    found = filled(np.array([3, 0, 2, 1]), np.array([2, 0, 0, 1]))
    assert found.tolist() == [True, True, False, False, False, True]
    assert filled(np.array([], int), np.array([], int)).tolist() == []
