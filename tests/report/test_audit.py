"""Trivial rules against all orders of a list, and the audit of a shop that is counted by hand."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from pkef_fast import InputError, load_dataset
from pkef_fast.data import Dataset, generate
from pkef_fast.data.patterns import pattern
from pkef_fast.device import device
from pkef_fast.evaluate.rules import at_random, best_rule, by_popularity, rules, unbought
from pkef_fast.report.audit import audit
from pkef_fast.report.plot import plot_audit


def row(csr, user):
    return csr.indices[csr.indptr[user] : csr.indptr[user + 1]].tolist()


def small_shop(seed, longest=6):
    """Lists short enough to go through all their orders."""
    random = np.random.default_rng(seed)
    views = pattern(*np.nonzero(random.random((14, 16)) < longest / 16), 14, 16)
    buys = pattern(*np.nonzero(random.random((14, 16)) < 0.15), 14, 16)
    users = np.arange(1, 14, dtype=np.int32)
    held_out = np.array(
        [random.choice([i for i in range(16) if i not in row(buys, u)]) for u in users], np.int32
    )
    return Dataset("small", ("view", "buy"), 14, 16, (views, buys), users, held_out)


def hit_and_gain(listed, item, cutoff=10):
    rank = listed.index(item) if item in listed else cutoff
    return (1.0, 1 / np.log2(rank + 2)) if rank < cutoff else (0.0, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_random_order_is_the_mean_of_all_orders(seed):
    data = small_shop(seed)
    own = unbought(data.interactions[0], data)
    expected = []
    for user, item in zip(data.test_users, data.test_items, strict=True):
        listed = [
            i for i in row(data.interactions[0], user) if i not in row(data.interactions[1], user)
        ]
        assert row(own, user) == listed
        if len(listed) <= 7:
            orders = itertools.permutations(listed)
            expected.append(np.mean([hit_and_gain(list(one), item) for one in orders], axis=0))
        else:  # each place alike
            places = [hit_and_gain([None] * n + [item], item) for n in range(len(listed))]
            expected.append(np.mean(places, axis=0) * (item in listed))
    found = at_random(own, data)
    assert [found["HR@10"], found["NDCG@10"]] == pytest.approx(np.transpose(expected))


def test_random_order_of_a_list_longer_than_the_cutoff():
    """25 views, the held-out among them: 10 of 25 places hit."""
    views = pattern(np.zeros(25, int), np.arange(25), 1, 30)
    buys = pattern(np.zeros(1, int), np.array([29]), 1, 30)
    one = np.zeros(1, np.int32)
    data = Dataset("long", ("view", "buy"), 1, 30, (views, buys), one, one + 7)
    found = at_random(views, data)
    assert found["HR@10"] == pytest.approx(10 / 25)
    assert found["NDCG@10"] == pytest.approx(sum(1 / np.log2(r + 2) for r in range(10)) / 25)


@pytest.mark.parametrize("seed", range(4))
def test_popular_first(seed):
    data = small_shop(seed, longest=14)
    own = unbought(data.interactions[0], data)
    counts = np.bincount(data.interactions[1].indices, minlength=16)
    expected = [
        hit_and_gain(sorted(row(own, u), key=lambda i: (-counts[i], i)), item)
        for u, item in zip(data.test_users, data.test_items, strict=True)
    ]
    found = by_popularity(own, data)
    assert [found["HR@10"], found["NDCG@10"]] == pytest.approx(np.transpose(expected))
    assert best_rule(data)["rule"] in rules(data)


def test_rules_of_nothing():
    data = small_shop(0)
    none = np.empty(0, np.int32)
    empty = Dataset("none", ("view", "buy"), 14, 16, data.interactions, none, none)
    assert rules(empty) == {}
    assert best_rule(empty) is None
    alone = Dataset(
        "one", ("buy",), 14, 16, data.interactions[1:], data.test_users, data.test_items
    )
    assert best_rule(alone) is None
    nothing = pattern(none, none, 14, 16)
    for rule in (by_popularity, at_random):
        assert not any(np.any(values) for values in rule(nothing, data).values())


def by_hand():
    """4 users, 6 items.

    user 0  views 0 1 2, carts 1, buys 1 3       held out 2 (viewed)
    user 1  views 0 1,   carts 4, buys 0         held out 4 (carted)
    user 2  views 5,     carts 5, buys 2         held out 5 (viewed and carted)
    user 3  views 0 1,   carts 4, buys 0         nothing held out; like user 1
    """
    views = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 5), (3, 0), (3, 1)]
    carts = [(0, 1), (1, 4), (2, 5), (3, 4)]
    buys = [(0, 1), (0, 3), (1, 0), (2, 2), (3, 0)]
    return Dataset(
        "by hand",
        ("view", "cart", "buy"),
        4,
        6,
        tuple(pattern(*np.array(one).T, 4, 6) for one in (views, carts, buys)),
        np.array([0, 1, 2], np.int32),
        np.array([2, 4, 5], np.int32),
    )


def test_an_audit_by_hand():
    found = audit(by_hand(), device("cpu"))
    assert found["train"] == {"view": 8, "cart": 4, "buy": 5}
    assert found["held_out"] == {"pairs": 3, "users": 3}
    assert found["visible"] == pytest.approx({"view": 2 / 3, "cart": 2 / 3, "any": 1})
    assert found["own"]["view"] == {"mean": 4 / 3, "median": 1, "p90": 1.8, "max": 2, "empty": 0}
    assert found["own"]["cart"]["empty"] == pytest.approx(1 / 3)  # user 0's cart is bought
    table = {tuple(one.pop("seen_in")): one for one in found["patterns"]}
    # train: (0,1) both, (0,3) nowhere, (1,0) view, (2,2) nowhere, (3,0) view; user 0 alone has two
    assert {key: one["train"] for key, one in table.items()} == pytest.approx(
        {("view", "cart"): 1 / 5, ("view",): 2 / 5, ("cart",): 0, (): 2 / 5}
    )
    assert {key: one["left_out_target"] for key, one in table.items()} == pytest.approx(
        {("view", "cart"): 1 / 2, ("view",): 0, ("cart",): 0, (): 1 / 2}
    )
    assert {key: one["left_out_all"] for key, one in table.items()} == pytest.approx(
        {("view", "cart"): 0, ("view",): 0, ("cart",): 0, (): 1}
    )
    assert {key: one["held_out"] for key, one in table.items()} == pytest.approx(
        {("view", "cart"): 1 / 3, ("view",): 1 / 3, ("cart",): 1 / 3, (): 0}
    )
    assert found["distances"] == pytest.approx(
        {"train": 7 / 15, "left_out_target": 2 / 3, "left_out_all": 1, "validation": None}
    )
    assert found["leave_out"] is None
    (warning,) = found["warnings"]
    assert "a re-ranker asks for --leave-out" in warning
    assert found["nestedness"]["buy"]["view"] == {"outside": 2, "inside_share": 3 / 5}
    assert found["nestedness"]["cart"]["buy"] == {"outside": 3, "inside_share": 1 / 4}
    assert found["duplicates"] == {
        "also_train_target": 0,
        "users_with_several_held_out": 0,
        "users_like_an_earlier_one": 1,
    }
    assert (found["users_without_target"], found["users_without_held_out"]) == (0, 1)
    assert found["held_out_untrained"] == 2  # items 4 and 5
    assert found["best_list"] == 1
    assert found["rules"]["own cart, at random"] == pytest.approx(
        {"HR@10": 2 / 3, "NDCG@10": 2 / 3}
    )
    assert len(found["verdict"]) == 2
    assert "100.0% of the held-out" in found["verdict"][0]
    assert "yet not alike" in found["verdict"][1]


def test_it_warns_where_patterns_differ():
    known = audit(replace(by_hand(), leave_out="target"), device("cpu"))
    assert known["leave_out"]["share"] == 1
    (warning,) = known["warnings"]
    assert "purchases left out to learn from" in warning
    assert "distance 0.67" in warning
    demo = load_dataset("demo")
    alike = audit(demo, device("cpu"))
    assert alike["warnings"] == []
    assert alike["distances"]["validation"] < 0.1
    assert sum(one["validation"] for one in alike["patterns"]) == pytest.approx(1)
    wrong = audit(replace(demo, leave_out="all"), device("cpu"))
    assert len(wrong["warnings"]) == 2
    assert "validation items" in wrong["warnings"][1]


def test_left_out_pairs_weigh_each_user_alike():
    """User 0 has 2 viewed purchases, user 1 has 3 unviewed ones: half and half, not 2 to 3."""
    views = pattern(np.array([0, 0, 1]), np.array([0, 1, 5]), 2, 6)
    buys = pattern(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 4]), 2, 6)
    users = np.array([0, 1], np.int32)
    data = Dataset("weights", ("view", "buy"), 2, 6, (views, buys), users, users + 3)
    table = {tuple(one["seen_in"]): one for one in audit(data, device("cpu"))["patterns"]}
    assert table["view",]["train"] == pytest.approx(2 / 5)
    assert table["view",]["left_out_target"] == pytest.approx(1 / 2)


def test_an_audit_of_what_is_hardly_there():
    data = by_hand()
    none = np.empty(0, np.int32)
    bare = Dataset("bare", data.behaviors, 4, 6, data.interactions, none, none)
    found = audit(bare, device("cpu"))
    assert found["verdict"][0].startswith("Nothing is held out")
    assert found["best_list"] is None
    alone = Dataset("one", ("buy",), 4, 6, data.interactions[2:], data.test_users, data.test_items)
    found = audit(alone, device("cpu"))
    assert found["visible"] == {}
    assert list(found["rules"]) == ["popularity"]


@pytest.mark.parametrize("data", [by_hand(), generate(60, 30, seed=0)], ids=["by hand", "made up"])
def test_the_plot_is_a_picture_with_all_rows(data, tmp_path):
    found = audit(data, device("cpu"))
    plot_audit(found, tmp_path / "a.svg")
    picture = ElementTree.parse(tmp_path / "a.svg").getroot()
    texts = [one.text for one in picture.iter("{http://www.w3.org/2000/svg}text")]
    for name in (*found["rules"], "nowhere else", "bound of one list for all"):
        assert name in texts
    for one in picture.iter("{http://www.w3.org/2000/svg}rect"):
        assert 0 <= float(one.get("x", 0)) + float(one.get("width")) <= float(picture.get("width"))


def test_a_plot_of_another_kind_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"a\.png cannot be drawn; wanted a name that ends in \.svg"
    ):
        plot_audit(audit(by_hand(), device("cpu")), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_taobao(real_data):
    """Figures of the public files; views are those of train and the views held out elsewhere."""
    found = audit(load_dataset("taobao", real_data), device("cpu"))
    assert found["train"] == {"pv": 873_954, "cart": 195_476, "buy": 92_180}
    outside = {
        (a, b): one["outside"]
        for a, others in found["nestedness"].items()
        for b, one in others.items()
    }
    assert outside == {
        ("cart", "pv"): 67_498,
        ("buy", "pv"): 17_322,
        ("buy", "cart"): 73_019,
        ("pv", "cart"): 745_976,
        ("pv", "buy"): 799_096,
        ("cart", "buy"): 176_315,
    }
    assert found["visible"]["cart"] == pytest.approx(0.219, abs=5e-4)
    assert found["visible"]["pv"] == pytest.approx(0.819, abs=5e-4)
    rule = {name: (one["HR@10"], one["NDCG@10"]) for name, one in found["rules"].items()}
    assert rule["popularity"] == pytest.approx((0.0113, 0.0055), abs=5e-5)
    assert rule["own cart, at random"] == pytest.approx((0.1597, 0.0848), abs=1e-4)
    assert rule["own cart, by popularity"] == pytest.approx((0.1651, 0.0919), abs=3e-4)
    assert found["best_list"] == pytest.approx(0.0135, abs=5e-5)
    assert found["held_out_untrained"] == 89
    assert "leave out 'target'" in found["verdict"][1]


def test_retail_rocket(real_data):
    found = audit(load_dataset("retail_rocket", real_data), device("cpu"))
    assert found["visible"] == {"view": 0, "cart": 0, "any": 0}
    assert found["nestedness"]["buy"]["view"]["inside_share"] == pytest.approx(0.88, abs=5e-3)
    assert "leave out 'all'" in found["verdict"][1]
