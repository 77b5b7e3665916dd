"""Counts and shares of a data set, worked by hand."""

from __future__ import annotations

import json

import numpy as np
from shops import csr_of, dataset

from pkef_fast.data import summary


def test_a_summary():
    data = dataset(times=(np.array([5, 3, 9, 4, 7]), None, None), notes=("A note.",))
    found = json.loads(json.dumps(summary(data)))
    assert (found["users"], found["items"], found["target"]) == (3, 4, "buy")
    assert found["notes"] == ["A note."]
    assert found["fingerprint"] == data.fingerprint()
    assert found["test"] == {"items": 2, "users": 2, "also_train_target": 0}
    assert found["validation"] is None
    assert found["users_without_target"] == 0
    view, cart, buy = found["behaviors"].values()
    assert view == {
        "interactions": 5,
        "density": 5 / 12,
        "users": 3,
        "items": 3,
        "user_degrees": {"mean": 5 / 3, "median": 2.0, "p90": 2.0, "max": 2},
        "item_degrees": {"mean": 1.25, "median": 1.5, "p90": 2.0, "max": 2},
        "target_overlap": 1.0,  # (0, 0), (1, 1), (1, 2), (2, 0) were all viewed
        "test_seen": 0.0,
        "times": [3, 9],
    }
    assert cart["target_overlap"] == 2 / 4
    assert (cart["users"], cart["items"], cart["times"]) == (2, 2, None)
    assert buy["target_overlap"] == 1.0


def test_a_validation_part():
    pairs = (np.array([0, 0, 2], np.int32), np.array([1, 2, 3], np.int32))
    data = dataset(validation=pairs)
    assert summary(data)["validation"] == {"items": 3, "users": 2}
    assert data.fingerprint() != dataset().fingerprint()
    assert dataset(validation=(pairs[0][:0], pairs[1][:0])).validation is None


def test_held_out_pairs_that_were_seen():
    data = dataset(test_users=np.array([0, 1], np.int32), test_items=np.array([1, 1], np.int32))
    found = summary(data)
    assert found["behaviors"]["view"]["test_seen"] == 1.0
    assert found["test"]["also_train_target"] == 1


def test_nothing_held_out_and_users_without_the_target():
    none = np.array([], np.int32)
    buys = csr_of([[1, 0, 0, 0], [0] * 4, [0] * 4])
    views = dataset().interactions[0]
    data = dataset(
        interactions=(views, buys), behaviors=("view", "buy"), test_users=none, test_items=none
    )
    found = summary(data)
    assert found["behaviors"]["view"]["test_seen"] is None
    assert found["users_without_target"] == 2
