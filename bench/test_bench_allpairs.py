"""allpairs: the loss of a batch of 256 users, of its Gram matrices and of the pairs that met."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.allpairs import cpu, reference
from pkef_fast.kernels.linear import cpu as linear_cpu
from pkef_fast.kernels.linear import reference as linear_reference

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
GRAMS = pytest.mark.parametrize("form", [linear_reference, linear_cpu], ids=["numpy", "numba"])
D, ITEMS, MET = 64, 11_953, 15_000


@pytest.mark.benchmark(group="gram of all items")
@GRAMS
def test_gram(benchmark, form):
    benchmark(form.gram, np.random.default_rng(0).normal(size=(ITEMS, D)).astype(np.float32))


@pytest.mark.benchmark(group="all pairs by Gram matrices")
@FORMS
def test_everything(benchmark, form):
    users, items = np.random.default_rng(0).normal(size=(2, D, D)).astype(np.float32)
    benchmark(form.everything, users, items, users[0], 0.01)


@pytest.mark.benchmark(group="pairs that met")
@FORMS
def test_met(benchmark, form):
    benchmark(form.met, np.random.default_rng(0).normal(size=MET).astype(np.float32), 0.01)
