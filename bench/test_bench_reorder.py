"""reorder: 300 candidates of each of 1000 users among 10,000 items, NumPy and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.reorder import cpu, reference
from pkef_fast.kernels.rows import offsets

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
USERS, ITEMS, CANDIDATES, SEEN = 1000, 10_000, 300, 5


def rows(random, size):
    items = [np.sort(random.choice(ITEMS, size, replace=False)) for _ in range(USERS)]
    return offsets([size] * USERS), np.concatenate(items).astype(np.int32)


def arguments():
    """Candidates with their f, and seen items."""
    random = np.random.default_rng(0)
    found, seen = rows(random, CANDIDATES), rows(random, SEEN)
    return (*found, random.normal(size=USERS * CANDIDATES).astype(np.float32)), seen


@pytest.mark.benchmark(group="merge")
@FORMS
def test_merge(benchmark, form):
    base = np.random.default_rng(1).normal(size=(USERS, ITEMS)).astype(np.float32)
    benchmark(form.merge, base, *arguments()[0])


@pytest.mark.benchmark(group="ranks among candidates")
@FORMS
def test_ranks(benchmark, form):
    found, seen = arguments()
    users = np.arange(USERS, dtype=np.int32)
    benchmark(form.ranks, *found, users, found[1][::CANDIDATES].copy(), *seen)


@pytest.mark.benchmark(group="ten of the candidates")
@FORMS
def test_top_k(benchmark, form):
    found, seen = arguments()
    benchmark(form.top_k, *found, 10, *seen)


@pytest.mark.benchmark(group="unite")
@FORMS
def test_unite(benchmark, form):
    found, seen = arguments()
    benchmark(form.unite, *found[:2], *seen)
