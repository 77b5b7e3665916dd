"""bce: loss and gradient of a step's labels, NumPy and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.bce import cpu, reference

ROWS = 2048


@pytest.mark.benchmark(group="bce")
@pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
def test_bce(benchmark, form):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=ROWS).astype(np.float32)
    benchmark(form.bce, scores, (rng.random(ROWS) < 0.2).astype(np.float32))
