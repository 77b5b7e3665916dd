"""select: against sorts."""

from __future__ import annotations

import numpy as np

from pkef_fast.kernels.select import at_least, nth_largest


def test_the_nth_largest_is_that_of_a_sort():
    random = np.random.default_rng(0)
    for size in (1, 2, 7, 100):
        for values in (random.normal(size=size), random.integers(3, size=size) + 0.0):
            for n in range(1, size + 1):
                assert nth_largest(values.copy(), size, n) == np.sort(values)[-n]


def test_as_high_as_a_number():
    values = np.array([1, 3, 2, 3, np.nan], np.float32)
    found = [at_least(values, np.float32(least)) for least in (0, 2, 3, 4)]
    assert found == [4, 3, 2, 0]
