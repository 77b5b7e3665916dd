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


@pytest.mark.benchmark(group="network")
@FORMS
@pytest.mark.parametrize("kind", ["neumf", "nmtr"])
def test_network(benchmark, form, kind):
    """Eight users and a twelfth of Taobao's items, by the networks of the comparison."""
    rng, (users, items) = np.random.default_rng(0), (8, 1000)

    def of(*shape):
        return rng.normal(size=shape).astype(np.float32)

    if kind == "neumf":
        layers = [(of(64, 32), of(32)), (of(32, 16), of(16))]
        benchmark(form.network, of(users, 64), of(items, 64), None, layers, of(16))
    else:
        product = (of(users, 64), of(items, 64), of(64, 96))
        benchmark(form.network, of(users, 96), of(items, 96), product, (), of(96))
