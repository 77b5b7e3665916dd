"""rank: full ranking of the test items and top 20; Numba beside blocks of BLAS products."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.rank import (
    DotScorer,
    ExpertsScorer,
    GatedScorer,
    InteractionScorer,
    cpu,
    reference,
)

D, K = 64, 3
BLAS_USERS = 512  # a block's scores are 24 MB for Taobao; the whole product would be 0.7 GB
KINDS = ("dot", "gated", "interaction", "experts")


def scorer(kind, dataset):
    rng = np.random.default_rng(0)
    n_users, n_items = dataset.n_users, dataset.n_items

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    if kind == "dot":
        return DotScorer(normal(n_users, D), normal(n_items, D))
    logits = normal(n_users, K), normal(n_items, K)
    if kind == "experts":  # three, on the concatenation of both sides
        sides = normal(n_users, K * 2 * D), normal(n_items, K * 2 * D)
        return ExpertsScorer(*sides, *logits, normal(2 * D), 0.1, 0.1, 300.0)
    if kind == "gated":
        scales = normal(n_users, K), normal(n_items, K)
        return GatedScorer(normal(n_users, D), normal(n_items, D), *logits, *scales)
    tables = normal(K, n_users, D), normal(K, n_items, D)
    return InteractionScorer(*tables, K - 1, *logits, 0.01, 10.0)


def blas_ranks(one, users, items, indptr, indices):
    """`ranks` of a DotScorer as matrix products and comparisons of whole blocks."""
    rank = np.empty(len(users), np.int32)
    columns = np.arange(len(one.right))
    for first in range(0, len(users), BLAS_USERS):
        block = users[first : first + BLAS_USERS]
        item = items[first : first + BLAS_USERS, None]
        s = one.left[block] @ one.right.T
        own = np.take_along_axis(s, item, 1)
        for row, u in zip(s, block, strict=True):
            row[indices[indptr[u] : indptr[u + 1]]] = -np.inf
        np.put_along_axis(s, item, own, 1)
        before = (s > own) | ((s == own) & (columns < item))
        rank[first : first + BLAS_USERS] = np.count_nonzero(before, axis=1)
    return rank


@pytest.mark.benchmark(group="ranks")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["numpy", "blas", "numba"])
def test_ranks(benchmark, dataset, form, kind):
    if form == "numpy" and dataset.name != "demo":
        pytest.skip("the reference is for small problems")
    if form == "blas" and kind != "dot":
        pytest.skip("not a plain matrix product")
    ranks = {"numpy": reference.ranks, "blas": blas_ranks, "numba": cpu.ranks}[form]
    seen = dataset.interactions[-1]
    benchmark(ranks, scorer(kind, dataset), dataset.test_users, dataset.test_items, *seen)


@pytest.mark.benchmark(group="top_k")
@pytest.mark.parametrize("count", [1, 1000])
@pytest.mark.parametrize("form", ["numpy", "numba"])
def test_top_20(benchmark, dataset, form, count):
    if form == "numpy" and dataset.name != "demo":
        pytest.skip("the reference is for small problems")
    kernels = reference if form == "numpy" else cpu
    users = np.arange(min(count, dataset.n_users), dtype=np.int32)
    seen = dataset.interactions[-1]
    benchmark(kernels.top_k, scorer("gated", dataset), users, 20, *seen)
