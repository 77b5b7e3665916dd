"""reorder: small cases by hand, and the forms against each other on random rows."""

from __future__ import annotations

import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st

from pkef_fast.kernels.reorder import reference
from pkef_fast.kernels.rows import offsets

EACH = pytest.mark.parametrize("kernels", forms("reorder", "reference", "cpu"))


def rows_of(*rows):
    return offsets([len(row) for row in rows]), np.concatenate([*rows, []]).astype(np.int32)


@EACH
def test_candidates_come_first_and_others_keep_their_distances(kernels):
    base = np.array([[1, 4, -np.inf, 2], [3, 1, 2, 0], [np.nan, np.nan, np.inf, np.nan]])
    f = np.array([0.5, -1, 7], np.float32)
    scores = kernels.merge(base, *rows_of([1, 3], [], [0]), f)
    # The highest of the base, 4, moves to −2: 1 below the least f, −1.
    assert scores[0].tolist() == [-5, 0.5, -np.inf, -1]
    assert scores[1].tolist() == [3, 1, 2, 0]
    np.testing.assert_array_equal(scores[2], [7, np.nan, np.inf, np.nan])


@EACH
def test_ranks_ties_and_seen_candidates(kernels):
    f = np.array([1, 3, 1, 1, 2], np.float32)
    found, seen = rows_of([2, 4, 5, 7, 9], []), rows_of([4, 6], [0])
    rows, wanted = np.array([0, 0, 0, 0, 1], np.int32), np.array([2, 5, 9, 3, 3], np.int32)
    rank, tied, listed = kernels.ranks(*found, f, rows, wanted, *seen)
    assert rank.tolist() == [1, 2, 0, 4, 0]  # 4 is seen; 3 is none of them
    assert tied.tolist() == [2, 2, 0, 0, 0]
    assert listed.tolist() == [True, True, True, False, False]
    rank, tied, _ = kernels.ranks(*found, f, rows[:1], np.array([4], np.int32), *seen)
    assert (rank.tolist(), tied.tolist()) == ([0], [0])  # a seen one is ranked all the same


@EACH
def test_the_best_and_how_many_there_are(kernels):
    f = np.array([1, 3, 1, 1, 2], np.float32)
    found, seen = rows_of([2, 4, 5, 7, 9], []), rows_of([4, 6], [0])
    best, scores, sizes = kernels.top_k(*found, f, 3, *seen)
    assert best.tolist() == [[9, 2, 5], [-1, -1, -1]]
    assert scores.tolist() == [[2, 1, 1], [-np.inf] * 3]
    assert sizes.tolist() == [3, 0]


@pytest.mark.parametrize("kernels", forms("reorder", "cpu"))
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.sampled_from([0, 1, 5, 40]),
    n_items=st.sampled_from([1, 3, 60]),
    share=st.sampled_from([0.0, 0.2, 1.0]),
    k=st.sampled_from([0, 1, 7, 80]),
    dtype=st.sampled_from([np.float32, np.float64]),
    broken=st.booleans(),
)
def test_fast_forms_equal_numpy(kernels, seed, n_rows, n_items, share, k, dtype, broken):
    random = np.random.default_rng(seed)

    def some(share):
        rows, items = np.nonzero(random.random((n_rows, n_items)) < share)
        return offsets(np.bincount(rows, minlength=n_rows)), items.astype(np.int32)

    found, seen = some(share), some(0.3)
    f = random.integers(-3, 4, len(found[1])).astype(np.float32) / 8
    base = random.normal(size=(n_rows, n_items)).astype(dtype)
    if broken:
        base[random.random(base.shape) < 0.5] = random.choice([np.nan, np.inf, -np.inf])
    rows = random.integers(n_rows, size=30 if n_rows else 0).astype(np.int32)
    wanted = random.integers(n_items, size=len(rows)).astype(np.int32)
    calls = {
        "merge": (base, *found, f),
        "ranks": (*found, f, rows, wanted, *seen),
        "top_k": (*found, f, k, *seen),
        "unite": (*found, *seen),
    }
    for name, arguments in calls.items():
        one, other = (getattr(form, name)(*arguments) for form in (kernels, reference))
        one, other = ((x,) if name == "merge" else x for x in (one, other))
        for a, b in zip(one, other, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, err_msg=name)
