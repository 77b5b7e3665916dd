"""bench/scaling.py: one shop's interactions are a half of the other's, to the pair."""

from __future__ import annotations

from pkef_fast.data.patterns import keys_of
from scaling import shops


def test_one_shop_has_exactly_twice_the_others_interactions():
    counts = {"view": 300, "buy": 90}
    size = {"n_users": 50, "n_items": 40}
    single, double = shops(size, counts, {"degree": 40.0, "keep": 0.5, "unseen": 0.2})
    assert single.counts() == counts
    assert double.counts() == {name: 2 * count for name, count in counts.items()}
    for few, many in zip(single.interactions, double.interactions, strict=True):
        assert set(keys_of(few, 40)) < set(keys_of(many, 40))
    assert (single.n_users, single.n_items) == (double.n_users, double.n_items) == (50, 40)
