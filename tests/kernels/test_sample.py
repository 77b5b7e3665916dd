"""sample: published Philox vectors, what may be drawn, evenness, and all forms equal."""

from __future__ import annotations

import numpy as np
import pytest
from forms import forms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from pkef_fast.kernels.sample import EPOCH_STREAM, reference

FORMS = pytest.mark.parametrize("kernels", forms("sample"))
FAST = pytest.mark.parametrize("kernels", forms("sample", "cpu", "emulator", "gpu"))
ONES = 0xFFFFFFFF


def csr(rows):
    """(indptr, indices) of a list of rising item lists."""
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int32)
    return indptr, np.concatenate([np.zeros(0), *rows]).astype(np.int32)


@st.composite
def mixes(draw, n_items=40):
    """None, or a mix with popular and batch negatives; items of popularity 0 among them."""
    popular = draw(st.sampled_from([0, 0.3, 1]))
    batch = draw(st.sampled_from([0, 1 - popular]))
    counts = draw(st.lists(st.integers(0, 9), min_size=n_items, max_size=n_items))
    return lambda n: reference.mix_of(np.array(counts[:n]), 0.75, popular, batch)


def problem(seed, n_users, n_items, samples):
    """Rows of every degree from none to all items, and their caps."""
    rng = np.random.default_rng(seed)
    degrees = rng.integers(0, n_items + 1, n_users)
    degrees[rng.random(n_users) < 0.2] = 0
    degrees[rng.random(n_users) < 0.2] = n_items
    rows = [np.sort(rng.choice(n_items, degree, replace=False)) for degree in degrees]
    degrees = degrees.astype(np.int32)
    caps = reference.draw_caps(samples, degrees[None], degrees, n_items)
    users = rng.integers(0, n_users, rng.integers(0, 2 * n_users)).astype(np.int32)
    return rows, caps, users


@FORMS
@pytest.mark.parametrize(
    "counter, key, words",
    [  # known-answer vectors of the Random123 distribution
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([ONES] * 4, [ONES] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_philox_gives_the_published_words(kernels, counter, key, words):
    found = kernels.philox4x32(np.array([counter], np.uint32), np.array(key, np.uint32))
    assert found.dtype == np.uint32
    assert found.tolist() == [words]


@FORMS
def test_philox_of_no_counter(kernels):
    assert kernels.philox4x32(np.zeros((0, 4), np.uint32), np.zeros(2, np.uint32)).shape == (0, 4)


@FAST
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    step=st.integers(0, 2**32 - 1),
    term=st.integers(0, EPOCH_STREAM - 1),
    n_users=st.integers(1, 30),
    n_items=st.integers(1, 40),
    samples=st.integers(0, 45),
    negatives=st.integers(1, 3),
    mix=mixes(),
)
def test_draws_are_valid_and_the_same_in_all_forms(
    kernels, seed, step, term, n_users, n_items, samples, negatives, mix
):
    rows, caps, users = problem(seed, n_users, n_items, samples)
    arguments = (*csr(rows), n_items, caps, users, seed, step, term, negatives, mix(n_items))
    drawn = reference.draw(*arguments)
    for found, wanted in zip(kernels.draw(*arguments), drawn, strict=True):
        assert found.dtype == wanted.dtype == np.int32
        assert found.tolist() == wanted.tolist()
    assert drawn[0].tolist() == np.repeat(users, caps[users]).tolist()
    n = len(drawn[0])
    assert drawn[2].shape == (negatives * n,)
    for i, negative in enumerate(drawn[2]):
        user, positive = drawn[0][i % n], drawn[1][i % n]
        assert positive in rows[user]
        assert negative not in rows[user]
        assert 0 <= negative < n_items


@FORMS
def test_a_users_draws_do_not_depend_on_the_batch(kernels):
    rows, caps, _ = problem(3, 20, 50, 10)
    everybody = np.arange(20, dtype=np.int32)
    together = np.stack(kernels.draw(*csr(rows), 50, caps, everybody, 1, 2, 3), axis=1)
    for user in everybody:
        alone = np.stack(kernels.draw(*csr(rows), 50, caps, user[None], 1, 2, 3), axis=1)
        assert alone.tolist() == together[together[:, 0] == user].tolist()


@FORMS
@pytest.mark.parametrize("changed", ["seed", "step", "term"])
def test_seed_step_and_term_change_the_draws(kernels, changed):
    rows = [np.arange(0, 1000, 2)]
    users, caps = np.zeros(1, np.int32), np.array([30], np.int32)
    at = {"seed": 5, "step": 6, "term": 7}
    first = kernels.draw(*csr(rows), 1000, caps, users, **at)
    second = kernels.draw(*csr(rows), 1000, caps, users, **{**at, changed: at[changed] + 1})
    for one, other in zip(first[1:], second[1:], strict=True):
        assert np.mean(one == other) < 0.2


@FORMS
def test_high_words_of_the_seed_matter(kernels):
    low = kernels.epoch_users(100, 100, 1, 0)
    assert low.tolist() != kernels.epoch_users(100, 100, 1 + 2**32, 0).tolist()


@FORMS
def test_draws_are_even(kernels):
    """Chi-square over positives, negatives and their pairs, for one fixed seed."""
    row = np.array([0, 1, 5, 6, 7, 12, 19])
    users, caps = np.zeros(1, np.int32), np.array([20_000], np.int32)
    _, positives, negatives = kernels.draw(*csr([row]), 20, caps, users, 11, 0, 0)
    outside = np.setdiff1d(np.arange(20), row)
    for items, drawn in ((row, positives), (outside, negatives)):
        counts = np.bincount(drawn, minlength=20)[items]
        assert counts.sum() == len(drawn)
        assert chisquare(counts).pvalue > 0.01
    pairs = np.searchsorted(row, positives) * len(outside) + np.searchsorted(outside, negatives)
    assert chisquare(np.bincount(pairs, minlength=len(row) * len(outside))).pvalue > 0.01


@FORMS
def test_more_negatives_leave_the_first_ones_and_the_positives(kernels):
    rows, caps, users = problem(3, 20, 50, 10)
    one = kernels.draw(*csr(rows), 50, caps, users, 1, 2, 3)
    three = kernels.draw(*csr(rows), 50, caps, users, 1, 2, 3, 3)
    n = len(one[0])
    assert [part[:n].tolist() for part in three] == [part.tolist() for part in one]
    second, third = three[2][n : 2 * n], three[2][2 * n :]
    assert np.mean(second == one[2]) < 0.2 and np.mean(second == third) < 0.2


@FORMS
def test_popular_negatives_go_by_popularity_and_batch_negatives_by_the_batch(kernels):
    """Chi-square over all items outside the row, for one fixed seed; those in it are even."""
    row, counts = np.array([0, 3]), np.array([50, 0, 1, 9, 4, 16, 25, 36])
    users, caps = np.zeros(1, np.int32), np.array([40_000], np.int32)
    outside = np.setdiff1d(np.arange(8), row)
    mix = kernels.mix_of(counts, 0.5, 0.75, 0)
    _, _, negatives = kernels.draw(*csr([row]), 8, caps, users, 11, 0, 0, 1, mix)
    chances = np.sqrt(counts) / np.sqrt(counts).sum()
    even = 0.25 + 0.75 * chances[row].sum()
    wanted = (0.75 * chances[outside] + even / len(outside)) * len(negatives)
    assert chisquare(np.bincount(negatives, minlength=8)[outside], wanted).pvalue > 0.01

    rows = [np.array([0]), np.array([1]), np.array([1, 2]), np.zeros(0)]
    caps, users = np.array([20_000, 1, 2, 0], np.int32), np.arange(4, dtype=np.int32)
    mix = kernels.mix_of(np.ones(5), 1, 0, 1)
    drawn, positives, negatives = kernels.draw(*csr(rows), 5, caps, users, 3, 0, 0, 1, mix)
    others = positives[drawn == 2]  # this user's two positives, and item 1 of user 1
    wanted = np.full(5, 0.5 / 4) + np.bincount(np.append(others, [1, 1]), minlength=5) / 8
    found = np.bincount(negatives[drawn == 0], minlength=5)
    assert found[0] == 0
    assert chisquare(found[1:], wanted[1:] * 20_000).pvalue > 0.01


@pytest.mark.parametrize("shares", [(-0.1, 0), (0.6, 0.6), (0, 1.1)])
def test_shares_are_parts_of_a_whole(shares):
    with pytest.raises(ValueError, match="are not two parts of a whole"):
        reference.mix_of(np.ones(3), 1, *shares)
    assert reference.mix_of(np.ones(3), 1, 0, 0) is None


@FORMS
def test_one_item_left_is_always_the_negative(kernels):
    for left in range(5):
        row = np.setdiff1d(np.arange(5), left)
        caps = np.array([8], np.int32)
        _, _, negatives = kernels.draw(*csr([row]), 5, caps, np.zeros(1, np.int32), 0, 0, left)
        assert negatives.tolist() == [left] * 8


@FORMS
def test_nothing_to_draw(kernels):
    """A user without positives, one with all items, one with a cap of 0; and no user at all."""
    rows = [np.zeros(0), np.arange(6), np.array([2])]
    indptr, indices = csr(rows)
    degrees = np.diff(indptr)
    caps = kernels.draw_caps(40, np.stack([degrees, [3, 3, 0]]), degrees, 6)
    assert caps.tolist() == [0, 0, 0]
    for users in (np.arange(3, dtype=np.int32), np.zeros(0, np.int32)):
        drawn = kernels.draw(indptr, indices, 6, caps, users, 0, 0, 0)
        assert [len(part) for part in drawn] == [0, 0, 0]


@FORMS
@pytest.mark.parametrize("users", [[], [2], [4, 0, 3, 1], [1, 1], list(range(5)) * 130])
def test_positives_are_all_that_the_users_have(kernels, users):
    """In the users' order; more users than a block has threads, some of them without any."""
    rows = [[0, 3, 4], [], [1], [2, 5], []]
    indptr, indices = csr(rows)
    wanted = [(user, item) for user in users for item in rows[user]]
    users, n = np.array(users, np.int32), len(wanted)
    for capacity in (None, n, n + 7):
        found = kernels.positives(indptr, indices, users, capacity)
        for part, number in zip(found, (0, 1), strict=True):
            assert part.dtype == np.int32
            np.testing.assert_array_equal(part[:n], [one[number] for one in wanted])
            np.testing.assert_array_equal(part[n:], -1)
            assert len(part) == (n if capacity is None else capacity)


@pytest.mark.parametrize("kernels", forms("sample", "reference", "cpu"))
def test_a_capacity_must_hold_all_positives(kernels):
    with pytest.raises(ValueError, match="a batch of 2 positives exceeds the capacity of 1"):
        kernels.positives(*csr([[0, 3]]), np.array([0], np.int32), 1)


def test_caps_are_the_least_of_all_limits():
    degrees = np.array([[50, 50, 9, 50, 0], [50, 7, 50, 50, 9]], np.int32)
    set_degree = np.array([60, 60, 60, 3, 60], np.int32)
    assert reference.draw_caps(40, degrees, set_degree, 100).tolist() == [40, 7, 9, 3, 0]
    assert reference.draw_caps(40, degrees, set_degree, 60).tolist() == [0, 0, 0, 3, 0]
    assert reference.draw_caps(40, degrees[:0], set_degree, 100).tolist() == [40, 40, 40, 3, 40]
    assert reference.draw_caps(40, degrees, set_degree, 100).dtype == np.int32


@FORMS
def test_a_term_may_not_use_the_stream_of_the_epochs(kernels):
    rows, caps, users = problem(0, 4, 5, 3)
    with pytest.raises(ValueError, match="term"):
        kernels.draw(*csr(rows), 5, caps, users, 0, 0, EPOCH_STREAM)


@FORMS
def test_a_seed_must_fit_the_key(kernels):
    with pytest.raises(ValueError, match="seed"):
        kernels.epoch_users(3, 3, -1, 0)


@FAST
@settings(max_examples=30, deadline=None)
@given(
    n_users=st.integers(0, 300),
    take=st.integers(0, 400),
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 2**32 - 1),
)
def test_epoch_users_are_the_start_of_a_permutation(kernels, n_users, take, seed, epoch):
    users = reference.epoch_users(n_users, take, seed, epoch)
    found = kernels.epoch_users(n_users, take, seed, epoch)
    assert found.dtype == users.dtype == np.int32
    assert found.tolist() == users.tolist()
    whole = reference.epoch_users(n_users, n_users, seed, epoch)
    assert sorted(whole.tolist()) == list(range(n_users))
    assert users.tolist() == whole[:take].tolist()


@FORMS
def test_epochs_and_seeds_differ(kernels):
    orders = [kernels.epoch_users(500, 500, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    for n, one in enumerate(orders):
        for other in orders[:n]:
            assert np.mean(one == other) < 0.05


@FORMS
def test_every_user_is_taken_as_often(kernels):
    """200 epochs of 50 of 100 users: the counts' variance is that of independent halves."""
    taken = [kernels.epoch_users(100, 50, 9, epoch) for epoch in range(200)]
    counts = np.bincount(np.concatenate(taken), minlength=100)
    assert counts.sum() == 200 * 50
    # Expected variance 200·¼; the standard error of a variance of 100 numbers is 14 %.
    assert 0.5 < counts.var() / 50 < 1.5


@pytest.mark.parametrize("kernels", forms("sample", "emulator", "gpu"))
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    step=st.integers(0, 2**32 - 1),
    n_users=st.integers(1, 30),
    n_items=st.integers(1, 40),
    samples=st.integers(1, 45),
    negatives=st.integers(1, 3),
    mix=mixes(),
)
def test_slots_hold_the_same_draws(kernels, seed, step, n_users, n_items, samples, negatives, mix):
    """Each user's draws in a row of slots, as nodes; −1 where there are fewer."""
    rows, caps, users = problem(seed, n_users, n_items, samples)
    clock = np.array([0, step], np.uint32)
    pattern = csr(rows)
    how = (negatives, mix(n_items))
    left, right, count = kernels.draw_slots(
        *pattern, n_items, caps, users, seed, clock, 5, samples, *how
    )
    parts = 1 + negatives
    assert left.shape == right.shape == (parts * len(users) * samples,)
    drawn, *items = reference.draw(*pattern, n_items, caps, users, seed, step, 5, *how)
    assert int(count) == len(drawn)
    there = (np.arange(samples) < caps[users][:, None]).reshape(-1)
    wanted = [items[0], *np.split(items[1], negatives)]
    for part, ends in zip(np.split(right, parts), wanted, strict=True):
        assert part[there].tolist() == (ends + n_users).tolist()
        assert np.all(part[~there] == -1)
    for part in np.split(left, parts):
        assert part[there].tolist() == drawn.tolist()
        assert np.all(part[~there] == -1)


@pytest.mark.parametrize("kernels", forms("sample", "emulator", "gpu"))
def test_the_clock_takes_users_and_keeps_a_log(kernels):
    epoch, clock = np.arange(100, 123, dtype=np.int32), np.array([0, 70], np.uint32)
    log = np.zeros((4, 20))
    for index in range(3):
        users = np.zeros(7 if index < 2 else 5, np.int32)
        kernels.take_users(epoch, clock, 7, users)
        assert users.tolist() == epoch[7 * index : 7 * index + len(users)].tolist()
        values = [np.array(index + 0.01 * i) for i in range(20)]  # more than go in one launch
        kernels.record(values, clock, log)
        kernels.advance(clock)
        assert clock.tolist() == [index + 1, index + 71]
    np.testing.assert_array_equal(log[:3], np.arange(3)[:, None] + 0.01 * np.arange(20))
    assert np.all(log[3] == 0)
