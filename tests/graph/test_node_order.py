"""The node order: found the same way always, and seen by nobody."""

import dataclasses

import numba
import numpy as np
import pytest

from pkef_fast.data.dataset import Csr
from pkef_fast.data.synthetic import generate
from pkef_fast.device import device
from pkef_fast.graph import node_order as locality
from pkef_fast.graph.adjacency import adjacency, reordered
from pkef_fast.graph.node_order import communities, node_order
from pkef_fast.models.pkef.model import Pkef
from pkef_fast.models.pkef.presets import preset
from pkef_fast.tape.autograd import backward
from pkef_fast.train.trainer import Trainer


def two_tastes(n_users=60, n_items=40, seed=0):
    """Users and items of two tastes, mixed in their numbers; who meets whom is in the taste."""
    rng = np.random.default_rng(seed)
    of_users, of_items = rng.integers(0, 2, n_users), rng.integers(0, 2, n_items)
    chance = np.where(of_users[:, None] == of_items, 0.5, 0.02)
    users, items = np.nonzero(rng.random(chance.shape) < chance)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))])
    return Csr(indptr.astype(np.int32), items.astype(np.int32)), of_users, of_items


def test_communities_are_the_tastes():
    csr, of_users, of_items = two_tastes()
    graph = adjacency(csr, 40, "symmetric")
    found = communities(graph, 60, device("cpu").kernels, clusters=2)
    taste = np.concatenate([of_users, of_items])
    agreement = np.mean(found == taste)
    assert max(agreement, 1 - agreement) > 0.95


def test_reordered_patterns_have_the_same_pairs():
    csr, *_ = two_tastes(7, 5)
    rng = np.random.default_rng(1)
    nodes = np.concatenate([rng.permutation(7), 7 + rng.permutation(5)])
    found = reordered(csr, 5, nodes)

    def pairs(csr):
        return np.repeat(np.arange(7), np.diff(csr.indptr)), csr.indices

    users, items = pairs(found)
    back = sorted(zip(nodes[users], nodes[7 + items] - 7, strict=True))
    assert back == sorted(zip(*pairs(csr), strict=True))
    for row in np.split(found.indices, found.indptr[1:-1]):
        assert np.all(np.diff(row) > 0)


@pytest.fixture
def eager(monkeypatch):
    """Small graphs are put in order too."""
    monkeypatch.setattr(locality, "SMALLEST_TABLE", 1)
    monkeypatch.setattr(locality, "SMALLEST_DEGREE", 0)


def test_small_tables_stay_as_they_are():
    csr, *_ = two_tastes()
    assert node_order([csr], 40, 256, device("cpu").kernels) is None
    assert node_order([], 40, 256, device("cpu").kernels) is None


@pytest.mark.usefixtures("eager")
def test_an_order_keeps_users_before_items_and_needs_no_thread_count():
    csr, *_ = two_tastes(300, 200)
    orders = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            orders.append(node_order([csr], 200, 256, device("cpu").kernels))
        finally:
            numba.set_num_threads(before)
    order = orders[0]
    np.testing.assert_array_equal(order.nodes, orders[1].nodes)
    np.testing.assert_array_equal(np.sort(order.nodes[:300]), np.arange(300))
    np.testing.assert_array_equal(order.nodes[order.places], np.arange(500))
    assert np.any(order.nodes != np.arange(500))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", ["official", "paper"])
def test_nobody_sees_the_order(name):
    data = generate(n_users=40, n_items=30, behaviors=("view", "cart", "buy"), seed=3)
    config = dataclasses.replace(
        preset(name, data.behaviors), d=8, precision="float64", batch_users=40
    )
    results = []
    for ordered in (True, False):
        model = Pkef(config, data, device("cpu"))
        assert model.order is not None
        if not ordered:
            model.order = None
            model.graphs = tuple(
                model.adjacency(csr, config.normalization, config.self_loops)
                for csr in data.interactions
            )
        trainer = Trainer(model, data)
        loss = model.total(model.losses(trainer.next_batch()))
        backward(loss)
        gradients = {key: one.grad for key, one in model.parameters.items()}
        results.append((loss.data, gradients, model.cascade_tables(range(3))))
    (loss, gradients, tables), (wanted, plain, plain_tables) = results
    assert loss == pytest.approx(wanted, rel=1e-12)
    for key, gradient in plain.items():
        if gradient is not None:  # of a gate that no loss reads
            np.testing.assert_allclose(gradients[key], gradient, rtol=1e-9, atol=1e-12, err_msg=key)
    for k, table in plain_tables.items():
        np.testing.assert_allclose(tables[k], table, rtol=1e-12, atol=1e-14)
