"""adam: a step on a table of all nodes; the reference and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.adam import FORMS, cpu, reference

D = 64


@pytest.fixture(scope="module")
def arrays(dataset):
    shape = (4, dataset.n_users + dataset.n_items, D)
    return np.abs(np.random.default_rng(0).normal(size=shape)).astype(np.float32)


@pytest.mark.benchmark(group="adam")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kernels", [reference, cpu], ids=["numpy", "numba"])
def test_update(benchmark, arrays, kernels, form):
    theta, grad, m, v = arrays.copy()
    benchmark(kernels.update, theta, grad, m, v, lr=1e-3, step=10, penalty=1e-2, form=form)


@pytest.mark.benchmark(group="average")
@pytest.mark.parametrize("kernels", [reference, cpu], ids=["numpy", "numba"])
def test_average(benchmark, arrays, kernels):
    theta, mean = arrays[:2].copy()
    benchmark(kernels.average, theta, mean, 0.98, 100)
