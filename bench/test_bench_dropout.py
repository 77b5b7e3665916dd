"""dropout: a table of as many nodes as Taobao has, and the edges of each behaviour."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.graph.adjacency import adjacency
from pkef_fast.kernels.dropout import cpu, reference

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])


@pytest.mark.benchmark(group="dropout of entries")
@FORMS
def test_entries(benchmark, form):
    x = np.random.default_rng(0).normal(size=(27_402, 64)).astype(np.float32)
    benchmark(form.entries, x, 0.2, 1, 2)


@pytest.mark.benchmark(group="dropout of edges")
@FORMS
def test_edges_of_the_first_behaviour(benchmark, form, dataset):
    graph = adjacency(dataset.interactions[0], dataset.n_items, "symmetric")
    benchmark(form.edges, graph, 0.1, 1, 2)
