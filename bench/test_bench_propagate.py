"""propagate on the view graph: SciPy's product, the reference, Numba; a layer and its adjoint."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from pkef_fast.graph import adjacency
from pkef_fast.kernels.propagate import cpu, reference

D = 64


@pytest.fixture(scope="module")
def view(dataset):
    graph = adjacency(dataset.interactions[0], dataset.n_items)
    n_nodes = dataset.n_users + dataset.n_items
    tables = np.random.default_rng(0).normal(size=(4, n_nodes, D)).astype(np.float32)
    return dataset.name, graph, tables


@pytest.mark.benchmark(group="spread")
@pytest.mark.parametrize("form", ["scipy", "numpy", "numba"])
def test_spread(benchmark, view, form):
    name, graph, (x, *_) = view
    if form == "scipy":
        values = np.repeat(graph.scale_out, np.diff(graph.indptr))
        matrix = sp.csr_matrix((values, graph.indices, graph.indptr), shape=(len(x), len(x)))
        benchmark(lambda: matrix @ x)
    elif form == "numpy":
        if name != "demo":
            pytest.skip("the reference is for small problems")
        benchmark(reference.spread, graph, x)
    else:
        benchmark(cpu.spread, graph, x)


@pytest.mark.benchmark(group="layer")
@pytest.mark.parametrize("fusion", ["projection", "none"])
@pytest.mark.parametrize("form", ["numpy", "numba"])
def test_layer(benchmark, view, form, fusion):
    name, graph, (p, z, p_sum, z_sum) = view
    if form == "numpy" and name != "demo":
        pytest.skip("the reference is for small problems")
    kernels = reference if form == "numpy" else cpu
    p = None if fusion == "none" else p
    benchmark(kernels.layer, graph, p, z, p_sum, z_sum, fusion, "state", 0.3)


@pytest.mark.benchmark(group="layer_adjoint")
@pytest.mark.parametrize("form", ["numpy", "numba"])
def test_layer_adjoint(benchmark, view, form):
    name, graph, (p, z, d_p, d_z) = view
    if form == "numpy" and name != "demo":
        pytest.skip("the reference is for small problems")
    kernels = reference if form == "numpy" else cpu
    *_, saved = kernels.layer(graph, p, z, None, None, "projection", "state", 0.3)
    benchmark(kernels.layer_adjoint, graph, d_p, d_z, None, d_z, saved, "projection", "state", 0.3)
