"""bpr: losses and gradients of a term's rows, NumPy and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.bpr import cpu, reference

ROWS = 3000  # triples of a behaviour in one Taobao step


EACH_FORM = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])


@pytest.mark.benchmark(group="bpr")
@EACH_FORM
def test_bpr(benchmark, form):
    scores = np.random.default_rng(0).normal(size=2 * ROWS).astype(np.float32)
    benchmark(form.bpr, scores)


@pytest.mark.benchmark(group="softmax")
@EACH_FORM
def test_softmax(benchmark, form):
    """256 users with four negatives of each positive."""
    scores = np.random.default_rng(0).normal(size=5 * ROWS).astype(np.float32)
    groups = np.linspace(0, ROWS, 257).astype(np.int32)
    benchmark(form.softmax, scores, groups, negatives=4)


@pytest.mark.benchmark(group="hinge")
@EACH_FORM
def test_hinge(benchmark, form):
    """40 triples of each of 256 users."""
    scores = np.random.default_rng(0).normal(size=2 * 40 * 256).astype(np.float32)
    benchmark(form.hinge, scores, 256)
