"""RGCN: its weights by relation, direction and basis, its activations. See test_pairwise.py too."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_checks import check_gradients

from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.models.rgcn import Rgcn, RgcnConfig
from pkef_fast.tape.autograd import no_grad
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")


def shop():
    return generate(n_users=40, n_items=30, behaviors=NAMES, seed=0)


def model_of(data, place="cpu", **changes):
    config = RgcnConfig(d=6, batch=16).replaced(precision="float64", **changes)
    return Rgcn(config.checked(data.behaviors), data, device(place))


def table(model):
    with no_grad():
        return model.representations(model.parameters)[1].data


def weights(model):
    return {n: one.shape for n, one in model.parameters.items() if n.startswith("layer")}


def test_weights_by_relation_direction_and_basis():
    data, d = shop(), (6, 6)
    assert weights(model_of(data, layers=0)) == {}
    plain = {"layer.0.self": d, **{f"layer.0.{k}.weight": d for k in range(3)}}
    assert weights(model_of(data, layers=1)) == plain
    both = {f"layer.0.{k}.{way}": d for k in range(3) for way in ("to_user", "to_item")}
    directed = model_of(data, layers=1, directed=True)
    assert weights(directed) == {"layer.0.self": d, **both}
    assert set(directed.matrices) == set(weights(directed))
    mixed = model_of(data, layers=1, directed=True, bases=2)
    shapes = {"layer.0.self": d, "layer.0.bases": (2, 36), "layer.0.coefficients": (6, 2)}
    assert weights(mixed) == shapes
    assert set(mixed.matrices) == {"layer.0.self", "layer.0.bases"}
    assert np.abs(mixed.parameters["layer.0.bases"].data).max() > 0.9 * np.sqrt(6 / 12)


def test_directions_with_the_same_weights_are_one_relation():
    data = shop()
    one, two = model_of(data), model_of(data, directed=True)
    for name, tensor in two.parameters.items():
        source = name.replace("to_user", "weight").replace("to_item", "weight")
        tensor.data[...] = one.parameters[source].data
    np.testing.assert_allclose(table(two), table(one), rtol=1e-12)
    two.parameters["layer.1.2.to_item"].data[...] = 0
    changed = np.any(table(two) != table(one), axis=1)
    assert not changed[: data.n_users].any() and changed[data.n_users :].any()


def test_as_many_bases_as_relations_can_be_any_weights():
    data = shop()
    one, two = model_of(data), model_of(data, bases=3)
    for layer in range(2):
        two.parameters[f"layer.{layer}.coefficients"].data[...] = np.eye(3)
        for k in range(3):
            weight = one.parameters[f"layer.{layer}.{k}.weight"].data
            two.parameters[f"layer.{layer}.bases"].data[k] = weight.ravel()
        two.parameters[f"layer.{layer}.self"].data[...] = one.parameters[f"layer.{layer}.self"].data
    np.testing.assert_allclose(table(two), table(one), rtol=1e-12)


def test_activations_and_mixing():
    data = shop()
    relu = model_of(data)
    Z = table(relu)
    assert Z.min() == 0 < Z.max()
    linear = table(model_of(data, last_activation=False))
    np.testing.assert_allclose(np.maximum(linear, 0), Z, rtol=1e-12)
    assert table(model_of(data, slope=0.2)).min() < 0
    one = model_of(data, layers=1, slope=0.2)
    mixed = model_of(data, layers=1, slope=0.2, mixing="mean")
    with no_grad():
        E = one.table(one.parameters).data
    np.testing.assert_allclose(table(mixed), (E + table(one)) / 2, rtol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"directed": True},
        {"bases": 2, "slope": 0.2},
        {"bases": 1, "directed": True, "mixing": "mean"},
        {"last_activation": False, "layers": 3},
    ],
    ids=str,
)
def test_the_gradient_of_every_switch_is_that_of_central_differences(changes):
    data = shop()
    trainer = Trainer(model_of(data, "reference", regularization=0.3, **changes), data)
    model, rng = trainer.model, np.random.default_rng(0)
    for tensor in model.parameters.values():
        tensor.data += 0.3 * rng.normal(size=tensor.shape)
    batch = trainer.next_batch()
    check_gradients(trainer, batch, rng, 1e-6, rel=1e-5, abs=1e-8)


def test_the_penalty_covers_every_matrix():
    data = shop()
    model = model_of(data, regularization=0.5)
    trainer = Trainer(model, data)
    batch = trainer.next_batch()
    squares = sum(np.sum(model.parameters[name].data ** 2) for name in model.matrices)
    found = trainer.gradients(batch)["loss.matrices"]
    assert found == pytest.approx(0.25 * squares / batch.count, rel=1e-12)
    assert len(model.matrices) == 2 * 4
