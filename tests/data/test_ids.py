"""The data set's own ids at the border."""

from __future__ import annotations

import numpy as np
import pytest
from shops import dataset

from pkef_fast.data.ids import Ids
from pkef_fast.errors import InputError


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        (None, [2, "2", np.int32(2)]),
        (np.array([30, 10, 7]), [7, "7", np.int64(7)]),
        (np.array(["u", "v", "w x"]), ["w x", np.str_("w x")]),
    ],
    ids=["numbers", "own numbers", "names"],
)
def test_ids_as_they_are_or_as_text(ids, wanted):
    of = Ids("user", dataset(user_ids=ids))
    for one in wanted:
        assert of.number(one) == 2
        assert str(of.id(2)) == str(one)
    assert of.numbers(wanted).tolist() == [2] * len(wanted)
    assert of.numbers([]).dtype == np.int32
    assert type(of.id(2)) in (int, str)


@pytest.mark.parametrize("wanted", [3, -1, "3", "x", "", "1.0", 1.0, "²", "٢", None, 10**30])
def test_unknown_numbers_are_refused(wanted):
    with pytest.raises(InputError) as error:
        Ids("user", dataset()).number(wanted)
    assert f"user {wanted!r} is unknown; data set 'shop' has users 0 to 2." in str(error.value)


def test_unknown_names_are_refused_with_the_nearest():
    of = Ids("item", dataset(item_ids=np.array(["apple", "pear", "plum", "fig"])))
    with pytest.raises(InputError, match="item 'aple' is unknown in data set 'shop'; did you mean"):
        of.number("aple")
    with pytest.raises(InputError, match="item 0 is unknown"):  # its number is no id
        of.number(0)
