"""Leave-one-out against a plain statement of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pkef_fast.data import split

EVENTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 6)), max_size=25)


def events(rows, timed=True) -> split.Events:
    users, items, times = np.array(rows, np.int64).reshape(-1, 3).T
    return split.Events(users, items, times if timed else None)


@given(EVENTS)
def test_each_pair_once_with_its_earliest_time(rows):
    earliest = {}
    for place, (user, item, time) in enumerate(rows):
        earliest[user, item] = min(earliest.get((user, item), (time, place)), (time, place))
    wanted = sorted(((when, pair) for pair, when in earliest.items()))
    found = split.distinct(events(rows))
    assert list(zip(found.users, found.items, strict=True)) == [pair for _, pair in wanted]
    assert found.time.tolist() == [when[0] for when, _ in wanted]


@given(EVENTS)
def test_without_times_the_order_is_that_of_the_rows(rows):
    found = split.distinct(events(rows, timed=False))
    pairs = list(dict.fromkeys((user, item) for user, item, _ in rows))
    assert list(zip(found.users, found.items, strict=True)) == pairs
    assert found.time is None


def check(found, held_out):
    """One place of each user with two or more, and of no other."""
    counts = np.bincount(found.users, minlength=5)
    assert sorted(found.users[held_out]) == np.flatnonzero(counts >= 2).tolist()


@given(EVENTS)
def test_the_latest_is_the_last_in_the_order_of_time(rows):
    found = split.distinct(events(rows))
    held_out = split.latest(found)
    check(found, held_out)
    for place in held_out:
        assert place == np.flatnonzero(found.users == found.users[place])[-1]


@given(EVENTS, st.integers(0, 3), st.randoms())
def test_a_random_one_does_not_depend_on_the_order(rows, seed, shuffler):
    found = split.distinct(events(rows, timed=False))
    held_out = split.random(found, seed)
    check(found, held_out)
    order = list(range(len(found.users)))
    shuffler.shuffle(order)
    other = split.Events(found.users[order], found.items[order], None)
    again = split.random(other, seed)
    pairs = [set(zip(e.users[at].tolist(), e.items[at].tolist(), strict=True))
             for e, at in ((found, held_out), (other, again))]  # fmt: skip
    assert pairs[0] == pairs[1]


def test_every_one_of_a_users_pairs_may_be_the_random_one():
    found = events([(0, item, 0) for item in range(4)])
    drawn = {int(found.items[split.random(found, seed)[0]]) for seed in range(60)}
    assert drawn == {0, 1, 2, 3}
