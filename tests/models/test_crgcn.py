"""CRGCN: who is in a batch, absent triples, its norms. What it shares: test_pairwise.py."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from shops import dense

from pkef_fast import Recommender
from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.models.crgcn import Crgcn, CrgcnConfig
from pkef_fast.models.each_user import EachUser, union
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")


def shop(behaviors=NAMES, **changes):
    return generate(**{"n_users": 40, "n_items": 30, "behaviors": behaviors, "seed": 0, **changes})


def with_rows(data, k, rows):
    """The data with the items of some users in behaviour k replaced: {user: items}."""
    csr = data.interactions[k]
    lists = [csr.indices[a:b] for a, b in zip(csr.indptr[:-1], csr.indptr[1:], strict=True)]
    for user, items in rows.items():
        lists[user] = np.array(items, np.int32)
    ends = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int32)
    changed = list(data.interactions)
    changed[k] = type(csr)(ends, np.concatenate(lists))
    return type(data)(**{**vars(data), "interactions": tuple(changed)})


def trainer_of(data, place="cpu", **changes):
    config = CrgcnConfig(d=6, batch=16).replaced(precision="float64", **changes)
    return Trainer(Crgcn(config.checked(data.behaviors), data, device(place)), data)


def sampler(data, outside="union", batch=16, seed=3):
    return EachUser(data, batch, seed, device("cpu").kernels, None, outside)


# ---- batches ------------------------------------------------------------------------------------


def test_the_union_is_what_a_user_did_by_any_behaviour():
    data = shop()
    tables = [dense(one, data.n_items) for one in data.interactions]
    found = union(data.interactions, data.n_items)
    np.testing.assert_array_equal(dense(found, data.n_items), np.any(tables, axis=0))
    assert (found.indptr.dtype, found.indices.dtype) == (np.int32, np.int32)


@pytest.mark.parametrize("outside", ["union", "own"])
def test_an_epoch_visits_every_user_once_with_a_triple_of_each_behaviour(outside):
    data = with_rows(shop(), 2, {3: [], 5: range(30)})
    batches = sampler(data, outside)
    assert [batches.size(i) for i in range(batches.steps_per_epoch)] == [16, 16, 8]
    users, *items = batches.lists(0)
    np.testing.assert_array_equal(np.sort(users), np.arange(40))
    assert not np.array_equal(users, np.arange(40))
    everything = dense(union(data.interactions, 30), 30)
    for k, csr in enumerate(data.interactions):
        own = dense(csr, 30)
        forbidden = everything if outside == "union" else own
        positives, negatives = items[2 * k : 2 * k + 2]
        # User 3 bought nothing, and user 5 everything: of the union that leaves nothing at all.
        there = own[users].any(axis=1) & ~forbidden[users].all(axis=1)
        for one in (positives, negatives):
            np.testing.assert_array_equal(one >= 0, there)
        assert own[users[there], positives[there]].all()
        assert not forbidden[users[there], negatives[there]].any()
    assert not there[users == 3] and not there[users == 5]
    again, other = sampler(data, outside).lists(0), batches.lists(1)
    for one, two in zip((users, *items), again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(users, other[0])
    by_user = [lists[1][np.argsort(lists[0])] for lists in ((users, *items), other)]
    assert not np.array_equal(*by_user)


def test_positives_are_as_likely_as_each_other_and_so_are_negatives():
    data = with_rows(shop(), 0, {7: [2, 9, 21]})
    found = []
    batches = sampler(data, "own")
    for epoch in range(600):
        users, positives, negatives, *_ = batches.lists(epoch)
        at = np.flatnonzero(users == 7)[0]
        found.append((positives[at], negatives[at]))
    positives, negatives = np.array(found).T
    counts = np.bincount(positives, minlength=30)
    assert counts[[2, 9, 21]].sum() == 600 and (np.abs(counts[[2, 9, 21]] - 200) < 60).all()
    counts = np.bincount(negatives, minlength=30)
    assert counts[[2, 9, 21]].sum() == 0 and (np.delete(counts, [2, 9, 21]) > 0).all()


# ---- the loss -----------------------------------------------------------------------------------


def test_an_absent_triple_counts_with_the_logarithm_of_two_and_passes_no_gradient():
    """Nobody bought: the mean of the third behaviour is ln 2, whatever the tables are."""
    data = with_rows(shop(), 2, dict.fromkeys(range(40), ()))
    trainer = trainer_of(data, regularization=0.0)
    values = trainer.gradients(trainer.next_batch())
    assert values["loss.bpr.2"] == pytest.approx(np.log(2), rel=1e-15)
    assert not trainer.model.parameters["bias.2.0"].grad.any()
    assert trainer.model.parameters["bias.1.0"].grad.any()
    # One of sixteen is absent: it counts among the others.
    data = shop()
    users = trainer_of(data).sampler.lists(0)[0][:16]
    one = trainer_of(with_rows(data, 0, {int(users[4]): []}))
    scores = one.model.scores(one.next_batch())[0].data
    terms = np.logaddexp(0, -(scores[:16] - scores[16:]))
    assert terms[4] == np.log(2) and (terms != np.log(2)).sum() == 15
    assert one.gradients(one.next_batch())["loss.bpr.0"] == pytest.approx(terms.mean())


def test_the_penalty_is_of_norms_and_not_of_squares():
    data = shop()
    trainer = trainer_of(data, regularization=0.7)
    model, batch = trainer.model, trainer.next_batch()
    found = trainer.gradients(batch)["loss.norms"]
    gradient = model.parameters["item_embedding"].grad
    tables = [model.parameters[f"{side}_embedding"].data for side in ("user", "item")]
    assert found == pytest.approx(0.7 * sum(map(np.linalg.norm, tables)) / 31, rel=1e-12)
    without = trainer_of(data, regularization=0.0)
    without.gradients(batch)
    wanted = 0.7 / 31 * tables[1] / np.linalg.norm(tables[1])
    difference = gradient - without.model.parameters["item_embedding"].grad
    np.testing.assert_allclose(difference, wanted, atol=1e-12)


def test_tables_of_zeros_have_a_finite_gradient():
    trainer = trainer_of(shop())
    for tensor in trainer.model.parameters.values():
        tensor.data[...] = 0
    trainer.make_step()
    assert all(np.isfinite(one.data).all() for one in trainer.model.parameters.values())


# ---- the model ----------------------------------------------------------------------------------


def test_presets_and_switches():
    paper = Crgcn.preset("paper", NAMES).checked(NAMES)
    assert (paper.bias, paper.negatives, paper.layers) == (False, "own", (1, 1, 1))
    assert Crgcn.preset("comparison", NAMES).checked(NAMES).lr == 0.01
    data = shop()
    model = Crgcn(paper.replaced(layers="2,1,0"), data, device("cpu"))
    assert set(model.parameters) == {"user_embedding", "item_embedding"}
    model = trainer_of(data, layers="2,1,0").model
    assert [n for n in model.parameters if "bias" in n] == ["bias.0.0", "bias.0.1", "bias.1.0"]
    fields = {"d": 6, "batch": 16, "epochs": 1}
    own, union = (Recommender("crgcn", **fields, negatives=n).fit(data) for n in ("own", "union"))
    assert own.history != union.history


def test_each_behaviour_adds_rows_of_length_one():
    """|X^k − X^{k−1}| is 1, and 0 for a node without neighbours and bias."""
    data = with_rows(shop(), 0, {6: []})
    model = trainer_of(data).model
    states = [one.data for one in model.states(model.parameters)]
    for before, after in itertools.pairwise(states):
        lengths = np.linalg.norm(after - before, axis=1)
        assert np.isclose(lengths, 1).sum() > 60
        assert (np.isclose(lengths, 1) | (lengths == 0)).all()
    assert np.linalg.norm(states[1] - states[0], axis=1)[6] == 0
