"""GNMR: its batches, its layers, and that it stops where sums grow too large.

What it shares with others, resuming, devices, memory and commands, is in test_pairwise.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from forms import emulated
from shops import csr_of, dense

from pkef_fast import Recommender
from pkef_fast.cli import main
from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.errors import InputError, TrainingError
from pkef_fast.models.gnmr import Gnmr, GnmrConfig
from pkef_fast.models.triples import SomePerUser
from pkef_fast.tape.autograd import no_grad
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")


def shop(behaviors=NAMES, **changes):
    return generate(**{"n_users": 40, "n_items": 30, "behaviors": behaviors, "seed": 0, **changes})


def trainer_of(data, place="cpu", **changes):
    small = {"d": 6, "batch": 8, "samples_per_user": 5, "precision": "float64"}
    config = GnmrConfig().replaced(**{**small, **changes})
    return Trainer(Gnmr(config.checked(data.behaviors), data, device(place)), data)


# ---- batches ------------------------------------------------------------------------------------


def sampler(data, batch=8, take=20, samples=5, seed=3):
    kernels = device("cpu").kernels
    return SomePerUser(data, batch, take, samples, seed, kernels, None, np.float64)


def with_target(data, change):
    """The data with the target's table of truth values changed in place."""
    table = dense(data.interactions[-1], data.n_items)
    change(table)
    interactions = (*data.interactions[:-1], csr_of(table))
    return type(data)(**{**vars(data), "interactions": interactions})


def test_each_user_of_an_epoch_has_as_many_positives_and_negatives():
    def change(table):
        table[3], table[5] = False, True  # nothing, and everything

    data = with_target(shop(), change)
    batches, target = sampler(data), dense(data.interactions[-1], data.n_items)
    users, positives, negatives = batches.lists(0)
    found, counts = np.unique(users, return_counts=True)
    assert len(found) == 20
    assert set(counts) == {5}
    assert not {3, 5} & set(sampler(data, take=40).lists(0)[0])
    assert target[users, positives].all()
    assert not target[users, negatives].any()
    assert max(target[found].sum(axis=1)) < 30 and min(target[found].sum(axis=1)) < 5
    assert [batches.size(index) for index in range(batches.steps_per_epoch)] == [40, 40, 20]
    np.testing.assert_array_equal(sampler(data).lists(0), (users, positives, negatives))
    assert not np.array_equal(np.unique(batches.lists(1)[0]), found)
    other = sampler(data, take=40)
    first, second = (one[1][np.argsort(one[0])] for one in (other.lists(0), other.lists(1)))
    assert not np.array_equal(first, second)


def test_a_batch_knows_its_users_who_stand_first():
    data = shop()
    batches = sampler(data)
    for step in (0, 2, 4):
        batch = batches.batch(step)
        triples, index = batch.triples, step % 3
        users = batches.lists(step // 3)[0][index * 40 : index * 40 + batches.size(index)]
        assert batch.users == len(set(users.tolist()))
        np.testing.assert_array_equal(triples.nodes[: batch.users], np.unique(users))
        assert (triples.nodes[batch.users :] >= data.n_users).all()
        assert triples.count == len(users)


# ---- the model ----------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", ["raw", "row"])
@pytest.mark.parametrize("loss", ["hinge", "bpr"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_gradient_is_that_of_central_differences(normalization, loss, layers):
    fields = {"normalization": normalization, "loss": loss, "layers": layers, "memory": 3}
    trainer = trainer_of(shop(), "reference", score_scale=2.0, **fields)
    model, rng = trainer.model, np.random.default_rng(0)
    for key, tensor in model.parameters.items():
        tensor.data += 0.2 * rng.normal(size=tensor.shape)
        if ".slot." in key and key.endswith("bias"):
            tensor.data += 0.3  # most slots are open
    batch = trainer.next_batch()
    trainer.gradients(batch)
    gradients = {key: one.grad.copy() for key, one in model.parameters.items()}
    largest = max(np.abs(one).max() for one in gradients.values())
    for key, tensor in model.parameters.items():
        # Neither a softmax nor a pair's loss sees what is added to all that it compares.
        if not key.endswith(("gate.1.bias", "predict.1.bias")):
            assert np.any(gradients[key] != 0), key
        direction = rng.normal(size=tensor.shape) / np.sqrt(tensor.data.size)
        start, ends = tensor.data.copy(), []
        for h in (1e-7, -1e-7):
            tensor.data[...] = start + h * direction
            ends.append(trainer.gradients(batch)["loss.data"])
        tensor.data[...] = start
        exact = np.sum(gradients[key] * direction)
        found = (ends[0] - ends[1]) / 2e-7
        assert found == pytest.approx(exact, rel=1e-5, abs=1e-6 * largest), key


def test_the_last_layer_is_made_for_the_batch_as_for_everybody():
    trainer = trainer_of(shop(), layers=3)
    model, batch = trainer.model, trainer.next_batch()
    nodes = batch.triples.nodes
    with no_grad():
        everybody = model.representations(model.parameters).data
        some = model.representations(model.parameters, nodes, batch.users).data
    np.testing.assert_allclose(some, everybody[nodes], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "place", ["reference", "cpu", pytest.param("emulator", marks=pytest.mark.emulator)]
)
def test_all_pairs_score_as_a_batch_does(place):
    place = emulated() if place == "emulator" else place
    trainer = trainer_of(shop(), place)
    for tensor in trainer.model.parameters.values():
        tensor.data += 0.3 * np.random.default_rng(1).normal(size=tensor.shape)
    batch, data = trainer.next_batch(), trainer.dataset
    scores = trainer.model.scores(batch).data
    nodes, pairs = batch.triples.nodes, batch.triples.pairs
    if trainer.model.order is not None:
        nodes = trainer.model.order.nodes[nodes]
    users, items = nodes[pairs.left], nodes[pairs.right] - data.n_users
    found = trainer.model.ranker().scores(np.arange(data.n_users))
    np.testing.assert_allclose(found[users, items], scores, rtol=1e-9, atol=1e-12)


def test_with_one_behaviour_a_layer_is_its_memory_s_values():
    """Nothing to attend to and nothing to pool: X_1 = t V."""
    data = shop(("buy",))
    model = trainer_of(data, layers=1, heads=3).model
    A, values = dense(data.interactions[0], data.n_items), model.parameters
    place = np.arange(70) if model.order is None else model.order.places
    a = A @ values["item_embedding"].data
    p = np.maximum(a @ values["user.0.slot.0.weight"].data + values["user.0.slot.0.bias"].data, 0)
    t = np.einsum("nm,ni,mij->nj", p, a, values["user.0.memory"].data)
    X = t @ values["user.0.value"].data
    X /= 1e-6 + np.sqrt(1e-6 + np.sum(X * X, axis=1, keepdims=True))
    joined = np.concatenate([values["user_prediction"].data, X], axis=1)
    f = np.maximum(joined @ values["fuse.weight"].data + values["fuse.bias"].data, 0)
    with no_grad():
        found = model.representations(model.parameters).data
    np.testing.assert_allclose(found[place[:40]], f, rtol=1e-9, atol=1e-12)


def test_raw_sums_neighbours_and_row_takes_their_mean():
    raw, row = (trainer_of(shop(), normalization=one).model.graphs[0] for one in ("raw", "row"))
    assert raw.unit_in and raw.unit_out and row.unit_in
    degrees = np.diff(row.indptr)
    np.testing.assert_array_equal(raw.scale_out, np.ones(len(degrees)))
    np.testing.assert_allclose(row.scale_out * degrees, (degrees > 0).astype(float))


def test_what_is_penalised_and_how_a_memory_begins():
    model = trainer_of(shop(), d=16, memory=4, regularization=0.3).model
    free = {name for name in model.parameters if model.decay(name) == 0}
    assert free == {name for name in model.parameters if name.endswith((".bias", "_prediction"))}
    assert {model.decay(name) for name in model.parameters} == {0.0, 0.3}
    limit = np.sqrt(6 / (4 + 16 * 16))
    assert 0.95 * limit < np.abs(model.parameters["user.0.memory"].data).max() < limit
    release = Gnmr.preset("release", NAMES)
    assert (release.d, release.lr, release.lr_decay, release.batch) == (16, 2e-4, 0.99, 32)


def test_heads_divide_the_columns():
    with pytest.raises(InputError, match="'heads' cannot be 4; wanted a divisor of d = 6"):
        GnmrConfig(d=6, heads=4).checked(NAMES)
    with pytest.raises(InputError, match="'heads' cannot be 0"):
        GnmrConfig(heads=0).checked(NAMES)


def test_behaviours_without_pairs_pass_nothing_on():
    empty = csr_of(np.zeros((40, 30), bool))
    data = shop()
    data = type(data)(**{**vars(data), "interactions": (*data.interactions[:1], empty, empty)})
    trainer = trainer_of(data)
    assert trainer.make_step() == pytest.approx(trainer.adam.penalty({}), abs=10)
    data = type(data)(**{**vars(data), "interactions": (empty, *shop().interactions[1:])})
    model = Recommender("gnmr", d=6, batch=8, epochs=2).fit(data)
    assert all(np.isfinite(one).all() for one in model.model.stored().values())


# ---- sums that grow -----------------------------------------------------------------------------


def test_raw_sums_of_many_neighbours_train_or_stop_with_a_clear_sentence():
    data = generate(n_users=120, n_items=60, behaviors=NAMES, degree=30.0, keep=0.8, seed=0)
    try:
        model = Recommender("gnmr", d=64, epochs=5).fit(data)
    except TrainingError as error:
        assert "is not finite, so training stopped; a smaller learning rate" in str(error)
    else:
        assert all(np.isfinite(one).all() for one in model.model.stored().values())
        assert np.isfinite(model.history[-1]["loss"])


def test_what_diverges_stops_with_exit_code_2():
    words = ["train", "--model", "gnmr", "--epochs", "30", "--set", "d=64", "--set", "lr=1e9"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "is not finite, so training stopped; a smaller learning rate than 1e+09" in done.output
