"""MBGCN: dense by hand, item-item term, dropout, starts, divergence. The rest: test_pairwise.py."""

from __future__ import annotations

import numpy as np
import pytest
from forms import emulated
from gradient_checks import check_gradients
from recorder import Recorder
from shops import dense

from pkef_fast import Recommender
from pkef_fast import device as devices
from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.errors import InputError, TrainingError
from pkef_fast.models.mbgcn import Mbgcn, MbgcnConfig
from pkef_fast.train.start import Start, begin
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")
DROPS = {"node_dropout": 0.3, "message_dropout": 0.3}
EVERYBODY = np.arange(40)


def shop(behaviors=NAMES, **changes):
    return generate(**{"n_users": 40, "n_items": 30, "behaviors": behaviors, "seed": 0, **changes})


def trainer_of(data, place="cpu", **changes):
    config = MbgcnConfig(d=6, batch=16).replaced(precision="float64", **changes)
    trainer = Trainer(Mbgcn(config.checked(data.behaviors), data, device(place)), data)
    rng = np.random.default_rng(0)
    for tensor in trainer.model.parameters.values():
        tensor.data += 0.3 * rng.normal(size=tensor.shape)
    return trainer


def by_hand(data, p, item, lam, binary):
    """Scores (U, I) by dense matrices, from the equations."""
    M = [dense(one, data.n_items).astype(float) for one in data.interactions]
    K, E_u, E_i, w = len(M), p["user_embedding"], p["item_embedding"], p["behavior_weight"]

    def mean(m, x):
        return m @ x / np.maximum(m.sum(axis=1, keepdims=True), 1e-300)

    n = np.stack([m.sum(axis=1) for m in M], axis=1)
    a = n * w / np.where(n.any(axis=1), (n * w).sum(axis=1), 1)[:, None]
    h = sum(a[:, [k]] * mean(M[k], E_i) for k in range(K))
    met = M[-1].T @ E_u if item == "sum" else mean(M[-1].T, E_u)
    s = E_u @ E_i.T + (h @ p["propagate"]) @ (met @ p["propagate"]).T
    for k, m in enumerate(M):
        V, B = p[f"item_item.{k}.weight"], p[f"item_item.{k}.score"]
        joined = mean((m.T @ m > 0) * 1.0, E_i) if binary else mean(m.T, mean(m, E_i))
        S = np.concatenate([E_i, joined @ V], axis=1)
        s += lam / K * (mean(m, S) @ B) @ S.T
    return s


@pytest.mark.parametrize("item", ["mean", "sum"])
@pytest.mark.parametrize(("lam", "graph"), [(0.0, "counted"), (1.0, "counted"), (0.5, "binary")])
def test_scores_are_those_of_dense_matrices(item, lam, graph):
    """Also for a user without anything and an item that nobody met."""
    data = shop(degree=3.0)
    model = trainer_of(data, item=item, item_item=lam, item_graph=graph).model
    stored = model.stored()
    wanted = by_hand(data, stored, item, lam, graph == "binary")
    found = model.ranker().scores(EVERYBODY)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())


def test_a_batchs_scores_are_the_rankings():
    trainer = trainer_of(shop(), item_item=0.7)
    batch = trainer.next_batch()
    scores, _ = trainer.model.scores(batch)
    everything = trainer.model.ranker().scores(EVERYBODY)
    users, items = batch.nodes[batch.pairs.left], batch.nodes[batch.pairs.right] - 40
    np.testing.assert_allclose(scores.data, everything[users, items], rtol=1e-12)


def test_the_penalty_counts_a_triples_user_twice():
    trainer = trainer_of(shop(), regularization=0.5)
    batch = trainer.next_batch()
    _, F = trainer.model.scores(batch)
    squares = np.sum(F.data**2, axis=1)
    n = batch.count
    users, items = squares[batch.pairs.left[:n]], squares[batch.pairs.right]
    wanted = 0.5 * (2 * users.sum() + items.sum()) / n
    found = trainer.model.losses(batch)["loss.rows"].data
    assert found == pytest.approx(wanted, rel=1e-12)


def test_without_the_item_item_score_its_matrices_have_no_gradient_and_stay():
    trainer = trainer_of(shop(), item_item=0.0)
    before = {name: one.copy() for name, one in trainer.model.stored().items()}
    trainer.gradients(trainer.next_batch())
    for name, tensor in trainer.model.parameters.items():
        assert (tensor.grad is None) == name.startswith("item_item"), name
    trainer.make_step()
    for name, value in trainer.model.stored().items():
        assert np.array_equal(value, before[name]) == name.startswith("item_item"), name


@pytest.mark.parametrize(
    "changes",
    [
        {"item": "sum", "item_item": 1.0},
        {"item_item": 0.5, "item_graph": "binary"},
        {"item_item": 0.5, **DROPS},
        {"item_item": 0.5, "item_graph": "binary", **DROPS},
    ],
)
def test_every_switchs_gradient_is_that_of_central_differences(changes):
    trainer, rng = trainer_of(shop(), "reference", **changes), np.random.default_rng(0)
    check_gradients(trainer, trainer.next_batch(), rng, 1e-6, rel=1e-6, abs=1e-9)


# ---- dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", DROPS)
def test_every_step_drops_anew_and_ranking_drops_nothing(rate):
    data = shop()
    plain, dropped = trainer_of(data), trainer_of(data, **{rate: 0.5})
    batch = plain.next_batch()

    def scores(trainer, step):
        return trainer.model.scores(batch._replace(step=step))[0].data

    whole = scores(plain, 0)
    np.testing.assert_array_equal(scores(plain, 1), whole)
    np.testing.assert_array_equal(scores(dropped, 1), scores(dropped, 1))
    assert not np.allclose(scores(dropped, 0), scores(dropped, 1))
    assert not np.allclose(scores(dropped, 0), whole)
    found, wanted = (one.model.ranker().scores(EVERYBODY) for one in (dropped, plain))
    np.testing.assert_array_equal(found, wanted)


def test_with_dropout_resuming_continues_bit_for_bit(tmp_path):
    data, fields = shop(), {"d": 6, "batch": 16, "epochs": 4, "patience": None, **DROPS}
    whole = Recommender("mbgcn", **fields).fit(data, out=tmp_path / "whole", eval_every=1)
    asked, cut = [], tmp_path / "cut"

    def stop():
        asked.append(1)
        return len(asked) == 5

    Recommender("mbgcn", **fields).fit(data, out=cut, eval_every=1, should_stop=stop)
    again = Recommender("mbgcn", **fields).fit(data, out=cut, eval_every=1, resume=True)
    assert again.history == whole.history
    assert (cut / "model.npz").read_bytes() == (tmp_path / "whole/model.npz").read_bytes()


@pytest.mark.emulator
@pytest.mark.parametrize(
    "changes", [{"item": "sum", **DROPS}, {"item_graph": "binary", **DROPS}, {"item_item": 0.0}]
)
def test_with_every_switch_devices_agree(changes, monkeypatch):
    """Also where a recorded step is replayed."""
    monkeypatch.setattr("pkef_fast.train.fit.warm_up", lambda *args: None)
    fields = {"d": 4, "batch": 64, "precision": "float64", "epochs": 2, "patience": None}
    places = ("cpu", emulated(), devices.on(Recorder(), "recorder", capture=True))
    wanted, *others = (
        Recommender("mbgcn", device=place, **fields, **changes).fit(shop()) for place in places
    )
    for other in others:
        for key, value in wanted.model.stored().items():
            found = other.model.stored()[key]
            np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-12, err_msg=key)


# ---- how it begins, and how it may end ----------------------------------------------------------


def test_tables_and_matrices_begin_as_the_config_says():
    data = shop(n_users=400, n_items=300)
    plain, normal = (
        Mbgcn(MbgcnConfig(d=64, init=one).checked(NAMES), data, device("cpu")).stored()
        for one in ("xavier", "normal")
    )
    for name, value in normal.items():
        if name == "behavior_weight":
            np.testing.assert_array_equal(value, 1)
            np.testing.assert_array_equal(plain[name], 1)
            continue
        std = np.sqrt(2 / sum(value.shape))
        assert value.std() == pytest.approx(std, rel=0.05), name
        assert np.abs(plain[name]).max() <= np.sqrt(3) * std < np.abs(value).max()


@pytest.mark.parametrize("unit", [False, True])
def test_it_starts_from_a_trained_mf_with_rows_of_length_one_where_that_is_asked(unit):
    data = shop()
    first = Recommender("mf-bpr", d=6, batch=16, epochs=2, patience=None).fit(data)
    values = first.model.stored()
    model = trainer_of(data, unit_start=unit, average=0.9).model
    weight = model.parameters["propagate"].data.copy()
    begin(model, Start("that run", values))
    for name in ("user_embedding", "item_embedding"):
        wanted = values[name].astype(float)
        if unit:
            wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        for one in (model.parameters[name], model.ranking[name]):
            np.testing.assert_allclose(one.data, wanted, rtol=1e-6)
    np.testing.assert_array_equal(model.parameters["propagate"].data, weight)


@pytest.mark.parametrize("lr", [1e-3, 1e30])
def test_raw_item_sums_in_a_busy_shop_train_or_stop_with_a_sentence(lr):
    """d = 64, everybody bought about half of everything, as the release sums and starts."""
    data = shop(n_users=200, n_items=60, degree=40.0)
    fields = {"d": 64, "item": "sum", "item_item": 1.0, "init": "normal", "batch": 256}
    model = Recommender("mbgcn", **fields, epochs=5, lr=lr, patience=None)
    if lr > 1:
        with pytest.raises(TrainingError, match=r"step \d+ .* is not finite, so training stopped"):
            model.fit(data)
        return
    losses = [one["loss"] for one in model.fit(data).history]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_wrong_fields_are_named():
    for name in DROPS:
        with pytest.raises(InputError, match=f"'{name}' cannot be 1.0; wanted less than 1"):
            MbgcnConfig(**{name: 1.0}).checked(NAMES)
    release = Mbgcn.preset("release", NAMES)
    assert (release.lr, release.item, release.item_item) == (3e-4, "sum", 1.0)
    assert (release.node_dropout, release.message_dropout, release.init) == (0.2, 0.2, "normal")
