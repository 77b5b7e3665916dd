"""pairs: rows of a batch, inner products and the penalty with their adjoints, NumPy and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.pairs import cpu, reference

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
# a cart term of one Taobao step: 256 users, 7,000 distinct nodes, 6,000 pairs
USERS, NODES, PAIRS, K, D = 256, 7000, 6000, 3, 64


@pytest.fixture(scope="module")
def term():
    """(tables, pairs, d_scores, weights)."""
    rng = np.random.default_rng(0)
    tables = rng.normal(size=(K, NODES, D)).astype(np.float32)
    left = np.sort(rng.integers(0, USERS, PAIRS)).astype(np.int32)
    right = rng.integers(USERS, NODES, PAIRS).astype(np.int32)
    d_scores, weights = rng.normal(size=PAIRS), rng.uniform(size=NODES)
    pairs = reference.index_pairs(left, right, NODES)
    return tables, pairs, d_scores.astype(np.float32), weights.astype(np.float32)


@pytest.mark.benchmark(group="index_pairs")
@FORMS
def test_index_pairs(benchmark, form, term):
    benchmark(form.index_pairs, term[1].left, term[1].right, NODES)


@pytest.mark.benchmark(group="gather")
@FORMS
def test_gather(benchmark, form, term):
    nodes = np.arange(0, NODES, 2, dtype=np.int32)
    benchmark(form.gather, list(term[0]), nodes)


@pytest.mark.benchmark(group="gather_adjoint")
@FORMS
def test_gather_adjoint(benchmark, form, term):
    nodes = np.arange(0, NODES, 2, dtype=np.int32)
    benchmark(form.gather_adjoint, form.gather(list(term[0]), nodes), nodes, NODES)


@pytest.mark.benchmark(group="dot")
@FORMS
def test_dot(benchmark, form, term):
    benchmark(form.dot, term[0][0], term[1], 300.0)


@pytest.mark.benchmark(group="dot_adjoint")
@FORMS
def test_dot_adjoint(benchmark, form, term):
    tables, pairs, d_scores, _ = term
    benchmark(form.dot_adjoint, d_scores, tables[0], pairs, 300.0)


@pytest.mark.benchmark(group="penalty")
@FORMS
def test_penalty(benchmark, form, term):
    benchmark(form.penalty, term[0][0], term[3])


@pytest.mark.benchmark(group="penalty_adjoint")
@FORMS
def test_penalty_adjoint(benchmark, form, term):
    benchmark(form.penalty_adjoint, np.asarray(1.0), term[0][0], term[3])
