"""Reasons of a re-ranked order, as shares and in words."""

from __future__ import annotations

import numpy as np
import pytest
from rerank_shops import ranker_of, rng_scores, shop

from pkef_fast import InputError, Recommender
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


def test_each_group_gets_what_its_features_do():
    """A linear f of one feature: all of the lead is its group's."""
    data = shop()
    source = Funnel(data, 100, Limits(6, 3, 3), 0.0, 0.9)
    columns = features_of(data.behaviors)
    for name, group in (("own cart", "funnel"), ("buys of the item", "popularity"),
                        ("graph", "taste")):  # fmt: skip
        outer = np.array([float(column.name == name) for column in columns], np.float32)
        width = len(columns)
        weights = Weights(
            np.zeros(width, np.float32),
            np.ones(width, np.float32),
            np.zeros((width, 0), np.float32),
            np.zeros(0, np.float32),
            outer,
            np.zeros(1, np.float32),
        )

        ranker = Reranked(ranker_of(rng_scores(data)), source, weights)
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
