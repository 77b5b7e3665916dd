"""The small network of the re-ranker: gradients, what it finds, when it stops."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.device import device
from pkef_fast.rerank import learner as learning
from pkef_fast.rerank.learner import Learner, Questions, ndcg, together
from pkef_fast.tape import ops
from pkef_fast.tape.autograd import Tensor, backward


def test_the_gradient_of_the_loss_is_that_of_central_differences():
    random = np.random.default_rng(0)
    x = random.normal(size=(7, 1))
    places = np.array([0, 1, 2, 4, 5, 8, 9])
    answers = np.array([1, 0, 1])

    def loss(values):
        tensor = Tensor(values, device("reference"), requires_grad=True)
        table = learning.padded(tensor, places=places, shape=(3, 4))
        return tensor, ops.cross_entropy(table, answers=answers)

    tensor, value = loss(x)
    by_hand = [np.log(np.exp(x[r, 0]).sum()) - x[r[a], 0] for r, a in zip(
        (np.arange(3), np.arange(3, 5), np.arange(5, 7)), answers, strict=True)]  # fmt: skip
    assert float(value.data) == pytest.approx(np.mean(by_hand))
    backward(value)
    for n in range(7):
        ends = []
        for h in (1e-6, -1e-6):
            moved = x.copy()
            moved[n] += h
            ends.append(float(loss(moved)[1].data))
        assert tensor.grad[n, 0] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def planted(seed, n=150, curved=False):
    """Users with 5 to 9 candidates; the answer is the best by a rule of two of three features."""
    random = np.random.default_rng(seed)
    parts = []
    for _ in range(n):
        x = random.normal(size=(random.integers(5, 10), 3)).astype(np.float32)
        rule = -np.abs(x[:, 0]) if curved else x[:, 0] - 0.5 * x[:, 2]
        indptr = np.array([0, len(x)])
        parts.append(Questions(indptr, x * 5 + 2, np.array([np.argmax(rule)]), 0 * x[:, 0]))
    return together(parts)


@pytest.mark.parametrize(("hidden_places", "curved", "least"), [(0, False, 0.97), (8, True, 0.9)])
def test_a_planted_rule_is_found(hidden_places, curved, least):
    learner = Learner(hidden_places, 0.05, 1000, 0.0, 12, 12, 16, 0, device("cpu"))
    train, check = planted(0, curved=curved), planted(1, curved=curved)
    weights, records = learner.learn(train, check)
    assert max(one["NDCG@10"] for one in records) > least
    again, _ = learner.learn(train, check)
    assert all(np.array_equal(a, b) for a, b in zip(weights, again, strict=True))
    if not hidden_places:
        effect = weights.outer * weights.scale
        assert effect[2] / effect[0] == pytest.approx(-0.5, abs=0.1)


def test_thinning_keeps_answers_and_the_sum_of_a_softmax():
    random = np.random.default_rng(0)
    whole = planted(0, n=2000)
    whole.answers[::10] = -1
    always = random.random(len(whole.features)) < 0.3
    scores = 0.1 * random.normal(size=len(whole.features))
    ids = np.arange(len(whole.features), dtype=np.float32)[:, None]
    few = whole._replace(features=ids).thinned(always, 0.25, random)
    rows = few.features[:, 0].astype(int)
    answered = whole.indptr[:-1][whole.answers >= 0] + whole.answers[whole.answers >= 0]
    weights = np.exp(few.offsets)
    weights[np.isin(rows, answered)] = 0  # they are always there
    others = ~np.isin(np.arange(len(ids)), answered)
    total = (np.exp(scores[rows]) * weights).sum() / np.exp(scores[others]).sum()
    assert total == pytest.approx(1, abs=0.03)
    assert np.array_equal(few.answers < 0, whole.answers < 0)
    for n in np.flatnonzero(whole.answers >= 0):
        assert rows[few.indptr[n] + few.answers[n]] == whole.indptr[n] + whole.answers[n]
    assert set(np.flatnonzero(always)) <= set(rows)


def test_learning_stops_early_and_keeps_the_best():
    train = planted(0, n=30)
    noise = planted(1)
    noise = noise._replace(answers=np.zeros_like(noise.answers))
    learner = Learner(4, 0.1, 1000, 0.0, 50, 2, 8, 0, device("cpu"))
    weights, records = learner.learn(train, noise)
    assert len(records) < 50
    best = min(range(len(records)), key=lambda n: records[n]["check loss"])
    assert best == len(records) - 3
    x = (noise.features - weights.mean) * weights.scale
    scores = np.maximum(x @ weights.inner + weights.inner_bias, 0) @ weights.outer
    assert ndcg(noise, scores) == pytest.approx(records[best]["NDCG@10"], abs=1e-6)
