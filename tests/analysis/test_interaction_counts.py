"""Figure 1 of a shop counted by hand, and of the public Taobao files."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from shops import csr_of, dataset

from pkef_fast import InputError, load_dataset
from pkef_fast.analysis.interaction_counts import BINS, COUNTS, SUMMARY, counts, summary
from pkef_fast.data import generate


def test_users_are_counted_by_their_interactions():
    found = counts(dataset(), (0, 1, 2, math.inf))  # views 2, 2, 1; carts 1, 1, 0; buys 1, 2, 1
    assert found.columns == COUNTS
    ends = [(0, 1), (1, 2), (2, math.inf)]
    users = {"view": (0, 1, 2), "cart": (1, 2, 0), "buy": (0, 2, 1)}
    assert found.rows == [
        (name, *end, n) for name, row in users.items() for end, n in zip(ends, row, strict=True)
    ]


def test_bins_hold_their_lower_ends():
    data = generate(n_users=60, n_items=50, seed=2)
    found = counts(data)
    for behavior, csr in zip(data.behaviors, data.interactions, strict=True):
        row = [one["users"] for one in found.records() if one["behavior"] == behavior]
        degrees = np.diff(csr.indptr)
        pairs = pairwise(BINS)
        assert row == [sum(1 for n in degrees if low <= n < high) for low, high in pairs]
        assert sum(row) == data.n_users


def test_what_no_bin_holds_is_not_counted():
    rows = counts(dataset(), (1, 2)).rows
    assert [row[-1] for row in rows] == [1, 2, 2]


@pytest.mark.parametrize("bins", [(), (0,), (0, 1, 1), (5, 1)])
def test_bins_must_rise(bins):
    with pytest.raises(InputError, match="wanted at least two numbers that rise"):
        counts(dataset(), bins)


def test_the_summary_is_that_of_the_counts():
    found = summary(dataset())
    assert found.columns == SUMMARY
    assert found.rows[0] == ("view", 5, 5 / 3, 2.0, 2.0, 2.0, 2, 5 / 11)
    (buy,) = (one for one in found.records() if one["behavior"] == "buy")
    assert (buy["p90"], buy["p99"]) == (pytest.approx(1.8), pytest.approx(1.98))
    assert sum(found.column("share")) == pytest.approx(1)


def test_an_empty_shop_has_no_figures():
    nobody = dataset(
        n_users=0,
        interactions=tuple(csr_of(np.zeros((0, 4))) for _ in range(3)),
        test_users=np.zeros(0, np.int32),
        test_items=np.zeros(0, np.int32),
    )
    assert summary(nobody).rows[0] == ("view", 0, *[None] * 6)
    assert set(counts(nobody).column("users")) == {0}


def test_taobao(real_data):
    """Figures of the public files."""
    data = load_dataset("taobao", real_data)
    found = counts(data)
    users = {
        name: [one["users"] for one in found.records() if one["behavior"] == name]
        for name in data.behaviors
    }
    assert users == {
        "pv": [0, 191, 584, 1450, 5983, 5341, 1714, 182, 4],
        "cart": [0, 3661, 4993, 4051, 2422, 284, 36, 2, 0],
        "buy": [0, 4632, 8758, 1905, 151, 3, 0, 0, 0],
    }
    whole = summary(data)
    assert whole.column("mean") == pytest.approx([56.57, 12.65, 5.97], abs=5e-3)
    assert whole.column("median") == [47, 8, 5]
