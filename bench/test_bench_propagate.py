"""propagate on the view graph: SciPy's product, the reference, Numba; a layer and its adjoint.

Numba works as in training: on tables that start at a cache line, and where the data is large enough
for it in the node order of `pkef_fast/graph/node_order.py`. The others have the data set's order.
"""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.graph.adjacency import adjacency, reordered
from pkef_fast.graph.node_order import node_order
from pkef_fast.kernels import load
from pkef_fast.kernels.linear import cpu as linear
from pkef_fast.kernels.propagate import cpu, reference
from pkef_fast.report.stages import scipy_product, tables

D = 64


@pytest.fixture(scope="module")
def view(dataset):
    """(name, graph, graph as it is trained, four tables)."""
    csr, n_items = dataset.interactions[0], dataset.n_items
    graph = trained = adjacency(csr, n_items)
    order = node_order(dataset.interactions, n_items, 4 * D, load("cpu"))
    if order is not None:
        trained = adjacency(reordered(csr, n_items, order.nodes), n_items)
    return dataset.name, graph, trained, tables(4, dataset.n_users + n_items, D, np.float32)


@pytest.mark.benchmark(group="spread")
@pytest.mark.parametrize("form", ["scipy", "numpy", "numba"])
def test_spread(benchmark, view, form):
    name, graph, trained, (x, *_) = view
    if form == "scipy":
        benchmark(scipy_product(graph, x))
    elif form == "numpy":
        if name != "demo":
            pytest.skip("the reference is for small problems")
        benchmark(reference.spread, graph, x)
    else:
        benchmark(cpu.spread, trained, x)


@pytest.mark.benchmark(group="layer_sum")
@pytest.mark.parametrize("form", ["products", "numba"])
def test_layer_sum(benchmark, dataset, form):
    """LightGCN's three layers of the target, and the same by products and sums."""
    graph = adjacency(dataset.interactions[-1], dataset.n_items, "symmetric")
    (x,) = tables(1, dataset.n_users + dataset.n_items, D, np.float32)

    def products():
        y = one = x
        for _ in range(3):
            one = cpu.spread(graph, one)
            y = linear.total(y, one)
        return y

    benchmark(products if form == "products" else lambda: cpu.layer_sum(graph, x, 3))


@pytest.mark.benchmark(group="layer")
@pytest.mark.parametrize("fusion", ["projection", "none"])
@pytest.mark.parametrize("form", ["numpy", "numba"])
def test_layer(benchmark, view, form, fusion):
    name, graph, trained, (p, z, p_sum, z_sum) = view
    if form == "numpy" and name != "demo":
        pytest.skip("the reference is for small problems")
    kernels, graph = (reference, graph) if form == "numpy" else (cpu, trained)
    p = None if fusion == "none" else p
    benchmark(kernels.layer, graph, p, z, p_sum, z_sum, fusion, "state", 0.3)


@pytest.mark.benchmark(group="layer_adjoint")
@pytest.mark.parametrize("form", ["numpy", "numba"])
def test_layer_adjoint(benchmark, view, form):
    name, graph, trained, (p, z, d_p, d_z) = view
    if form == "numpy" and name != "demo":
        pytest.skip("the reference is for small problems")
    kernels, graph = (reference, graph) if form == "numpy" else (cpu, trained)
    *_, saved = kernels.layer(graph, p, z, None, None, "projection", "state", 0.3)
    benchmark(kernels.layer_adjoint, graph, d_p, d_z, None, d_z, saved, "projection", "state", 0.3)
