"""normalise: rows to length one and its adjoint, for as many nodes as Taobao has."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.normalise import cpu, reference

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
N, D = 27_402, 64


def arrays():
    return np.random.default_rng(0).normal(size=(2, N, D)).astype(np.float32)


@pytest.mark.benchmark(group="normalise")
@FORMS
def test_normalise(benchmark, form):
    benchmark(form.normalise, arrays()[0])


@pytest.mark.benchmark(group="normalise_adjoint")
@FORMS
def test_normalise_adjoint(benchmark, form):
    x, d_y = arrays()
    benchmark(form.normalise_adjoint, d_y, *form.normalise(x))
