"""The validation split: what is held out, what is left, and that test items have no say."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pytest

from pkef_fast.data import generate
from pkef_fast.data.patterns import contains, keys_of
from pkef_fast.errors import InputError
from pkef_fast.holdout import validation
from pkef_fast.holdout.validation import validation_split


@pytest.fixture(scope="module")
def data():
    return generate(n_users=1500, n_items=120, seed=3)


def keys(csr, data):
    return set(keys_of(csr, data.n_items).tolist())


def held_out(found):
    pairs = found.test_users.astype(np.int64) * found.n_items + found.test_items
    return set(pairs.tolist())


def test_one_target_item_of_each_user_with_three_is_held_out(data):
    found = validation_split(data, 5)
    degrees = np.diff(data.interactions[-1].indptr)
    np.testing.assert_array_equal(found.test_users, np.flatnonzero(degrees >= 3))
    assert found.test_users.dtype == found.test_items.dtype == np.int32
    target = keys(data.interactions[-1], data)
    assert held_out(found) <= target
    assert keys(found.interactions[-1], data) == target - held_out(found)
    for before, after in zip(data.interactions[:-1], found.interactions[:-1], strict=True):
        assert keys(before, data) == keys(after, data)
    assert (found.n_users, found.n_items, found.behaviors) == (1500, 120, data.behaviors)


def test_the_original_is_left_as_it_is(data):
    before = data.fingerprint()
    validation_split(data, 1, visible=0)
    assert data.fingerprint() == before


def test_the_held_out_items_are_drawn_evenly_and_by_the_seed(data):
    places = []
    for seed in range(8):
        found = validation_split(data, seed)
        indptr, indices = data.interactions[-1]
        for user, item in zip(found.test_users, found.test_items, strict=True):
            row = indices[indptr[user] : indptr[user + 1]]
            places.append(np.searchsorted(row, item) / (len(row) - 1))
    assert np.mean(places) == pytest.approx(0.5, abs=0.02)
    one, again, other = (validation_split(data, seed) for seed in (7, 7, 8))
    assert one.fingerprint() == again.fingerprint() != other.fingerprint()


def test_a_share_of_the_held_out_items_stays_visible(data):
    behaviors = range(len(data.behaviors) - 1)
    everywhere = validation_split(data, 2, visible=0)
    for k in behaviors:
        csr = everywhere.interactions[k]
        assert not contains(csr, everywhere.test_users, everywhere.test_items, data.n_items).any()
    half, all_visible = (validation_split(data, 2, visible=share) for share in (0.5, 1))
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
    found = {validation_split(one, 4).fingerprint() for one in (data, others, none)}
    assert len(found) == 1


def test_what_cannot_be_split_is_refused_in_a_sentence(data):
    with pytest.raises(InputError, match=r"visible cannot be 1\.5; wanted a share"):
        validation_split(data, visible=1.5)
    with pytest.raises(InputError, match="least cannot be 1"):
        validation_split(data, least=1)
    with pytest.raises(InputError, match=r"no user with 1000 or more train 'buy' items"):
        validation_split(data, least=1000)


def test_the_example_runs():
    assert doctest.testmod(validation).failed == 0
