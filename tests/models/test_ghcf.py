"""GHCF: its batches, λ and dropout, all pairs by brute force. The rest: test_pairwise.py."""

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
from pkef_fast.errors import InputError
from pkef_fast.models.ghcf import Ghcf, GhcfConfig, coefficients_of
from pkef_fast.models.user_batches import UserBatches
from pkef_fast.tape.autograd import no_grad
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")
DROPS = {"edge_dropout": 0.3, "message_dropout": 0.4}


def shop(behaviors=NAMES, **changes):
    return generate(**{"n_users": 40, "n_items": 30, "behaviors": behaviors, "seed": 0, **changes})


def trainer_of(data, place="cpu", **changes):
    config = GhcfConfig(d=6, batch=16, layers=2).replaced(precision="float64", **changes)
    return Trainer(Ghcf(config.checked(data.behaviors), data, device(place)), data)


# ---- batches ------------------------------------------------------------------------------------


def test_an_epoch_has_every_user_once_with_all_that_they_did_and_all_items():
    data = shop()
    batches = UserBatches(data, (0, 2), 16, 3, device("cpu").kernels, None)
    assert [batches.size(i) for i in range(batches.steps_per_epoch)] == [16, 16, 8]
    seen = []
    for step in range(3):
        batch = batches.batch(step)
        users, items = np.split(batch.nodes, [batch.users])
        np.testing.assert_array_equal(items, np.arange(40, 70))
        seen.append(users)
        assert set(batch.pairs) == {0, 2} and batch.step == step
        for k, pairs in batch.pairs.items():
            found = np.zeros((40, 30), bool)
            found[batch.nodes[pairs.left], batch.nodes[pairs.right] - 40] = True
            wanted = dense(data.interactions[k], 30)
            wanted[np.setdiff1d(np.arange(40), users)] = False
            np.testing.assert_array_equal(found, wanted)
            assert len(pairs.left) == np.count_nonzero(wanted)
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(40))
    other = batches.batch(3).nodes
    assert not np.array_equal(other[:16], seen[0])
    np.testing.assert_array_equal(batches.batch(0).nodes[:16], seen[0])


@pytest.mark.emulator
def test_a_batch_of_fixed_shape_has_room_for_those_who_did_most():
    data = shop()
    batches = UserBatches(data, (0, 1, 2), 16, 3, emulated().kernels, None)
    batches.begin_epoch(0)
    for index in range(3):
        size = batches.size(index)
        fixed = batches.slots(np.array([index, index], np.uint32), size)
        free = batches.batch(index)
        np.testing.assert_array_equal(fixed.nodes, free.nodes)
        for k, pairs in fixed.pairs.items():
            degrees = np.sort(np.diff(data.interactions[k].indptr))[::-1]
            assert len(pairs.left) == degrees[:16].sum()
            n = len(free.pairs[k].left)
            np.testing.assert_array_equal(pairs.left[:n], free.pairs[k].left)
            np.testing.assert_array_equal(pairs.right[:n], free.pairs[k].right)
            assert (pairs.left[n:] == -1).all() and (pairs.right[n:] == -1).all()


# ---- the loss -----------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 0.1, 1.0])
def test_the_loss_is_the_brute_force_sum_over_all_pairs_up_to_a_constant(weight):
    """Σ c·(y − s)² over users of the batch and all items, less the number that met."""
    data = shop()
    trainer = trainer_of(data, negative_weight=weight, regularization=0.3)
    model, batch = trainer.model, trainer.next_batch()
    losses = model.losses(batch)
    with no_grad():
        Z, relation = (one.data for one in model.representations(model.parameters))
    z = Z[batch.nodes]
    users = batch.nodes[: batch.users]
    for k in range(3):
        met = dense(data.interactions[k], 30)[users]
        scores = (z[: batch.users] * relation[k]) @ z[batch.users :].T
        errors = np.where(met, 1, weight) * (met - scores) ** 2
        wanted = errors.sum() - np.count_nonzero(met)
        assert losses[f"loss.{k}"].data == pytest.approx(wanted, rel=1e-10)
    assert losses["loss.rows"].data == pytest.approx(0.15 * np.sum(z * z), rel=1e-12)


def test_a_behaviour_without_weight_is_not_seen():
    """λ weighs messages too: another view graph changes nothing, and its relation stays."""
    weights = (0.0, 5 / 6, 1 / 6)
    data, other = shop(), shop(seed=1)
    mixed = type(data)(
        **{**vars(data), "interactions": (other.interactions[0], *data.interactions[1:])}
    )
    one, two = (trainer_of(each, coefficients=weights) for each in (data, mixed))
    before = one.model.parameters["relation"].data[0].copy()
    for _ in range(3):
        assert one.make_step() == two.make_step()
    np.testing.assert_array_equal(one.model.parameters["relation"].data[0], before)
    assert one.model.reads == ("cart", "buy")
    assert "loss.0" not in one.epoch_losses()
    assert trainer_of(data).make_step() != trainer_of(mixed).make_step()


def test_the_loss_falls_and_two_users_have_their_own_rankings():
    data = generate(n_users=120, n_items=60, behaviors=NAMES, seed=1)
    model = Recommender("ghcf", d=16, batch=32, epochs=60, lr=0.01, patience=None).fit(data)
    first, last = model.history[0], model.history[-1]
    counts = [len(csr.indices) / 4 for csr in data.interactions]  # a batch's, of four
    for k, count in enumerate(counts):  # less the constant: what is left of the squared error
        assert last[f"loss.{k}"] + count < 0.7 * (first[f"loss.{k}"] + count)
    assert model.evaluate(data)["HR@10"] > 10 / data.n_items
    one, two = model.recommend([0, 1], 5).values()
    assert [item.item for item in one] != [item.item for item in two]


# ---- dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rates", [{"edge_dropout": 0.5}, {"message_dropout": 0.5}, DROPS])
def test_with_dropout_the_gradient_is_that_of_central_differences(rates):
    trainer, rng = trainer_of(shop(), "reference", **rates), np.random.default_rng(0)
    check_gradients(trainer, trainer.next_batch(), rng, 1e-6, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("rates", [{"edge_dropout": 0.5}, {"message_dropout": 0.5}])
def test_every_step_drops_anew_and_ranking_drops_nothing(rates):
    data = shop()
    plain, dropped = trainer_of(data).model, trainer_of(data, **rates).model
    with no_grad():
        one, two, again = (
            dropped.representations(dropped.parameters, step)[0].data for step in (0, 1, 0)
        )
        whole = plain.representations(plain.parameters)[0].data
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, two) and not np.allclose(one, whole)
    users = np.arange(40)
    np.testing.assert_array_equal(dropped.ranker().scores(users), plain.ranker().scores(users))


def test_with_dropout_resuming_continues_bit_for_bit(tmp_path):
    data, fields = shop(), {"d": 6, "batch": 16, "epochs": 4, "patience": None, **DROPS}
    whole = Recommender("ghcf", **fields).fit(data, out=tmp_path / "whole", eval_every=1)
    asked, cut = [], tmp_path / "cut"

    def stop():
        asked.append(1)
        return len(asked) == 5

    Recommender("ghcf", **fields).fit(data, out=cut, eval_every=1, should_stop=stop)
    again = Recommender("ghcf", **fields).fit(data, out=cut, eval_every=1, resume=True)
    assert again.history == whole.history
    assert (cut / "model.npz").read_bytes() == (tmp_path / "whole/model.npz").read_bytes()


@pytest.mark.emulator
def test_with_dropout_devices_agree(monkeypatch):
    """Also where a recorded step is replayed: its clock counts, and each step drops anew."""
    monkeypatch.setattr("pkef_fast.train.fit.warm_up", lambda *args: None)
    fields = {"d": 4, "batch": 16, "layers": 2, "precision": "float64", "epochs": 2, **DROPS}
    places = ("cpu", emulated(), devices.on(Recorder(), "recorder", capture=True))
    wanted, *others = (
        Recommender("ghcf", device=place, patience=None, **fields).fit(shop()) for place in places
    )
    for other in others:
        for key, value in wanted.model.stored().items():
            found = other.model.stored()[key]
            np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-12, err_msg=key)


# ---- its config ---------------------------------------------------------------------------------


def test_coefficients_are_the_releases_for_three_behaviours_and_sum_to_one():
    assert coefficients_of(3, 1 / 6) == pytest.approx((1 / 6, 4 / 6, 1 / 6))
    assert coefficients_of(3, 0.0) == pytest.approx((0, 5 / 6, 1 / 6))
    for n in range(1, 6):
        for first in (0.0, 1 / 6):
            found = coefficients_of(n, first)
            assert len(found) == n and sum(found) == pytest.approx(1) and found[-1] > 0


def test_presets_hold_the_releases_values():
    taobao, beibei = (Ghcf.preset(one, NAMES).checked(NAMES) for one in Ghcf.presets[1:])
    for one in (taobao, beibei):
        assert (one.layers, one.d, one.batch, one.epochs) == (4, 64, 256, 500)
        assert (one.edge_dropout, one.message_dropout) == (0.1, 0.2)
    assert (taobao.negative_weight, taobao.regularization) == (0.01, 0.01)
    assert (beibei.negative_weight, beibei.regularization) == (0.1, 10)
    assert beibei.coefficients == pytest.approx((0, 5 / 6, 1 / 6))
    plain = Ghcf.preset(Ghcf.default_preset("Beibei"), NAMES)
    assert (plain.edge_dropout, plain.message_dropout) == (0, 0)


def test_wrong_fields_are_named():
    for changes, sentence in (
        (
            {"coefficients": (1.0,)},
            "'coefficients' has 1 values, 1.0; wanted one for each of the 3",
        ),
        ({"coefficients": (1.0, 0.0, 0.0)}, "wanted more than 0 for the target behaviour"),
        ({"edge_dropout": 1.0}, "'edge_dropout' cannot be 1.0; wanted less than 1"),
        ({"message_dropout": 1.0}, "'message_dropout' cannot be 1.0; wanted less than 1"),
    ):
        with pytest.raises(InputError, match=sentence):
            GhcfConfig(**changes).checked(NAMES)


def test_one_behaviour_and_no_layers_and_nobodys_pairs():
    """A shop of purchases alone, by E itself, and users without any: finite steps."""
    for data, changes in ((shop(("buy",)), {}), (shop(), {"layers": 0}), (shop(keep=0.2), {})):
        trainer = trainer_of(data, **changes)
        for _ in range(4):
            assert np.isfinite(trainer.make_step())
