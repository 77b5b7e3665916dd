"""Models that are each other's special cases give the same scores."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.models import MODELS
from pkef_fast.tape import ops
from pkef_fast.tape.autograd import no_grad

NAMES = ("view", "cart", "buy")


def shop(behaviors=NAMES):
    return generate(n_users=40, n_items=30, behaviors=behaviors, seed=0)


def model_of(name, data, stored=None, **changes):
    kind = MODELS[name]
    config = kind.preset(kind.default_preset(""), data.behaviors)
    config = config.replaced(d=6, precision="float64", **changes).checked(data.behaviors)
    return kind(config, data, device("cpu"), stored)


def scores(model):
    return model.ranker().scores(np.arange(model.n_users, dtype=np.int32))


def tables_of(table, n_users):
    return {"user_embedding": table[:n_users], "item_embedding": table[n_users:]}


def test_lightgcn_with_one_layer_and_no_mixing_is_mf_on_its_neighbours():
    data = shop()
    light = model_of("lightgcn", data, layers=1, mixing="last")
    with no_grad():
        neighbours = ops.spread(light.table(light.parameters), adjacency=light.graphs[0])
    mf = model_of("mf-bpr", data, tables_of(neighbours.data, data.n_users))
    np.testing.assert_array_equal(scores(light), scores(mf))
    assert not np.allclose(scores(model_of("lightgcn", data, layers=1)), scores(mf))


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_mbcgcn_with_one_behaviour_is_lightgcn(layers):
    data = shop(("buy",))
    light = model_of("lightgcn", data, layers=layers)
    cascade = model_of("mb-cgcn", data, layers=layers)
    assert set(cascade.parameters) == set(light.parameters)
    np.testing.assert_array_equal(scores(cascade), scores(light))


def test_mbcgcn_between_whose_blocks_nothing_changes_adds_up_lightgcns():
    """With T = 1 and no layers after the first block, every Z^k is the first one's."""
    data = shop()
    cascade = model_of("mb-cgcn", data, layers="2,0,0")
    for name in cascade.matrices:
        cascade.parameters[name].data[...] = np.eye(6)
    light = model_of("lightgcn", data, layers=2, behavior="view")
    np.testing.assert_allclose(scores(cascade), 9 * scores(light), rtol=1e-12)


def test_rgcn_whose_relations_are_silent_is_mf_and_whose_own_weight_is_silent_a_mean():
    """W_0 = 1, W_k = 0 without activations; then the other way round for one behaviour."""
    data = shop(("buy",))
    mf = model_of("mf-bpr", data)
    rgcn = model_of("rgcn", data, layers=1, last_activation=False)
    own, other = rgcn.parameters["layer.0.self"].data, rgcn.parameters["layer.0.0.weight"].data
    own[...], other[...] = np.eye(6), 0
    np.testing.assert_array_equal(scores(rgcn), scores(mf))
    own[...], other[...] = 0, np.eye(6)
    with no_grad():
        means = ops.spread(mf.table(mf.parameters), adjacency=rgcn.graphs[0]).data
    neighbours = model_of("mf-bpr", data, tables_of(means, data.n_users))
    np.testing.assert_allclose(scores(rgcn), scores(neighbours), rtol=1e-12)


@pytest.mark.parametrize("layers", [1, 3])
def test_pkef_of_one_behaviour_without_fusion_is_a_residual_lightgcn(layers):
    """z^{l+1} = Ãz^l + z^l, summed over the layers; the gate of one expert is 1."""
    data = shop(("buy",))
    pkef = model_of("pkef", data, layers=layers, fusion="none", normalization="symmetric")
    (graph,) = model_of("lightgcn", data).graphs
    with no_grad():
        X = Z = pkef.table(pkef.parameters)
        for _ in range(layers):
            X = ops.spread(X, adjacency=graph) + X
            Z = Z + X
    wanted = Z.data[: data.n_users] @ Z.data[data.n_users :].T
    np.testing.assert_allclose(scores(pkef), pkef.config.score_scale * wanted, rtol=1e-10)
