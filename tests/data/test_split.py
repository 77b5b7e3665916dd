"""Leave-one-out against a plain statement of it."""

from __future__ import annotations

from collections import Counter

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
    for user, item, time in rows:
        earliest[user, item] = min(earliest.get((user, item), time), time)
    for timed in (True, False):
        found = split.distinct(events(rows, timed), 6)
        assert list(zip(found.users, found.items, strict=True)) == sorted(earliest)
        if timed:
            assert found.time.tolist() == [earliest[pair] for pair in sorted(earliest)]
        else:
            assert found.time is None


def check(found, held_out):
    """One place of each user with two or more, and of no other."""
    counts = np.bincount(found.users, minlength=5)
    assert sorted(found.users[held_out]) == np.flatnonzero(counts >= 2).tolist()


@given(EVENTS, st.integers(0, 3))
def test_the_latest_has_no_later_one(rows, seed):
    found = split.distinct(events(rows), 6)
    held_out, ties = split.latest(found, seed)
    check(found, held_out)
    tied = 0
    for place in held_out:
        own = found.time[found.users == found.users[place]]
        assert found.time[place] == own.max()
        tied += np.count_nonzero(own == own.max()) > 1
    assert ties == tied


@given(EVENTS, st.integers(1, 3))
def test_a_core_is_the_largest_set_with_enough_pairs(rows, least):
    found = split.distinct(events(rows, timed=False), 6)
    users, items = split.core(found.users, found.items, least, 5, 6)
    left = set(zip(found.users.tolist(), found.items.tolist(), strict=True))
    while True:
        of_users = Counter(u for u, _ in left)
        of_items = Counter(i for _, i in left)
        ok = {(u, i) for u, i in left if min(of_users[u], of_items[i]) >= least}
        if ok == left:
            break
        left = ok
    assert set(np.flatnonzero(users)) == {u for u, _ in left}
    assert set(np.flatnonzero(items)) == {i for _, i in left}


@given(EVENTS, st.integers(0, 3), st.randoms())
def test_a_random_one_does_not_depend_on_the_order(rows, seed, shuffler):
    found = split.distinct(events(rows, timed=False), 6)
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
