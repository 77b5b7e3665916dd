"""bpr: loss and gradient of a term's rows, NumPy and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.bpr import cpu, reference

ROWS = 3000  # triples of a behaviour in one Taobao step


@pytest.mark.benchmark(group="bpr")
@pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
def test_bpr(benchmark, form):
    scores = np.random.default_rng(0).normal(size=2 * ROWS).astype(np.float32)
    benchmark(form.bpr, scores)
