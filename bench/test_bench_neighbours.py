"""neighbours: the lists of a whole data set, made once a data set, NumPy and Numba."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pkef_fast.device import device
from pkef_fast.rerank import RerankConfig
from pkef_fast.rerank.neighbours import neighbours
from pkef_fast.rerank.sessions import sessions

FORMS = pytest.mark.parametrize("form", ["reference", "cpu"])
MOST = RerankConfig().neighbours
FEW = 5000  # users: with more, NumPy takes minutes


def place(form, dataset):
    if form == "reference" and dataset.n_users > FEW:
        pytest.skip("NumPy takes minutes here")
    return device(form)


@pytest.mark.benchmark(group="neighbours, two hops")
@FORMS
def test_two_hop(benchmark, dataset, form):
    benchmark(neighbours, dataset, MOST, place(form, dataset))


@pytest.mark.benchmark(group="neighbours, soon after")
@FORMS
def test_soon_after(benchmark, dataset, form):
    """With random times, where the data set has none."""
    random = np.random.default_rng(0)
    times = tuple(random.integers(10**6, size=len(csr.indices)) for csr in dataset.interactions)
    timed = dataset if dataset.times is not None else replace(dataset, times=times)
    benchmark(sessions, timed, MOST, place(form, dataset))
