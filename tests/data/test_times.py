"""Times of interactions: read where a data set has them, and in step with the pairs ever after."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from pkef_fast import InputError, Recommender, load_dataset
from pkef_fast.data import Csr, generate, save_native, summary
from pkef_fast.data.epochs import unit_of
from pkef_fast.data.patterns import row_of_each
from pkef_fast.holdout.left_out import leave_out, without_left_out
from pkef_fast.holdout.validation import validation_items, validation_split
from pkef_fast.holdout.visibility import visibility_of

START = 1_400_000_000  # 2014, in seconds since 1970


def time_of(users, items):
    """A time that tells its pair: whatever was moved or dropped, it must still fit."""
    return START + 1000 * np.asarray(users, np.int64) + np.asarray(items)


def timed(data, only=None):
    """The data set with times that tell their pairs, of some behaviours or all."""
    times = tuple(
        time_of(row_of_each(csr), csr.indices) if only is None or name in only else None
        for name, csr in zip(data.behaviors, data.interactions, strict=True)
    )
    return replace(data, times=times)


def assert_in_step(data):
    for csr, times in zip(data.interactions, data.times, strict=True):
        assert times.dtype == np.int64
        assert np.array_equal(times, time_of(row_of_each(csr), csr.indices))


@pytest.fixture
def shop():
    return timed(generate(n_users=40, n_items=30, seed=1))


# ---- what is a time -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([1433222501, 1433222323], "seconds"),
        ([1433222501.0, 1433222323.0], "seconds"),
        ([1433222501000, 1433222323000], "milliseconds"),
        ([1433222501 * 10**6, 1433222323 * 10**6], "microseconds"),
        ([1433222501 * 10**9, 1433222323 * 10**9], "nanoseconds"),
        ([1433222501, 1433222501], None),  # one value says nothing
        ([1433222501, 3], None),
        ([1433222501.5, 1433222323.0], None),
        ([1, 1, 1], None),
        ([3, 1, 250], None),
        ([20151231, 20151101], None),
        ([1433222501, 1433222323000], None),
        ([0.5, 4.0], None),
        ([True, True], None),
        ([], None),
    ],
)
def test_numbers_are_times_only_if_all_are_of_our_days(values, unit):
    assert unit_of(np.array(values)) == unit


# ---- readers ------------------------------------------------------------------------------------


def matrices(folder, values, test=((0,), (3,))):
    """A folder of matrices 3 × 4; `values` maps a behaviour to its (users, items, values)."""
    folder.mkdir()
    for name, (users, items, data) in values.items():
        matrix = sp.coo_matrix((np.array(data), (users, items)), (3, 4))
        (folder / f"train_mat_{name}.pkl").write_bytes(pickle.dumps(matrix))
    matrix = sp.coo_matrix((np.ones(len(test[0])), test), (3, 4))
    (folder / "test_mat.pkl").write_bytes(pickle.dumps(matrix))
    return folder


def test_matrices_keep_times_and_of_repeated_pairs_the_earliest(tmp_path):
    a, b, c = START + 7, START + 3, START + 5
    folder = matrices(
        tmp_path / "shop",
        {
            "view": ([2, 0, 0, 2], [1, 2, 0, 1], [a, b, c, c]),
            "cart": ([0, 1], [1, 1], [1, 2]),
            "buy": ([1, 0], [3, 1], [c, a]),
        },
    )
    data = load_dataset(folder)
    assert data.behaviors == ("view", "cart", "buy")
    view, cart, buy = data.times
    assert data.interactions[0].indices.tolist() == [0, 2, 1]
    assert view.tolist() == [c, b, c]
    assert cart is None
    assert buy.tolist() == [a, c]
    assert view.dtype == buy.dtype == np.int64
    assert any("view, buy" in note and "seconds" in note for note in data.notes)
    assert summary(data)["behaviors"]["view"]["times"] == [b, c]
    assert summary(data)["behaviors"]["cart"]["times"] is None


@pytest.mark.parametrize("values", [[1, 1], [2, 5], [0.5, 1.5]])
def test_ones_counts_and_ratings_are_no_times(tmp_path, values):
    one = ([0, 1], [1, 2], values)
    data = load_dataset(matrices(tmp_path / "shop", {"view": one, "buy": one}))
    assert data.times is None
    assert not data.notes


def test_times_of_different_units_are_not_compared(tmp_path):
    seconds, milliseconds = [START, START + 1], [START * 1000, START * 1000 + 1]
    folder = matrices(
        tmp_path / "shop",
        {"view": ([0, 1], [1, 2], milliseconds), "buy": ([0, 1], [1, 2], seconds)},
    )
    assert load_dataset(folder).times is None


def test_chosen_matrices_keep_their_own_times(tmp_path):
    folder = matrices(
        tmp_path / "shop",
        {
            "view": ([0, 1], [1, 2], [START, START + 1]),
            "cart": ([0, 1], [1, 2], [START + 4, START + 5]),
            "buy": ([0, 1], [1, 2], [START + 2, START + 3]),
        },
    )
    found = load_dataset(folder, behaviors=("cart", "buy")).times
    assert [one.tolist() for one in found] == [[START + 4, START + 5], [START + 2, START + 3]]


def test_the_release_layout_keeps_times(tmp_path):
    for name, shift in (("view", 0), ("buy", 5)):
        matrix = sp.csr_matrix(([START + shift, START + shift + 1], ([0, 1], [1, 2])), (3, 4))
        (tmp_path / f"trn_{name}").write_bytes(pickle.dumps(matrix))
    (tmp_path / "tst_int").write_bytes(pickle.dumps([2, None, None]))
    found = load_dataset(tmp_path).times
    assert [one.tolist() for one in found] == [[START, START + 1], [START + 5, START + 6]]


ROWS = [
    ("u1", "b", "view", 50),
    ("u1", "a", "view", 40),
    ("u1", "b", "view", 20),
    ("u1", "a", "buy", 60),
    ("u1", "b", "buy", 70),
    ("u0", "c", "view", 10),
    ("u0", "c", "buy", 30),
]


def table(folder, write=str, ending="csv"):
    path = folder / f"shop.{ending}"
    lines = ["user,item,behavior,timestamp"]
    lines += [f"{user},{item},{name},{write(time)}" for user, item, name, time in ROWS]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("leave_out", "view"), [("target", [10, 40, 20]), ("all", [10, 40])], ids=["target", "all"]
)
def test_tables_keep_the_earliest_time_of_each_pair(tmp_path, leave_out, view):
    data = load_dataset(table(tmp_path), leave_out=leave_out)
    assert data.test_items.tolist() == [1]
    assert [one.tolist() for one in data.times] == [view, [30, 60]]
    plain = load_dataset(table(tmp_path), behaviors="buy")
    assert [one.tolist() for one in plain.times] == [[30, 60]]


def test_tables_keep_fractions_and_dates_in_millionths(tmp_path):
    half = load_dataset(table(tmp_path, lambda time: time / 4))
    assert half.times[0].tolist() == [2_500_000, 10_000_000, 5_000_000]
    dates = load_dataset(table(tmp_path, lambda time: f"2020-01-01 00:00:{time % 60:02d}.5"))
    assert np.all(np.diff(np.sort(dates.times[0])) % 10**6 == 0)
    assert dates.times[0].dtype == np.int64


def test_parquet_keeps_the_earliest_time_of_each_pair(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = zip(*ROWS, strict=True)
    names = ("user", "item", "behavior", "timestamp")
    parquet.write_table(
        pyarrow.table(dict(zip(names, map(list, columns), strict=True))), tmp_path / "shop.parquet"
    )
    data = load_dataset(tmp_path / "shop.parquet")
    assert [one.tolist() for one in data.times] == [[10, 40, 20], [30, 60]]


def test_a_table_without_times_has_none(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text("user,item,behavior\n1,1,view\n1,2,buy\n1,3,buy\n", encoding="utf-8")
    assert load_dataset(path).times is None


# ---- files --------------------------------------------------------------------------------------


def test_the_native_format_keeps_times(tmp_path, shop):
    partly = timed(replace(shop, times=None), only=("view", "buy"))
    for name, data in (("whole", shop), ("partly", partly)):
        again = load_dataset(save_native(data, tmp_path / name))
        assert again.fingerprint() == data.fingerprint()
        for one, other in zip(again.times, data.times, strict=True):
            assert (one is None) == (other is None)
            assert one is None or np.array_equal(one, other)


def test_data_without_times_are_written_as_they_always_were(tmp_path, shop):
    plain = replace(shop, times=None)
    folder = save_native(plain, tmp_path / "plain")
    assert json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["format"] == 1
    with np.load(folder / "interactions.npz") as arrays:
        assert not [name for name in arrays if name.startswith("times")]
    assert load_dataset(folder).times is None


def test_times_that_do_not_fit_are_damage(tmp_path, shop):
    folder = save_native(shop, tmp_path / "shop")
    with np.load(folder / "interactions.npz") as archive:
        arrays = dict(archive)
    for wrong in (arrays["times.0"][:-1], arrays["times.0"] + 1, arrays["times.0"] * 1.0):
        np.savez(folder / "interactions.npz", **(arrays | {"times.0": wrong}))
        with pytest.raises(InputError, match=r"damaged"):
            load_dataset(folder)


def test_a_saved_model_keeps_times(tmp_path, shop):
    model = Recommender("graph-rank").fit(shop)
    model.save(tmp_path / "model.npz")
    assert_in_step(Recommender.load(tmp_path / "model.npz")._train)


# ---- the fingerprint ----------------------------------------------------------------------------


def test_the_fingerprint_knows_times_and_that_of_plain_data_is_as_it_was(shop):
    plain = replace(shop, times=None)
    # Written down before there were times.
    assert plain.fingerprint().startswith("1b614ad02a50972e")
    partly = [timed(plain, only=(name,)) for name in plain.behaviors]
    later = replace(shop, times=tuple(one + 1 for one in shop.times))
    assert len({one.fingerprint() for one in (plain, shop, later, *partly)}) == 6


def test_times_that_are_not_one_an_interaction_are_refused(shop):
    with pytest.raises(ValueError, match=r"times"):
        replace(shop, times=(shop.times[0][:-1], *shop.times[1:]))
    assert replace(shop, times=(None, None, None)).times is None


# ---- transformations ----------------------------------------------------------------------------


@pytest.mark.parametrize("visible", [0.0, 0.5, 1.0])
def test_times_stay_in_step_where_pairs_are_dropped(shop, visible):
    for data in (
        without_left_out(shop, leave_out(shop, visible, 2, 0)[0]),
        validation_split(shop, validation_items(shop, visible, 0)),
    ):
        assert len(data.interactions[-1].indices) < len(shop.interactions[-1].indices)
        assert_in_step(data)


def test_a_chosen_behavior_keeps_its_times(tmp_path, shop):
    folder = save_native(shop, tmp_path / "shop")
    for names in (("cart", "buy"), ("buy", "view"), ("cart",)):
        assert_in_step(load_dataset(folder, behaviors=names))


# ---- how train purchases are left out -----------------------------------------------------------


def touched(times):
    """Users 0 and 1; views and buys with these times: {(user, item): time}."""
    patterns, kept = [], []
    for one in times:
        pairs = sorted(one)
        users = np.array([user for user, _ in pairs])
        indptr = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=2))])
        items = np.array([item for _, item in pairs], np.int32)
        patterns.append(Csr(indptr.astype(np.int32), items))
        kept.append(np.array([one[pair] for pair in pairs], np.int64))
    data = generate(n_users=2, n_items=9, behaviors=("view", "buy"))
    return replace(data, interactions=tuple(patterns), times=tuple(kept), leave_out=None)


# Item 8 is viewed by both and not bought, so that all held-out items could still be visible.
VIEWS = {(0, 0): 1, (0, 1): 5, (0, 2): 9, (0, 8): 2, (1, 0): 3, (1, 8): 4}
BUYS = {(0, 0): 2, (0, 1): 5, (0, 2): 8, (0, 3): 7, (1, 0): 4}


def test_times_say_what_would_be_visible():
    found = visibility_of(touched([VIEWS, BUYS]))
    assert found.share == pytest.approx((2 / 4 + 1 / 1) / 2)  # of each user; 5 ≤ 5, but 9 > 8
    assert "times" in found.reason


def test_times_are_asked_last():
    data = touched([VIEWS, BUYS])
    assert visibility_of(data, "target").share == 1.0
    assert visibility_of(data, 0.3).share == 0.3
    assert visibility_of(replace(data, leave_out="all")).share == 0.0
    emptied = touched([{(0, 0): 1, (1, 0): 3}, {(0, 0): 2, (1, 0): 4}])
    # No room for a visible held-out item, whatever the times.
    assert visibility_of(emptied).share == 0.0


@pytest.mark.parametrize("known", [(True, False), (False, True), (False, False)])
def test_without_times_of_both_sides_somebody_must_say(known):
    data = touched([VIEWS, BUYS])
    times = tuple(one if there else None for one, there in zip(data.times, known, strict=True))
    with pytest.raises(InputError, match=r"wanted --leave-out"):
        visibility_of(replace(data, times=times))


# ---- which purchases are left out ---------------------------------------------------------------


def test_the_latest_purchases_are_left_out_first():
    late = {(0, 0): 2, (0, 1): 9, (0, 2): 8, (0, 3): 8, (1, 0): 4}
    data = touched([VIEWS, late])
    seeds = range(20)
    firsts = [leave_out(data, 1.0, 2, seed, 4) for seed in seeds]
    for draws in firsts:
        items = [one.items.tolist() for one in draws]
        assert [one.users.tolist() for one in draws] == [[0]] * 4
        assert (items[0], items[3]) == ([1], [0])
        assert sorted(items[1] + items[2]) == [2, 3]
    assert len({draws[1].items[0] for draws in firsts}) == 2  # of equal times a random one
    plain = replace(data, times=None)
    split_at_random = replace(data, split="random")
    for seed in seeds:
        rounds = (leave_out(one, 0.5, 1, seed, 2) for one in (plain, split_at_random))
        for one, other in zip(*rounds, strict=True):
            assert np.array_equal(one.items, other.items)
    assert len({leave_out(plain, 1.0, 2, seed)[0].items[0] for seed in seeds}) == 4
