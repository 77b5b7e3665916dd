"""The validation split: what is held out, what is left, and that test items have no say."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pytest

from pkef_fast.data import generate
from pkef_fast.data.patterns import contains, keys_of
from pkef_fast.errors import InputError
from pkef_fast.holdout import selection, validation
from pkef_fast.holdout.left_out import leave_out
from pkef_fast.holdout.selection import Selection, items_of, selection_items
from pkef_fast.holdout.validation import validation_items, validation_split


@pytest.fixture(scope="module")
def data():
    return generate(n_users=1500, n_items=120, seed=3)


def split(data, seed, share=1.0):
    return validation_split(data, validation_items(data, share, seed))


def keys(csr, data):
    return set(keys_of(csr, data.n_items).tolist())


def held_out(found):
    pairs = found.test_users.astype(np.int64) * found.n_items + found.test_items
    return set(pairs.tolist())


def test_one_target_item_of_each_user_with_three_is_held_out(data):
    found = split(data, 5)
    degrees = np.diff(data.interactions[-1].indptr)
    np.testing.assert_array_equal(found.test_users, np.flatnonzero(degrees >= 3))
    assert found.test_users.dtype == found.test_items.dtype == np.int32
    target = keys(data.interactions[-1], data)
    assert held_out(found) <= target
    assert keys(found.interactions[-1], data) == target - held_out(found)
    for before, after in zip(data.interactions[:-1], found.interactions[:-1], strict=True):
        assert keys(before, data) == keys(after, data)
    assert (found.n_users, found.n_items, found.behaviors) == (1500, 120, data.behaviors)
    assert found.source == {}


def test_the_original_is_left_as_it_is(data):
    before = data.fingerprint()
    split(data, 1, share=0)
    assert data.fingerprint() == before


def test_the_held_out_items_are_drawn_evenly_and_by_the_seed(data):
    places = []
    for seed in range(8):
        found = split(data, seed)
        indptr, indices = data.interactions[-1]
        for user, item in zip(found.test_users, found.test_items, strict=True):
            row = indices[indptr[user] : indptr[user + 1]]
            places.append(np.searchsorted(row, item) / (len(row) - 1))
    assert np.mean(places) == pytest.approx(0.5, abs=0.02)
    one, again, other = (split(data, seed) for seed in (7, 7, 8))
    assert one.fingerprint() == again.fingerprint() != other.fingerprint()


def test_the_latest_item_is_held_out_unless_the_data_was_split_at_random(data):
    random = np.random.default_rng(0)
    times = tuple(random.permutation(len(csr.indices)) for csr in data.interactions)
    timed = replace(data, times=times)
    target = data.interactions[-1]
    for seed in (1, 2):
        found = split(timed, seed)
        for user, item in zip(found.test_users, found.test_items, strict=True):
            row = slice(target.indptr[user], target.indptr[user + 1])
            assert item == target.indices[row][np.argmax(times[-1][row])]
    at_random = replace(timed, split="random")
    np.testing.assert_array_equal(split(at_random, 1).test_items, split(data, 1).test_items)


def test_it_is_what_everybody_leaves_out(data):
    """The re-ranker's first round, with as many interactions wanted of a user."""
    held = validation_items(data, 0.4, 6)
    first, other = leave_out(data, 0.4, 3, 6, rounds=2)
    assert held.digest() == first.digest() != other.digest()


def test_a_share_of_the_held_out_items_stays_visible(data):
    behaviors = range(len(data.behaviors) - 1)
    everywhere = split(data, 2, share=0)
    for k in behaviors:
        csr = everywhere.interactions[k]
        assert not contains(csr, everywhere.test_users, everywhere.test_items, data.n_items).any()
    half, all_visible = (split(data, 2, share=share) for share in (0.5, 1))
    np.testing.assert_array_equal(half.test_items, all_visible.test_items)
    seen = [
        np.mean(contains(one.interactions[0], one.test_users, one.test_items, data.n_items))
        for one in (half, all_visible)
    ]
    assert seen[0] == pytest.approx(seen[1] / 2, abs=0.06)


def test_the_test_items_change_nothing(data):
    others = replace(
        data, test_items=data.test_items[::-1].copy(), test_users=data.test_users.copy()
    )
    none = replace(data, test_items=data.test_items[:0], test_users=data.test_users[:0])
    found = {split(one, 4).fingerprint() for one in (data, others, none)}
    assert len(found) == 1


def test_what_cannot_be_split_is_refused_in_a_sentence(data):
    for share in (1.5, -0.1, float("nan")):
        with pytest.raises(InputError, match=r"visible cannot be .*; wanted 0 to 1"):
            validation_items(data, share, 0)
    few = generate(n_users=40, n_items=30, seed=0, degree=1.0)
    (pairs,) = leave_out(few, 1.0, 1, 0)
    with pytest.raises(InputError, match=r"no user of data set .* has 3 train 'buy' interactions"):
        validation_items(validation_split(few, pairs), 1.0, 0)


def test_a_choice_on_other_items_is_refused(data):
    share, held = selection_items(data, 0.5)
    chosen = Selection(share, len(held.users), 3, {}, items=held.digest())
    assert items_of(chosen, data).digest() == held.digest()
    for changed in (replace(chosen, items=""), replace(chosen, share=0.4)):  # an older version's
        with pytest.raises(InputError, match=r"chosen on other validation items.*train anew"):
            items_of(changed, data)
    assert selection.SEED not in range(10)  # the seeds that users take for a model


def test_the_example_runs():
    found = doctest.testmod(validation)
    assert found.attempted > 2
    assert found.failed == 0
