"""linear: an affine map of the linear fusion's size and its adjoint, NumPy (BLAS) and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.linear import cpu, reference

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
N, D = 4000, 64


def tables():
    rng = np.random.default_rng(0)
    return [rng.normal(size=s).astype(np.float32) for s in ((N, D), (D, D), (D,), (N, D))]


@pytest.mark.benchmark(group="affine")
@FORMS
def test_affine(benchmark, form):
    benchmark(form.affine, *tables()[:3])


@pytest.mark.benchmark(group="affine_adjoint")
@FORMS
def test_affine_adjoint(benchmark, form):
    x, weight, _, d_y = tables()
    benchmark(form.affine_adjoint, d_y, x, weight)


@pytest.mark.benchmark(group="activate")
@FORMS
@pytest.mark.parametrize("kind", ["relu", "leaky_relu", "sigmoid"])
def test_activate(benchmark, form, kind):
    benchmark(form.activate, tables()[0], kind)


@pytest.mark.benchmark(group="shift")
@FORMS
def test_shift(benchmark, form):
    x, _, bias, _ = tables()
    benchmark(form.shift, x, bias)


@pytest.mark.benchmark(group="column_sums")
@FORMS
def test_column_sums(benchmark, form):
    benchmark(form.column_sums, tables()[0])
