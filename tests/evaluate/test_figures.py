"""Full ranking: who is ranked among what, and figures against an independent library."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score, top_k_accuracy_score

from pkef_fast import PKEF
from pkef_fast.data import Csr, generate
from pkef_fast.device import device
from pkef_fast.evaluate.figures import evaluate, figures, popularity
from pkef_fast.evaluate.rankers import TableRanker
from pkef_fast.kernels.rank import DotScorer


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    users=st.integers(1, 30),
    items=st.integers(21, 60),
    cutoff=st.integers(1, 20),
)
def test_figures_equal_those_of_scikit_learn(seed, users, items, cutoff):
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(items, dtype=float), (users, 1)), axis=1)  # no ties
    held_out = rng.integers(0, items, users)
    ranks = np.sum(scores > scores[np.arange(users), held_out][:, None], axis=1)
    truth = np.zeros((users, items), int)
    truth[np.arange(users), held_out] = 1
    found = figures(ranks, (cutoff,))
    hit = top_k_accuracy_score(held_out, scores, k=cutoff, labels=np.arange(items))
    assert found[f"HR@{cutoff}"] == pytest.approx(hit)
    assert found[f"NDCG@{cutoff}"] == pytest.approx(ndcg_score(truth, scores, k=cutoff))
    assert found["MRR"] == pytest.approx(label_ranking_average_precision_score(truth, scores))


def test_one_hit_scores_between_its_two_bounds():
    for rank in range(10):
        found = figures(np.array([rank]), (10,))
        assert found["HR@10"] == 1
        assert 0.289 <= found["NDCG@10"] <= 1
    assert figures(np.array([10]), (10,))["NDCG@10"] == 0


def shop():
    return generate(n_users=30, n_items=25, seed=1)


def test_train_target_items_are_no_candidates_but_other_behaviours_items_are():
    data = shop()
    n_items = data.n_items
    # every user scores items by falling number, so a rank counts the candidates before an item
    scorer = DotScorer(
        np.ones((data.n_users, 1), np.float32), -np.arange(n_items, dtype=np.float32)[:, None]
    )
    result = evaluate(TableRanker(scorer, device("cpu")), data)
    target = data.interactions[-1]
    for rank, user, item in zip(result.ranks, data.test_users, data.test_items, strict=True):
        bought = set(target.indices[slice(*target.indptr[user : user + 2])].tolist())
        assert rank == sum(1 for i in range(item) if i not in bought)


def test_users_without_a_test_item_are_skipped():
    data = shop()
    some = dataclasses.replace(
        data, test_users=data.test_users[::3], test_items=data.test_items[::3]
    )
    model = PKEF(d=4, epochs=1).fit(data)
    whole, part = model.evaluate(data), model.evaluate(some)
    assert part.users == len(some.test_users)
    np.testing.assert_array_equal(part.ranks, whole.ranks[::3])


def test_without_any_test_item_there_are_no_figures():
    data = shop()
    none = np.empty(0, np.int32)
    model = PKEF(d=4, epochs=1).fit(data)
    result = model.evaluate(dataclasses.replace(data, test_users=none, test_items=none))
    assert result.users == 0
    assert all(np.isnan(value) for value in result.values())
    assert result.nothing == "nothing was evaluated: no held-out items"
    assert model.evaluate(data).nothing == ""


def test_popularity_ranks_by_purchases_then_number():
    data = shop()
    counts = np.bincount(data.interactions[-1].indices, minlength=data.n_items)
    empty = Csr(np.zeros(data.n_users + 1, np.int32), np.empty(0, np.int32))
    everything = dataclasses.replace(data, interactions=(*data.interactions[:2], empty))
    result = evaluate(popularity(data, device("cpu")), everything)
    order = np.lexsort((np.arange(data.n_items), -counts))
    np.testing.assert_array_equal(result.ranks, np.argsort(order)[data.test_items])


def test_ties_are_counted():
    data = shop()
    dead = DotScorer(np.zeros((data.n_users, 1), np.float32), np.zeros((25, 1), np.float32))
    result = evaluate(TableRanker(dead, device("cpu")), data)
    assert result.ties == len(data.test_users)


def test_scores_of_the_model_are_those_of_its_training_pairs():
    """The ranking's fast form and the training's pair scores are one function."""
    from pkef_fast.models.pkef.sampling import Rows, Term, compacted

    data = shop()
    for name in ("official", "paper"):
        for head in ("pme", "bilinear"):
            model = PKEF(name, precision="float64", d=6, epochs=1, head=head).fit(data).model
            users = np.repeat(np.arange(data.n_users, dtype=np.int32), data.n_items)
            items = np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)
            term = Term(2)
            batch = compacted(
                {term: Rows(users, items, items)}, data.n_users, data.n_items, model.device.kernels
            )
            pairs = model.scores(batch)["cascade", term].data[: len(users)]
            everybody = np.arange(data.n_users, dtype=np.int32)
            found = model.device.kernels.rank.scores(model.scorer(), everybody)
            np.testing.assert_allclose(found.ravel(), pairs, rtol=1e-9, atol=1e-12)


def test_recommend_agrees_with_the_ranking():
    data = shop()
    model = PKEF(d=4, epochs=2).fit(data)
    result = model.evaluate(data)
    best = model.recommend(data.test_users.tolist(), k=5)
    for rank, user, item in zip(result.ranks, data.test_users, data.test_items, strict=True):
        listed = [one.item for one in best[user]]
        assert (item in listed) == (rank < 5)
        if rank < 5:
            assert listed[rank] == item
