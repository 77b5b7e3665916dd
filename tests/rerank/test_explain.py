"""Reasons of a re-ranked order, as shares and in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rerank_shops import ranker_of, rng_scores, shop

from pkef_fast import InputError, Recommender
from pkef_fast.data.patterns import pattern, row_of_each
from pkef_fast.kernels.candidates import Limits, Weights
from pkef_fast.rerank import Reranked, reasons
from pkef_fast.rerank.funnel import Funnel, features_of


def test_reasons_sum_to_the_lead_over_the_average_candidate(fitted):
    data, model = fitted
    ranker = model.ranker()
    for user in (0, 7):
        found, learned = ranker.candidates(np.array([user], np.int32))
        average = ranker.f(found.features.mean(axis=0, keepdims=True))[0]
        for item, value, reason in zip(
            found.items, learned, reasons(ranker, user, found.items), strict=True
        ):
            lead = reason.taste + reason.funnel + reason.popularity
            assert lead == pytest.approx(value - average, abs=1e-4)
            for name, csr in zip(data.behaviors, data.interactions, strict=True):
                row = csr.indices[csr.indptr[user] : csr.indptr[user + 1]]
                assert (name in reason.touched) == (item in row)


def linear(data, outer, scores=None):
    """A re-ranked order by f = Σ outer[name] · feature, of a model with these scores."""
    columns = [column.name for column in features_of(data.behaviors, data.times is not None)]
    width = len(columns)
    assert set(outer) <= set(columns)
    weights = Weights(
        np.zeros(width, np.float32),
        np.ones(width, np.float32),
        np.zeros((width, 0), np.float32),
        np.zeros(0, np.float32),
        np.array([outer.get(name, 0.0) for name in columns], np.float32),
        np.zeros(1, np.float32),
    )
    source = Funnel(data, 100, Limits(6, 3, 3, 3), 0.0, 0.9)
    return Reranked(ranker_of(rng_scores(data) if scores is None else scores), source, weights)


def told(data, outer, scores=None):
    """(item, number of its buyers, median of that over the user's candidates, reason) of some."""
    ranker = linear(data, outer, scores)
    buyers = np.bincount(data.interactions[-1].indices, minlength=data.n_items)
    for user in range(6):
        items = ranker.candidates(np.array([user], np.int32))[0].items
        usual = np.median(buyers[items])
        for item, reason in zip(items, reasons(ranker, user, items), strict=True):
            yield int(item), int(buyers[item]), usual, reason


def sparse():
    """A shop in which of four items one has no buyer, and one a single one."""
    data = shop()
    last = data.interactions[-1]
    rows, items = row_of_each(last), last.indices
    first = np.zeros(len(items), bool)
    first[np.unique(items, return_index=True)[1]] = True
    kept = (items % 4 > 1) | (first & (items % 4 == 1))
    buys = pattern(rows[kept], items[kept], data.n_users, data.n_items)
    return replace(data, interactions=(*data.interactions[:-1], buys))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("times", [False, True])
def test_words_on_sales_agree_with_their_number(sign, times):
    """Whatever f makes of sales: few may speak for an item, and many against it."""
    data = sparse()
    if times:
        data = replace(data, times=tuple(np.arange(len(one.indices)) for one in data.interactions))
    seen = set()
    for _, count, usual, reason in told(data, {"buys of the item": sign}):
        if "popularity" not in reason.text:
            continue
        number = {0: "no customer had", 1: " 1 customer had"}.get(count, f" {count} customers had")
        assert f"{number} a buy of it" in reason.text
        more, less = "more than most others" in reason.text, "less than most" in reason.text
        good = reason.popularity > 0
        assert (good, more, less) == (good, good and count > usual, not good and count < usual)
        assert ("just then" in reason.text) == (times and more)
        seen.add((min(count, 2), good))
    assert {(0, sign < 0), (1, sign < 0), (2, sign > 0)} <= seen


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_words_on_the_own_funnel_agree_with_what_is_touched(sign):
    seen = set()
    for _, _, _, reason in told(shop(), {"own view": sign, "own collect": sign}):
        if "own funnel" not in reason.text:
            continue
        if reason.touched:
            listed = " and ".join(reason.touched)
            words = f"has it in {listed}" if reason.funnel > 0 else f"has in {listed} is often left"
        else:
            words = "the customer has not touched it"
        assert words in reason.text
        seen.add((bool(reason.touched), reason.funnel > 0))
    assert seen >= {(True, sign > 0), (False, sign < 0)}


def test_words_on_taste_need_somebody_who_did_alike_things():
    data, alone = shop(), 7
    data = replace(data, interactions=tuple(without(one, data, alone) for one in data.interactions))
    scores = rng_scores(data)
    scores[:, alone] = 9  # the model alone has it among the candidates
    seen = set()
    for item, _, _, reason in told(data, {"model": 1.0}, scores):
        if "taste" in reason.text and reason.taste > 0:
            assert ("customers who do alike things go for it" in reason.text) == (item != alone)
            assert ("it is close to what this customer does" in reason.text) == (item == alone)
            seen.add(item == alone)
    assert seen == {True, False}


def without(csr, data, item):
    kept = csr.indices != item
    return pattern(row_of_each(csr)[kept], csr.indices[kept], data.n_users, data.n_items)


def test_a_share_that_rounds_to_nothing_is_not_told():
    """It would stand there as a reason of 0 %."""
    tiny = 0
    for _, _, _, reason in told(shop(), {"own view": 1.0, "buys of the item": 1e-3}):
        assert " 0% " not in reason.text
        if reason.popularity > 0 and reason.funnel > 300 * reason.popularity:
            assert reason.text.startswith("own funnel 100% ")
            assert "popularity" not in reason.text
            tiny += 1
    assert tiny


def test_each_group_gets_what_its_features_do():
    """A linear f of one feature: all of the lead is its group's."""
    data = shop()
    for name, group in (("own collect", "funnel"), ("buys of the item", "popularity"),
                        ("graph", "taste")):  # fmt: skip
        ranker = linear(data, {name: 1.0})
        found, learned = ranker.candidates(np.array([4], np.int32))
        for value, reason in zip(learned, reasons(ranker, 4, found.items), strict=True):
            lead = pytest.approx(value - learned.mean(), abs=1e-4)
            assert getattr(reason, group) == lead
            rest = {"taste", "funnel", "popularity"} - {group}
            assert all(abs(getattr(reason, one)) < 1e-5 for one in rest)


def test_explanations_are_in_words(fitted):
    data, model = fitted
    best = model.recommend([3], k=40)[3]
    (found,) = model.explain([3], [[one.item for one in best]]).values()
    assert len(found) == len(best)
    assert any("taste alone" in reason.text for reason in found)  # behind the candidates
    assert any("the customer has it in" in reason.text for reason in found)
    with pytest.raises(InputError, match="item 'x' is unknown"):
        model.explain([3], [["x"]])
    plain = Recommender("graph-rank").fit(data)
    with pytest.raises(InputError, match="only a re-ranked order can be explained"):
        plain.explain([3], [[1]])
