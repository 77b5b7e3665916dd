"""Protocols: who is ranked among what, and intervals; small cases by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pkef_fast import InputError, Recommender
from pkef_fast.data import Dataset, generate
from pkef_fast.data.patterns import pattern
from pkef_fast.device import device
from pkef_fast.evaluate.figures import evaluate, figures, gains
from pkef_fast.evaluate.protocols import PROTOCOLS, interval, names_of, protocols
from pkef_fast.evaluate.rankers import TableRanker
from pkef_fast.kernels.rank import DotScorer


def shop(**pairs):
    """Users 0, 1, 2 and items 0 … 5; pairs by behaviour."""
    patterns = [pattern(*np.array(pairs[name]).T, 3, 6) for name in ("view", "buy")]
    users = np.array([0, 1, 2], np.int32)
    held_out = np.array([4, 5, 0], np.int32)
    return Dataset("by hand", ("view", "buy"), 3, 6, tuple(patterns), users, held_out)


#       user 0 viewed the held-out 4; user 1 met 5 nowhere; user 2 met 0 nowhere
BY_HAND = {"view": [(0, 4), (0, 5), (1, 0), (2, 3)], "buy": [(0, 1), (1, 2), (2, 1)]}


def test_ranks_by_hand():
    data = shop(**BY_HAND)
    scores = np.array([[0, 9, 1, 2, 3, 4], [9, 1, 8, 7, 0, 6], [1, 9, 5, 8, 3, 3]], np.float32)
    ranker = TableRanker(DotScorer(np.eye(3, dtype=np.float32), scores.T.copy()), device("cpu"))
    found = evaluate(ranker, data, protocol="all").protocols
    assert list(found) == ["paper", "discovery", "return"]
    # user 0 (without item 1): 5, 4 → rank 1; user 1 (without 2): 0, 3, 5 → 2; user 2: last of 5
    assert found["paper"].ranks.tolist() == [1, 2, 4]
    # user 1 without 0 and 2: 3, 5 → 1; user 2 without 1 and 3: 2, 4, 5, 0 → 3
    assert found["discovery"].ranks.tolist() == [1, 3]
    assert found["discovery"].test_users.tolist() == [1, 2]
    assert found["return"].ranks.tolist() == [1]
    assert [found[name].users for name in PROTOCOLS] == [3, 2, 1]
    for name in PROTOCOLS:
        one = evaluate(ranker, data, protocol=name)
        assert one.ranks.tolist() == found[name].ranks.tolist()
        assert one.metrics == figures(found[name].ranks)
        assert one.users == found[name].users


def test_a_pair_that_was_bought_in_train_is_no_discovery():
    data = shop(view=BY_HAND["view"], buy=[*BY_HAND["buy"], (1, 5)])
    (one,) = protocols(data, ["discovery"])
    assert one.chosen.tolist() == [False, False, True]


def test_paper_is_discovery_and_return_together():
    data = generate(200, 60, seed=1)
    found = Recommender("graph-rank").fit(data).evaluate(data, protocol="all").protocols
    assert found["discovery"].users + found["return"].users == found["paper"].users
    assert min(one.users for one in found.values()) > 3
    users = found["return"].test_users
    where = np.isin(found["paper"].test_users, users)
    np.testing.assert_array_equal(found["return"].ranks, found["paper"].ranks[where])
    where = np.isin(found["paper"].test_users, found["discovery"].test_users)
    assert np.all(found["discovery"].ranks <= found["paper"].ranks[where])  # fewer candidates


def test_a_protocol_without_users_has_no_figures():
    data = shop(view=[(0, 4), (1, 5), (2, 0)], buy=BY_HAND["buy"])
    ranker = TableRanker(DotScorer(*np.ones((2, 6, 1), np.float32)), device("cpu"))
    found = evaluate(ranker, data, protocol="all").protocols["discovery"].as_dict()
    assert found["users"] == 0
    assert np.isnan(found["HR@10"])
    assert found["interval"] is None


def test_an_interval_is_the_normal_one_for_many_users():
    random = np.random.default_rng(0)
    values = (random.random(4000) < 0.3).astype(float)
    low, high = interval(np.arange(4000), values)
    error = 1.96 * np.sqrt(values.mean() * (1 - values.mean()) / 4000)
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=2e-3)
    assert interval(np.arange(4000), values) == (low, high)


def test_an_interval_draws_users_with_all_their_pairs():
    """Ten users whose 50 pairs are alike: as wide as with ten pairs, not as with 500."""
    users, values = np.repeat(np.arange(10), 50), np.repeat([0.0, 1.0], 250)
    assert interval(users, values) == interval(np.arange(10), np.repeat([0.0, 1.0], 5))
    low, high = interval(np.arange(500), values)
    assert high - low < 0.1
    assert interval(np.empty(0), np.empty(0)) is None


def test_gains():
    hit, gain = gains(np.array([0, 2, 9, 10]), 10)
    assert hit.tolist() == [1, 1, 1, 0]
    assert gain.tolist() == pytest.approx([1, 0.5, 1 / np.log2(11), 0])


def test_json_has_what_scripts_need():
    data = generate(60, 40, seed=5)
    found = Recommender("graph-rank").fit(data).evaluate(data, protocol="all")
    for one in found.protocols.values():
        text = json.loads(json.dumps(one.as_dict()))
        assert {"users", "HR@10", "NDCG@10", "interval"} <= set(text)
        for name in ("HR@10", "NDCG@10"):
            low, high = text["interval"][name]
            assert low <= text[name] <= high


def test_unknown_protocols_are_refused():
    with pytest.raises(InputError, match="protocol 'discover' is unknown; did you mean"):
        names_of("discover")
    with pytest.raises(InputError, match="'al' is unknown"):
        Recommender("graph-rank").fit(generate(20, 15, seed=0), protocol="al")
