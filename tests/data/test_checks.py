"""What every reader checks, and the sentences about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shops import TABLES, csr_of, dataset

from pkef_fast.data import checks
from pkef_fast.errors import InputError

FEW = np.array([0], np.int64)


def finished(**changes):
    fields = {
        "name": "shop",
        "behaviors": tuple(TABLES),
        "n_users": 3,
        "n_items": 4,
        "interactions": [csr_of(table) for table in TABLES.values()],
        "test_users": np.array([1, 0, 1]),
        "test_items": np.array([0, 3, 0]),
    }
    return checks.finished(**{**fields, **changes})


def test_held_out_pairs_are_sorted_and_once():
    data = finished()
    assert (data.test_users.tolist(), data.test_items.tolist()) == ([0, 1], [3, 0])
    assert data.test_users.dtype == data.test_items.dtype == np.int32
    assert data.notes == ()
    assert isinstance(data.behaviors, tuple)
    assert isinstance(data.interactions, tuple)


def test_notes():
    seen = finished(test_users=FEW, test_items=FEW, notes=["A."])
    assert seen.notes[0] == "A."
    assert seen.notes[1].startswith("1 of 1 held-out items are also train 'buy' interactions")
    nothing = finished(test_users=FEW[:0], test_items=FEW[:0])
    assert nothing.notes == ("There are no held-out items, so nothing can be evaluated.",)
    one = finished(behaviors=("view", "buy", "cart"))
    assert "The target is 'cart', the last behaviour" in one.notes[0]
    assert "usually of 'buy'" in one.notes[0]
    more = finished(behaviors=("a", "b", "c"), all_behaviors=("view", "buy"))
    assert "usually of 'buy'" in more.notes[0]


def test_a_behaviour_without_interactions_is_refused_with_advice():
    empty = csr_of(np.zeros((3, 4)))
    with pytest.raises(InputError, match=r"'cart' .* has no interactions.*--behaviors view,buy"):
        full = csr_of(TABLES["view"])
        finished(interactions=[full, empty, full])
    with pytest.raises(InputError, match=r"'buy' .* has no interactions.*choose another"):
        finished(behaviors=("buy",), interactions=[empty])


def test_shapes_must_be_one():
    a, b = Path("a"), Path("b")
    assert checks.same_shape({a: (3, 4), b: (3, 4)}) == (3, 4)
    with pytest.raises(InputError, match="b is 4 × 3 but a is 3 × 4"):
        checks.same_shape({a: (3, 4), b: (4, 3)})


def test_files_must_be_there():
    files = {"x": Path("x"), "y": None}
    with pytest.raises(InputError, match="y does not exist; wanted in folder: x, y"):
        checks.existing_files(Path("folder"), files, ["x", "y"])
    checks.existing_files(Path("folder"), {"x": Path("x")}, ["x"])


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((), "no behaviours were named"),
        (("byu",), "behaviour 'byu' is not in here; did you mean 'buy'"),
        (("buy", "view", "buy"), "behaviour 'buy' was named twice"),
    ],
)
def test_unknown_behaviors(names, sentence):
    with pytest.raises(InputError, match=sentence):
        checks.known_behaviors(names, ("view", "buy"), "here")
    checks.known_behaviors(("buy", "view"), ("view", "buy"), "here")


def test_chosen_behaviors_keep_what_is_theirs():
    data = dataset(times=(np.arange(5), None, np.arange(4)), user_ids=np.array(["u", "v", "w"]))
    found = checks.chosen(data, ("buy", "view"))
    assert found.behaviors == ("buy", "view")
    assert [one.tolist() for one in found.times] == [[0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert found.interactions == (data.interactions[2], data.interactions[0])
    assert "the held-out items are of 'buy'" in found.notes[0]
    assert checks.chosen(data, ("cart", "buy")).notes == ()
    assert checks.chosen(dataset(), ("buy",)).times is None
