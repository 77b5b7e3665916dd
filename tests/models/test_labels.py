"""Lists of labelled pairs, and NeuMF's and NMTR's networks. What they share: test_pairwise.py."""

from __future__ import annotations

import numpy as np
import pytest
from forms import emulated

from pkef_fast.data import generate
from pkef_fast.data.patterns import contains, row_of_each, union
from pkef_fast.device import device
from pkef_fast.errors import InputError
from pkef_fast.models.labels import LabelList
from pkef_fast.models.neumf import TABLES, NeuMf, NeuMfConfig
from pkef_fast.models.nmtr import UNITS, Nmtr, NmtrConfig
from pkef_fast.tape.autograd import no_grad
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")
KINDS = {"neumf": (NeuMf, NeuMfConfig), "nmtr": (Nmtr, NmtrConfig)}


def shop(**changes):
    return generate(**{"n_users": 40, "n_items": 30, "behaviors": NAMES, "seed": 0, **changes})


def list_of(data, patterns=None, negatives=4, batch=64, place="cpu", funnel=False):
    patterns = data.interactions if patterns is None else patterns
    settings = (negatives, batch, 3, device(place).kernels, np.float64, funnel)
    return LabelList(patterns, (data.n_users, data.n_items), *settings)


def epoch_of(rows, epoch=0):
    """Users, items and labels of all rows of an epoch, in its order."""
    rows.begin_epoch(epoch)
    return rows.pairs(rows.order)


def model_of(name, data, place="cpu", **changes):
    kind, config = KINDS[name]
    return kind(config(precision="float64").replaced(**changes).checked(NAMES), data, device(place))


# ---- lists of labelled pairs --------------------------------------------------------------------


def test_an_epoch_has_every_pair_once_with_its_labels_and_its_negatives():
    data = shop()
    rows = list_of(data)
    known = union(data.interactions, data.n_items)
    users, items, labels = epoch_of(rows)
    assert len(users) == 5 * len(known.indices) == rows.rows
    positive = labels.any(axis=0)
    order = np.lexsort((items[positive], users[positive]))
    np.testing.assert_array_equal(users[positive][order], row_of_each(known))
    np.testing.assert_array_equal(items[positive][order], known.indices)
    for one, wanted in zip(labels, data.interactions, strict=True):
        has = contains(wanted, users, items, data.n_items)
        np.testing.assert_array_equal(one > 0, has)
    assert not contains(known, users[~positive], items[~positive], data.n_items).any()
    degrees = np.diff(known.indptr)
    np.testing.assert_array_equal(np.bincount(users[~positive], minlength=40), 4 * degrees)
    assert not np.array_equal(positive, np.sort(positive))  # rows are shuffled, not pairs
    assert sum(rows.size(i) for i in range(rows.steps_per_epoch)) == len(users)


def test_an_epoch_depends_on_its_number_and_the_seed_alone():
    data = shop()
    first, second, again = (epoch_of(list_of(data), epoch) for epoch in (0, 1, 0))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first[0], second[0])
    drawn = [np.sort(users * 30 + items) for users, items, _ in (first, second)]
    assert not np.array_equal(*drawn)  # other negatives, not only another order
    late, early = list_of(data), list_of(data)
    for step in (0, late.steps_per_epoch):
        early.batch(step)
    one, two = late.batch(late.steps_per_epoch), early.batch(early.steps_per_epoch)
    for a, b in zip((*one.pairs, one.labels), (*two.pairs, two.labels), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_joins_its_own_users_and_items():
    rows = list_of(shop())
    batch = rows.batch(2)
    users, items, labels = rows.pairs(rows.order[128:192])
    np.testing.assert_array_equal(batch.users[batch.pairs.left], users)
    np.testing.assert_array_equal(batch.items[batch.pairs.right - len(batch.users)], items)
    np.testing.assert_array_equal(batch.labels, labels)
    for one in (batch.users, batch.items):
        np.testing.assert_array_equal(one, np.unique(one))


def test_a_funnel_takes_the_number_of_behaviours_for_the_first_ones():
    data = shop()
    own, funnel = (epoch_of(list_of(data, funnel=on)) for on in (False, True))
    np.testing.assert_array_equal(own[0], funnel[0])
    np.testing.assert_array_equal(own[2].sum(axis=0), funnel[2].sum(axis=0))
    assert np.all(np.diff(funnel[2], axis=0) <= 0)
    assert np.any(np.diff(own[2], axis=0) > 0)


@pytest.mark.parametrize("negatives", [0, 2])
def test_users_with_nothing_or_everything_are_in_no_row(negatives):
    data = shop(n_users=12, n_items=5, degree=4.0, keep=0.9)
    indptr, indices = data.interactions[-1]
    lists = [indices[indptr[u] : indptr[u + 1]] for u in range(12)]
    lists[3], lists[7] = lists[3][:0], np.arange(5, dtype=np.int32)
    pointers = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int32)
    target = type(data.interactions[-1])(pointers, np.concatenate(lists))
    rows = list_of(data, [target], negatives)
    users, _, labels = epoch_of(rows)
    assert not {3, 7} & set(users.tolist())
    assert labels.mean() == pytest.approx(1 / (1 + negatives))
    nobody = type(target)(np.zeros(13, np.int32), np.zeros(0, np.int32))
    rows = list_of(data, [nobody], negatives)
    assert (rows.steps_per_epoch, rows.batch(0).labels.shape) == (1, (1, 0))


@pytest.mark.emulator
def test_devices_draw_the_same_rows():
    data, place = shop(), emulated()
    wanted = list_of(data)
    settings = (4, 64, 3, place.kernels, np.float64)
    found = LabelList(data.interactions, (data.n_users, data.n_items), *settings)
    for one, two in zip(epoch_of(found, 1), epoch_of(wanted, 1), strict=True):
        np.testing.assert_array_equal(place.to_host(one), two)
    clock = np.array([3, wanted.steps_per_epoch + 3], np.uint32)
    batch, own = found.slots(clock, 64), wanted.batch(wanted.steps_per_epoch + 3)
    np.testing.assert_array_equal(batch.labels, own.labels)
    np.testing.assert_array_equal(batch.users[batch.pairs.left], own.users[own.pairs.left])


# ---- the networks -------------------------------------------------------------------------------


def all_scores(model, data):
    """o_K (U, I) of every pair by the training step's operations, for the ranker to agree with."""
    from pkef_fast.models.labels import labelled

    users, items = np.indices((data.n_users, data.n_items), np.int32).reshape(2, -1)
    labels = np.zeros((3, len(users)))
    shape = (data.n_users, data.n_items)
    with no_grad():
        batch = labelled(users, items, labels, shape, model.device.kernels)
        return model.scores(batch)[-1].data.reshape(shape)


def moved(model, seed=0):
    """The model with parameters far from zero: each part of a score then counts."""
    rng = np.random.default_rng(seed)
    for tensor in model.parameters.values():
        tensor.data += 0.5 * rng.normal(size=tensor.shape)
    return model


DEEP = [
    ("neumf", {"gmf_factors": 3, "layers": (10, 7)}),
    ("neumf", {"gmf_factors": 20, "layers": (8, 33, 16, 5)}),
    *(("nmtr", {"d": 6, "unit": unit, "half": half}) for unit in UNITS for half in (True, False)),
    ("nmtr", {"d": 12, "unit": "ncf", "layers": 3}),
    ("nmtr", {"d": 12, "unit": "mlp", "layers": 2}),
]


@pytest.mark.parametrize("place", ["reference", "cpu"])
@pytest.mark.parametrize(("name", "fields"), DEEP, ids=str)
def test_the_ranking_is_by_the_scores_that_are_learned(name, fields, place):
    data = shop()
    model = moved(model_of(name, data, place, **fields))
    wanted, ranker = all_scores(model, data), model.ranker()
    everybody = np.arange(data.n_users)
    np.testing.assert_allclose(ranker.scores(everybody), wanted, rtol=1e-10, atol=1e-11)
    some = everybody[:5]
    ranker.width = 3  # whoever else is asked for changes no bit, unless a BLAS library does
    rtol = 0 if place == "cpu" else 1e-12
    found, wanted = ranker.scores(some), model.ranker().scores(everybody)[:5]
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("name", "fields"), DEEP, ids=str)
def test_gradients_of_deeper_networks_by_central_differences(name, fields):
    data = shop()
    trainer = Trainer(moved(model_of(name, data, "reference", batch=40, **fields)), data)
    batch, rng = trainer.next_batch(), np.random.default_rng(1)
    trainer.gradients(batch)
    parameters = trainer.model.parameters
    gradients = {key: one.grad.copy() for key, one in parameters.items()}
    for key, tensor in parameters.items():
        direction, start, ends = rng.normal(size=tensor.shape), tensor.data.copy(), []
        for h in (1e-6, -1e-6):
            tensor.data[...] = start + h * direction
            ends.append(trainer.gradients(batch)["loss.data"])
        tensor.data[...] = start
        exact = np.sum(gradients[key] * direction)
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(exact, rel=1e-6, abs=1e-9), key


def test_how_parameters_begin():
    data = shop(n_users=300, n_items=200)
    found = model_of("neumf", data).stored()
    for name in TABLES:
        assert found[name].std() == pytest.approx(0.01, rel=0.05)
    limit = np.sqrt(3 / 80)
    assert 0.9 * limit < np.abs(found["output.weight"]).max() < limit
    limit = np.sqrt(6 / 192)
    assert 0.95 * limit < np.abs(found["mlp.0.weight"]).max() < limit
    assert not found["mlp.1.bias"].any() and not found["output.bias"].any()
    found = model_of("nmtr", data).stored()
    assert 0.019 < np.abs(found["user_embedding"]).max() < 0.02
    limit = np.sqrt(3 / 192)
    assert 0.95 * limit < np.abs(found["unit.1.weight"]).max() < limit
    assert not found["item_bias"].any() and not found["unit.0.bias"].any()
    assert not np.array_equal(found["unit.0.weight"], found["unit.1.weight"])


def test_what_the_penalties_cover():
    data = shop()
    model = model_of("neumf", data, regularization=0.5)
    assert [name for name in model.parameters if model.decay(name)] == list(TABLES)
    model = model_of("nmtr", data, d=6, regularization=0.5, item_regularization=0.25)
    found = {name: model.decay(name) for name in model.parameters if model.decay(name)}
    weights = {f"unit.{k}.weight": 0.5 for k in range(3)}
    assert found == {"user_embedding": 0.5, "item_embedding": 0.25, **weights}


def test_configs_are_checked_and_presets_are_the_releases():
    release = NeuMf.preset("release", NAMES)
    assert (release.gmf_factors, release.layers, release.batch) == (8, (64, 32, 16, 8), 256)
    assert NeuMf.preset("comparison", NAMES).checked(NAMES).patience == 10
    for layers in ((), (8,), (7, 4)):
        with pytest.raises(InputError, match="'layers'"):
            NeuMfConfig(layers=layers).checked(NAMES)
    assert Nmtr.preset("release", NAMES).funnel_labels
    assert Nmtr.preset("gmf", NAMES).checked(NAMES).hidden == (64,)
    config = NmtrConfig(d=8, layers=2).checked(NAMES)
    assert (config.hidden, config.coefficients) == ((12, 6), (1 / 3,) * 3)
    for fields, word in (
        ({"coefficients": (1.0, 0.0)}, "coefficients"),
        ({"unit": "gmf", "layers": 2}, "layers"),
        ({"d": 2, "layers": 4}, "layers"),
    ):
        with pytest.raises(InputError, match=f"'{word}'"):
            NmtrConfig(**fields).checked(NAMES)


def test_coefficients_weigh_the_behaviours():
    """With the target's alone, only the chain's last loss counts, and all units are in it."""
    data = shop()
    model = moved(model_of("nmtr", data, d=6, coefficients=(0.0, 0.0, 1.0), batch=64))
    trainer = Trainer(model, data)
    losses = trainer.gradients(trainer.next_batch())
    assert losses["loss.data"] == pytest.approx(losses["loss.bce.buy"], rel=1e-12)
    assert all(np.any(one.grad != 0) for one in model.parameters.values())
