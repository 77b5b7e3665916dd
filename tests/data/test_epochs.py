"""Units of times, and times as whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkef_fast.data.epochs import EARLIEST, LATEST, LIMIT, UNITS, parts_of, unit_of, whole


@given(
    st.lists(st.integers(EARLIEST, LATEST - 1), min_size=2, max_size=5), st.sampled_from([*UNITS])
)
def test_the_unit_of_times_of_our_days(seconds, unit):
    values = np.array(seconds, np.int64) * UNITS[unit]
    wanted = unit if len(set(seconds)) > 1 else None
    assert unit_of(values) == wanted
    assert unit_of(np.append(values, 0)) is None


@pytest.mark.parametrize(
    ("values", "unit"),
    [([EARLIEST, LATEST - 1], "seconds"), ([EARLIEST - 1, LATEST - 1], None),
     ([EARLIEST, LATEST], None), ([EARLIEST + 0.5, LATEST - 1], None)],
)  # fmt: skip
def test_the_ends_of_our_days(values, unit):
    assert unit_of(np.array(values)) == unit


def test_whole_times():
    assert whole(np.array([3, 2**40], np.uint64), 1).tolist() == [3, 2**40]
    assert whole(np.array([1.25, 2.0]), 10**6).tolist() == [1_250_000, 2_000_000]
    assert whole(np.array([0.6, 1e300, np.inf, -np.inf]), 1).tolist() == [1, LIMIT, LIMIT, -LIMIT]
    assert whole(np.array([1.0]), 1).dtype == np.int64


def test_parts():
    assert parts_of(np.array([3, 4])) == parts_of(np.array([3.0, 4.0])) == 1
    assert parts_of(np.array([3.0, 4.5])) == 10**6
