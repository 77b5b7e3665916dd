"""attention: memory, attention over behaviours and their pool with adjoints, NumPy and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.attention import cpu, reference

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
NODES, BEHAVIORS, SLOTS, HEADS, D = 9000, 3, 8, 2, 64  # a third of Taobao
ROWS = NODES * BEHAVIORS


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.benchmark(group="memory")
@FORMS
def test_memory(benchmark, form):
    benchmark(form.memory, draw(ROWS, D), draw(ROWS, SLOTS), draw(SLOTS, D, D))


@pytest.mark.benchmark(group="memory_adjoint")
@FORMS
def test_memory_adjoint(benchmark, form):
    x = draw(ROWS, D)
    benchmark(form.memory_adjoint, x, x, draw(ROWS, SLOTS), draw(SLOTS, D, D))


@pytest.mark.benchmark(group="attend")
@FORMS
def test_attend(benchmark, form):
    benchmark(form.attend, draw(ROWS, 3 * D), BEHAVIORS, HEADS)


@pytest.mark.benchmark(group="attend_adjoint")
@FORMS
def test_attend_adjoint(benchmark, form):
    benchmark(form.attend_adjoint, draw(ROWS, D), draw(ROWS, 3 * D), BEHAVIORS, HEADS)


@pytest.mark.benchmark(group="pool")
@FORMS
def test_pool(benchmark, form):
    benchmark(form.pool, draw(ROWS, 1), draw(ROWS, D), BEHAVIORS)


@pytest.mark.benchmark(group="pool_adjoint")
@FORMS
def test_pool_adjoint(benchmark, form):
    benchmark(form.pool_adjoint, draw(NODES, D), draw(ROWS, 1), draw(ROWS, D), BEHAVIORS)


@pytest.mark.benchmark(group="predict")
@FORMS
def test_predict(benchmark, form):
    """Sixteen users and Taobao's items; half of what a relu gives is zero."""
    left = np.maximum(draw(16, D), 0)
    benchmark(form.predict, left, draw(11953, D), draw(D, D), draw(D), draw(D, 1), draw(1))
