"""Sums and features of the re-ranker against dense float64 ones."""

from __future__ import annotations

import numpy as np
import pytest
from rerank_shops import dense, ranker_of, rng_scores, shop

from pkef_fast.device import device
from pkef_fast.kernels.candidates import Limits
from pkef_fast.rerank.funnel import Funnel, features_of
from pkef_fast.rerank.neighbours import neighbours

FORMS = pytest.mark.parametrize("form", ["reference", "cpu"])


def two_hops(data):
    """T (K, K, I, I) from dense float64 matrices."""
    normal = []
    for csr in data.interactions:
        matrix = dense(csr, data)
        roots = [np.sqrt(np.maximum(matrix.sum(axis=axis), 1)) for axis in (1, 0)]
        normal.append(matrix / roots[0][:, None] / roots[1])
    return np.array([[a.T @ b for b in normal] for a in normal])


def logs(sums):
    return np.log(sums + 1e-6)


@FORMS
@pytest.mark.parametrize("n_behaviors", [1, 2, 3, 4])
@pytest.mark.parametrize("most", [5, 1000])
def test_neighbours_are_the_largest_of_the_dense_sums(n_behaviors, most, form):
    data = shop(n_behaviors)
    truth = two_hops(data)
    found = neighbours(data, most, device(form))
    total = truth.sum(axis=(0, 1))
    np.fill_diagonal(total, 0)
    for i in range(data.n_items):
        row = slice(found.indptr[i], found.indptr[i + 1])
        items = found.items[row]
        assert np.all(np.diff(items) > 0)
        assert i not in items
        expected = truth[:, :, i, items].reshape(n_behaviors**2, -1).T
        np.testing.assert_allclose(found.values[row], expected, rtol=1e-5, atol=1e-7)
        left = np.delete(total[i], items)
        assert len(items) == min(most, np.count_nonzero(total[i]))
        if len(items):
            assert left.max(initial=0) <= total[i, items].min() * (1 + 1e-5)


@FORMS
@pytest.mark.parametrize("n_behaviors", [1, 2, 3, 4])
def test_features_are_those_of_dense_sums(n_behaviors, form):
    data, K = shop(n_behaviors), n_behaviors
    T = two_hops(data)
    np.einsum("abii->abi", T)[...] = 0  # an item is no neighbour of itself
    scores = rng_scores(data)
    alpha, beta = 0.3, 0.4
    source = Funnel(data, 1000, Limits(4, 3, 2), alpha, beta, device(form))
    names = [feature.name for feature in features_of(data.behaviors)]
    assert len(names) == len(set(names)) == source.width
    users = np.arange(data.n_users, dtype=np.int32)
    found = source.block(users, ranker_of(scores))
    rows = [dense(csr, data) for csr in data.interactions]
    counts = np.array([matrix.sum(axis=0) for matrix in rows])
    for u in users:
        part = slice(found.indptr[u], found.indptr[u + 1])
        items, x = found.items[part], dict(zip(names, found.features[part].T, strict=True))
        shares = [matrix[u] / max(matrix[u].sum(), 1) for matrix in rows]
        graph = np.zeros(data.n_items)
        for s in range(K):
            stage = (alpha + beta * (s == 0)) * beta ** (K - 1 - s)
            graph += stage * sum(shares[s] @ T[a, b] for a in range(s, K) for b in range(a, K))
        bought, own = rows[-1][u] > 0, np.zeros(data.n_items, bool)
        for matrix in rows[:-1]:
            own |= matrix[u] > 0
        own &= ~bought
        expected = set(np.flatnonzero(own))
        for sums, most in ((graph, 4), (shares[0] @ T[0, 0], 3)):
            free = np.array([v for v in range(data.n_items) if v not in expected and not bought[v]])
            best = free[np.argsort(-sums[free], kind="stable")][:most]
            expected |= {v for v in best if sums[v] > 0}
        free = np.where(bought, -np.inf, scores[u])
        expected |= set(np.argsort(-free, kind="stable")[: min(2, int((~bought).sum()))])
        assert set(items) == expected
        assert len(items) == len(expected)
        close = {"rtol": 2e-4, "atol": 2e-3}
        np.testing.assert_allclose(x["graph"], logs(graph[items]), **close)
        for s in range(K):
            a = data.behaviors[s]
            np.testing.assert_allclose(x[f"{a}s of the item"], np.log1p(counts[s][items]), **close)
            np.testing.assert_allclose(x[f"{a}s of the user"], np.log1p(rows[s][u].sum()), **close)
            for b in range(K):
                name = f"alike by {a}, {data.behaviors[b]}"
                np.testing.assert_allclose(x[name], logs((shares[s] @ T[s, b])[items]), **close)
        for s in range(K - 1):
            assert np.array_equal(x[f"own {data.behaviors[s]}"], rows[s][u][items])
        if len(items) > 1:
            assert abs(x["model"].mean()) < 1e-3
            order = np.argsort(np.argsort(-scores[u][items], kind="stable"))
            np.testing.assert_allclose(x["model, place"], np.log1p(order), **close)


def test_broken_scores_of_a_model_give_finite_features():
    data = shop()
    scores = rng_scores(data)
    scores[0], scores[1, ::2], scores[2] = np.nan, -np.inf, np.inf
    found = Funnel(data, 20, Limits(4, 3, 2), 0.0, 0.9).block(
        np.arange(data.n_users, dtype=np.int32), ranker_of(scores)
    )
    assert np.isfinite(found.features).all()
