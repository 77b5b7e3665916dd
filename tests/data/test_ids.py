"""The data set's own ids at the border."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import dataset

from pkef_fast.data.dataset import Csr, Dataset
from pkef_fast.data.ids import Ids
from pkef_fast.errors import InputError


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        (None, [2, "2", np.int32(2), 2.0, np.float32(2), "2.0", b"2", np.uint64(2)]),
        (np.array([30, 10, 7]), [7, "7", np.int64(7), 7.0, np.float64(7), "7.0", b"7"]),
        (np.array([5, 10**15, -(2**63)]), [-(2**63), str(-(2**63)), np.int64(-(2**63))]),
        (np.array(["u", "v", "w x"]), ["w x", np.str_("w x"), b"w x"]),
        (["1", "u", "17"], ["17", 17, 17.0, np.int64(17), np.float32(17), b"17"]),
        (["a", "b", "-5"], ["-5", -5, -5.0]),
        (["a", "", "商品🛒"], ["商品🛒", "商品🛒".encode()]),
        (["a", "b", ""], ["", b""]),
        (["a", "b", "nan"], ["nan"]),
        (["a", "b", str(2**64)], [2**64, str(2**64)]),
    ],
)
def test_ids_as_they_are_or_in_another_dress(ids, wanted):
    of = Ids("user", dataset(user_ids=ids))
    for one in wanted:
        assert of.number(one) == 2
        assert of.numbers([one, one]).tolist() == [2, 2]
    assert of.numbers(wanted).tolist() == [2] * len(wanted)
    assert of.numbers([]).dtype == np.int32
    assert type(of.id(2)) in (int, str)
    assert of.number(of.id(2)) == 2
    assert of.of(np.array([[2, 0], [0, 2]])) == [[of.id(2), of.id(0)], [of.id(0), of.id(2)]]


ODD = [None, True, np.True_, (), [2], {}, object, np.datetime64("NaT"), b"\xff"]
ODD += [float("nan"), float("inf"), np.float32("inf"), 2.5, 10**30, 10**5000]
ODD += ["", "x", "²", "٢", "２", "2_0", " 2", "02", "+2", "-0", "9" * 5000]


@pytest.mark.parametrize("wanted", [3, -1, "3", "1.5", *ODD], ids=lambda one: type(one).__name__)
def test_unknown_numbers_are_refused(wanted):
    with pytest.raises(
        InputError, match=r"is unknown; data set 'shop' has users 0 to 2\."
    ) as error:
        Ids("user", dataset()).number(wanted)
    assert str(error.value).startswith("user ") and len(str(error.value)) < 150


@pytest.mark.parametrize("ids", [[30, 10, 2], [10**15, 10, 2], ["u", "v", "w"]])
@pytest.mark.parametrize("wanted", ODD, ids=lambda one: type(one).__name__)
def test_what_is_no_id_is_unknown_and_no_traceback(ids, wanted):
    of = Ids("user", dataset(user_ids=ids))
    for call in (lambda: of.number(wanted), lambda: of.numbers([wanted])):
        with pytest.raises(InputError, match="is unknown in data set 'shop'"):
            call()


def test_unknown_names_are_refused_with_the_nearest():
    of = Ids("item", dataset(item_ids=np.array(["apple", "pear", "plum", "fig"])))
    with pytest.raises(InputError, match="item 'aple' is unknown in data set 'shop'; did you mean"):
        of.number("aple")
    with pytest.raises(InputError, match="item 0 is unknown"):  # its number is no id
        of.number(0)


def test_a_sentence_names_some_ids_of_many_and_cuts_long_ones():
    ids = ["x" * 4000, *(f"u{n}" for n in range(999))]
    of = Ids("user", of_users(ids))
    with pytest.raises(
        InputError, match=r"which has 1000 users, such as 'x+…, 'u0', 'u1'"
    ) as error:
        of.numbers(["u5", "y" * 4000])
    assert len(str(error.value)) < 250


def test_a_number_that_several_texts_spell_is_asked_for_as_text():
    of = Ids("user", of_users(["7", "007", "7.0", "8", "09"]))
    for wanted in (7, 7.0, np.int64(7)):
        with pytest.raises(InputError, match=r"user .*7.* may be '7' or '007' or '7\.0'"):
            of.number(wanted)
        with pytest.raises(InputError, match="give it as text"):
            of.numbers([8, wanted])
    assert of.numbers(["7", "007", "7.0", 8]).tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="user 9 is unknown"):  # "09" is not how 9 is written
        of.number(9)


def of_users(ids, **changes) -> Dataset:
    """A data set of nobody's interactions."""
    empty = Csr(np.zeros(len(ids) + 1, np.int32), np.zeros(0, np.int32))
    none = np.zeros(0, np.int32)
    fields = {"name": "x", "behaviors": ("buy",), "n_users": len(ids), "n_items": 1}
    fields |= {"interactions": (empty,), "test_users": none, "test_items": none}
    return Dataset(**{**fields, "user_ids": ids, **changes})


WHOLE = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30, unique=True)
NEAR = st.lists(st.integers(-20, 20), min_size=1, max_size=30, unique=True)
TEXTS = st.lists(st.text(max_size=6), min_size=1, max_size=30, unique=True)


@settings(max_examples=150, deadline=None)
@given(ids=WHOLE | NEAR | TEXTS, random=st.randoms())
def test_many_are_found_as_one_by_one(ids, random):
    data = of_users(ids)
    of = Ids("user", data)
    order = random.sample(range(len(ids)), len(ids))
    wanted = [ids[n] for n in order]
    assert [of.number(one) for one in wanted] == order
    assert of.numbers(wanted).tolist() == order
    assert of.numbers(map(str, wanted)).tolist() == order
    assert of.numbers(np.array(wanted, object)).tolist() == order
    assert of.of(np.array(order)) == wanted
    if isinstance(ids[0], int):
        assert of.numbers(np.array(wanted)).tolist() == order
        strangers = [2**63 - 1, -(2**63), 21, 0]
        known = {one: n for n, one in enumerate(ids)}
        expected = [known.get(one, -1) for one in strangers]
        assert data.look_up["user"].numbers(np.array(strangers)).tolist() == expected


@pytest.mark.parametrize("step", [3, 10**12])
def test_no_look_up_scans_all_ids(step):
    """Issue benfred/implicit #72's case: each user of many, by their own ids."""
    count = 300_000
    ids = np.random.default_rng(0).permutation(count) * step + 512_000_000
    for data in (of_users(ids), of_users(list(map(str, ids)))):
        start = time.process_time()
        numbers = Ids("user", data).numbers(ids)
        each = [Ids("user", data).number(one) for one in ids[:2000]]
        seconds = time.process_time() - start
        assert numbers.tolist() == list(range(count))
        assert each == list(range(2000))
        assert seconds < 2  # one pass over all ids for each of the 2,000 takes minutes


def test_a_long_id_costs_its_own_length_alone():
    data = of_users(["u" * 4000, *map(str, range(100_000))])
    assert data.user_ids.nbytes == 8 * 100_001  # and not 16 kB for each
    assert Ids("user", data).number("u" * 4000) == 0
