"""What is left out of the train part, and that nobody knows it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rerank_shops import QUICK, ranker_of, rng_scores, shop

from pkef_fast import InputError, Recommender
from pkef_fast.data import Dataset
from pkef_fast.data.patterns import contains, pattern
from pkef_fast.holdout.left_out import leave_out, without_left_out
from pkef_fast.holdout.visibility import visibility_of
from pkef_fast.rerank import RerankConfig
from pkef_fast.rerank.reranker import funnel, graph_of, questions


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_left_out_purchases_are_hidden_where_they_shall_be(share):
    data = shop()
    (left,) = leave_out(data, share, 2, seed=3)
    degrees = np.diff(data.interactions[-1].indptr)
    assert np.array_equal(left.users, np.flatnonzero(degrees >= 2))
    assert contains(data.interactions[-1], left.users, left.items, data.n_items).all()
    assert abs(left.visible.mean() - share) < 0.2
    rest = without_left_out(data, left)
    assert not contains(rest.interactions[-1], left.users, left.items, data.n_items).any()
    assert len(rest.interactions[-1].indices) + len(left.users) == degrees.sum()
    for before, after in zip(data.interactions[:-1], rest.interactions[:-1], strict=True):
        was, now = (contains(csr, left.users, left.items, data.n_items) for csr in (before, after))
        assert np.array_equal(now, was & left.visible)
        assert len(before.indices) - len(after.indices) == np.count_nonzero(was & ~left.visible)
    assert not len(rest.test_users)


def test_draws_of_a_user_differ_as_long_as_there_are_others():
    data = shop()
    draws = leave_out(data, 1.0, 2, seed=0, rounds=3)
    degrees = np.diff(data.interactions[-1].indptr)[draws[0].users]
    distinct = [len({one.items[n] for one in draws}) for n in range(len(degrees))]
    assert distinct == np.minimum(degrees, 3).tolist()


def test_questions_know_nothing_of_what_is_left_out():
    """Features of a left-out purchase are those of a data set that never had it."""
    data = shop()
    (left,) = leave_out(data, 0.0, 2, seed=0)
    other = dataclasses.replace(data, interactions=without_left_out(data, left).interactions)
    config = RerankConfig(graph=8, alike=4, model=4)

    base = ranker_of(rng_scores(data))
    for source in (without_left_out(data, left), other):
        for csr in source.interactions:
            assert not contains(csr, left.users, left.items, data.n_items).any()
    a, b = (
        questions(base, funnel(config, graph_of(data), one), left)
        for one in (without_left_out(data, left), other)
    )
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("model", ["pkef", "graph-rank"])
def test_held_out_items_change_no_bit_of_the_re_ranker(model):
    data = shop()
    random = np.random.default_rng(5)
    other = dataclasses.replace(
        data, test_items=random.integers(data.n_items, size=len(data.test_items)).astype(np.int32)
    )
    fields = {"epochs": 2, "d": 4} if model == "pkef" else {}
    found = [
        Recommender(model, **fields).fit(
            one, rerank="learned", rerank_config=RerankConfig().replaced(**QUICK)
        )
        for one in (data, other)
    ]
    first, second = (one.reranker.arrays() for one in found)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert found[0].reranker.report == found[1].reranker.report
    assert found[0].recommend([0, 1, 2]) == found[1].recommend([0, 1, 2])
    assert found[0].evaluate(data) != found[1].evaluate(other)


def test_how_to_leave_out_is_known_from_the_record_or_asked():
    data = shop()
    assert visibility_of(data).share == 1.0  # so it was generated
    words = {"target": 1, "all": 0, "0.3": 0.3, 0.3: 0.3}
    assert {word: visibility_of(data, word).share for word in words} == words
    unknown = dataclasses.replace(data, leave_out=None)
    with pytest.raises(InputError, match=r"--leave-out target .*, all .*, or the share"):
        visibility_of(unknown)
    for wrong in ("some", "1.5", -0.1, "nan"):
        with pytest.raises(InputError, match="wanted 'target', 'all', or the share"):
            visibility_of(data, wrong)
    assert visibility_of(dataclasses.replace(data, leave_out="all")).share == 0.0
    assert visibility_of(dataclasses.replace(shop(1), leave_out=None)).share == 1.0


def test_a_split_out_of_all_behaviors_shows_in_the_train_data_alone():
    """Everybody buys most of what is in the cart; yet few have anything left in it."""
    users, items = np.repeat(np.arange(50), 4), np.tile(np.arange(4), 50)
    buys = pattern(users, items, 50, 10)
    extra = np.arange(10)
    carts = pattern(np.append(users, extra), np.append(items, np.full(10, 7)), 50, 10)
    views = pattern(np.append(users, np.arange(50)), np.append(items, np.full(50, 8)), 50, 10)
    none = np.empty(0, np.int32)
    data = Dataset("x", ("view", "cart", "buy"), 50, 10, (views, carts, buys), none, none)
    found = visibility_of(data)
    assert found.share == 0.0
    assert "'cart'" in found.reason
    kept = dataclasses.replace(data, interactions=(views, views, buys))
    with pytest.raises(InputError, match="wanted --leave-out"):
        visibility_of(kept)
