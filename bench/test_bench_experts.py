"""experts: scores of one term with their adjoint, fused and as NumPy keeps everything."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.experts import Columns, cpu, reference
from pkef_fast.kernels.pairs.reference import index_pairs

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
HEADS = pytest.mark.parametrize(
    "columns",
    [Columns(0, 0, 0, 1), Columns(0, 0, 0, 3, 384), Columns(256, 1, 0, 2, 384)],
    ids=["shared-bottom", "mmoe", "ple"],
)
# a cart term of one Taobao step: 256 users, 7,000 distinct nodes, 6,000 pairs
USERS, NODES, PAIRS, WIDTH, TOTAL = 256, 7000, 6000, 128, 400
SCALES = (0.1, 300.0)


@pytest.fixture(scope="module")
def term():
    rng = np.random.default_rng(0)
    users = rng.normal(size=(USERS, TOTAL)).astype(np.float32)
    items = rng.normal(size=(NODES - USERS, TOTAL)).astype(np.float32)
    tower = rng.normal(size=WIDTH).astype(np.float32)
    left = np.sort(rng.integers(0, USERS, PAIRS)).astype(np.int32)
    right = rng.integers(USERS, NODES, PAIRS).astype(np.int32)
    return users, items, tower, np.zeros(1, np.float32), index_pairs(left, right, NODES)


@pytest.mark.benchmark(group="mixture")
@HEADS
@FORMS
def test_mixture(benchmark, form, columns, term):
    benchmark(form.mixture, *term, columns, *SCALES)


@pytest.mark.benchmark(group="mixture_adjoint")
@HEADS
@FORMS
def test_mixture_adjoint(benchmark, form, columns, term):
    d_scores = np.random.default_rng(1).normal(size=PAIRS).astype(np.float32)
    _, saved = form.mixture(*term, columns, *SCALES)
    d_users, d_items = np.zeros_like(term[0]), np.zeros_like(term[1])
    settings = (*term, columns, *SCALES, saved, d_users, d_items)
    benchmark(form.mixture_adjoint, d_scores, *settings)
