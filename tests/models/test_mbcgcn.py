"""MB-CGCN: its layers, its transforms and how they begin. What it shares: test_pairwise.py."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast import Recommender
from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.errors import InputError
from pkef_fast.models.mbcgcn import MbCgcn, MbCgcnConfig, layers_of
from pkef_fast.train.trainer import Trainer

NAMES = ("view", "cart", "buy")


def shop(behaviors=NAMES):
    return generate(n_users=40, n_items=30, behaviors=behaviors, seed=0)


def model_of(data, **changes):
    config = MbCgcnConfig(d=6).replaced(**changes).checked(data.behaviors)
    return MbCgcn(config, data, device("cpu"))


def test_layers_are_one_number_a_behaviour():
    assert [layers_of(n) for n in range(1, 6)] == [
        (3,),
        (2, 3),
        (2, 4, 3),
        (2, 4, 4, 3),
        (2, 4, 4, 4, 3),
    ]
    assert MbCgcn.preset("comparison", NAMES).checked(NAMES).layers == (2, 4, 3)
    with pytest.raises(
        InputError, match="'layers' has 2 values, 1,2; wanted one for each of the 3"
    ):
        MbCgcnConfig(layers=(1, 2)).checked(NAMES)


def test_each_block_but_the_last_has_a_transform_of_either_side():
    found = {k: v for k, v in model_of(shop()).shapes().items() if k.startswith("transform")}
    assert found == {f"transform.{s}.{k}": (6, 6) for k in (0, 1) for s in ("user", "item")}
    assert not model_of(shop(("buy",))).matrices


def test_how_tables_and_transforms_begin():
    data, many = shop(), {"d": 64, "precision": "float64"}
    plain = model_of(data, **many).stored()
    limit = np.sqrt(6 / 128)
    assert 0.9 * limit < np.abs(plain["transform.user.0"]).max() < limit
    normal = model_of(data, **many, transform_init="normal", init="normal").stored()
    near = model_of(data, **many, transform_init="identity").stored()
    np.testing.assert_array_equal(near["user_embedding"], plain["user_embedding"])
    for name, value in normal.items():
        assert value.std() == pytest.approx(0.01, rel=0.1), name
    for name in model_of(data).matrices:
        noise = near[name] - np.eye(64)
        assert noise.std() == pytest.approx(0.01, rel=0.1)
    assert not np.allclose(near["transform.user.0"], near["transform.item.0"])
    release = MbCgcn.preset("release", NAMES)
    assert (release.init, release.transform_init) == ("normal", "normal")


def test_the_penalty_covers_the_transforms():
    """½·reg·Σ‖T‖² over the triples of the batch."""
    data = shop()
    trainer = Trainer(model_of(data, regularization=0.5, batch=16, precision="float64"), data)
    batch = trainer.next_batch()
    found = trainer.gradients(batch)["loss.matrices"]
    squares = sum(np.sum(trainer.model.parameters[n].data ** 2) for n in trainer.model.matrices)
    assert found == pytest.approx(0.25 * squares / batch.count, rel=1e-12)


def test_without_regularization_or_upstream_pairs_it_still_trains():
    """Somebody without views, and carts that nobody filled: zero rows, finite gradients."""
    data = shop()
    empty = type(data.interactions[1])(np.zeros(data.n_users + 1, np.int32), np.zeros(0, np.int32))
    interactions = (data.interactions[0], empty, data.interactions[2])
    data = type(data)(**{**vars(data), "interactions": interactions})
    model = Recommender("mb-cgcn", d=6, batch=16, epochs=2, regularization=0.0).fit(data)
    assert all(np.isfinite(one).all() for one in model.model.stored().values())
