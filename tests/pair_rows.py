"""Pair rows that tests draw, and how near a fast form must come to the reference."""

from __future__ import annotations

import numpy as np


def draw_pairs(rng, n_users, n_items, rows, absent=0.0):
    """Compact pairs over users 0…n_users−1 and the items after them; some nodes in no pair, and a
    share of the rows absent."""
    left = rng.integers(0, n_users, rows).astype(np.int32)
    right = (n_users + rng.integers(0, n_items, rows)).astype(np.int32)
    left[rng.random(rows) < absent] = -1
    right[left < 0] = -1
    return left, right


def assert_near(found: dict, wanted: dict, truth: dict, dtype) -> None:
    """Every result by name: integers alike, floats up to the rounding of `dtype`.

    `truth` is the reference's in float64: float32 inputs are rounded from the float64 ones, so the
    plain form's own error counts.
    """
    assert found.keys() == wanted.keys()
    for name, plain in wanted.items():
        fast = found[name]
        assert fast.shape == plain.shape, name
        assert fast.dtype == plain.dtype, name
        if plain.dtype.kind == "i":
            np.testing.assert_array_equal(fast, plain)
            continue
        assert np.all(np.isfinite(fast)), name
        largest = np.abs(plain).max(initial=1)
        bound = 256 * np.finfo(dtype).eps * largest
        if dtype == np.float32:
            bound += 8 * np.abs(plain - truth[name]).max(initial=0)
        assert np.abs(fast - plain).max(initial=0) <= bound, name
