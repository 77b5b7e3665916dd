"""gate: softmax over four slots and the mix that it weighs, with adjoints, NumPy and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.gate import cpu, reference

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
N, SLOTS, D = 4000, 4, 64


def arrays():
    rng = np.random.default_rng(0)
    shapes = ((N, SLOTS), (SLOTS, N, D), (N, D))
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.benchmark(group="softmax")
@FORMS
def test_softmax(benchmark, form):
    benchmark(form.softmax, arrays()[0])


@pytest.mark.benchmark(group="softmax_adjoint")
@FORMS
def test_softmax_adjoint(benchmark, form):
    x = arrays()[0]
    benchmark(form.softmax_adjoint, x, form.softmax(x))


@pytest.mark.benchmark(group="mix")
@FORMS
def test_mix(benchmark, form):
    benchmark(form.mix, *arrays()[:2])


@pytest.mark.benchmark(group="mix_adjoint")
@FORMS
def test_mix_adjoint(benchmark, form):
    weights, parts, d_y = arrays()
    benchmark(form.mix_adjoint, d_y, weights, parts)
