"""Random streams by name: equal names give equal numbers, all others have nothing in common."""

from __future__ import annotations

import doctest
from itertools import combinations

import numpy as np

from pkef_fast.config import streams
from pkef_fast.config.streams import stream

KEYS = [
    *[(seed, "left-out pair") for seed in (0, 1, 2**63 - 1, -1)],
    *[(seed, "left-out visibility", n) for seed in (0, 1) for n in (0, 1, 3)],
    (0, "left-out visibility"),
    (0, "left-out visibility", 0, 0),
    (0, "left-out visibility, 0"),
    (0, "re-ranker: weights"),
    (3, "x", 1),
    (1, "x", 3),
    (31, "x"),
    (3, "x", 11),
    (3, "x", 1, 1),
]


def test_equal_names_give_equal_numbers():
    for key in KEYS:
        one, again = (stream(*key).integers(2**63, size=5) for _ in range(2))
        np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(
        stream(np.int64(3), "x", np.int32(1)).random(3), stream(3, "x", 1).random(3)
    )


def test_no_two_names_share_a_number():
    found = {key: stream(*key).integers(2**63, size=1000).tolist() for key in KEYS}
    for one, other in combinations(KEYS, 2):
        assert not set(found[one]) & set(found[other]), (one, other)


def test_numbers_stay_as_they_are():
    """Validation items of a run must be found again by later versions."""
    assert stream(20, "left-out pair").integers(1000, size=4).tolist() == [229, 236, 113, 160]


def test_the_examples_run():
    found = doctest.testmod(streams)
    assert found.attempted > 2
    assert found.failed == 0
