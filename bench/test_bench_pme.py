"""pme: gated and unique scores of one term with their adjoints, NumPy and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.pairs.reference import index_pairs
from pkef_fast.kernels.pme import cpu, reference

FORMS = pytest.mark.parametrize("form", [reference, cpu], ids=["numpy", "numba"])
LEVELS = pytest.mark.parametrize("level", ["side", "interaction"])
# a cart term of one Taobao step: 256 users, 7,000 distinct nodes, 6,000 pairs
USERS, NODES, PAIRS, K, D = 256, 7000, 6000, 3, 64
SCALES = (0.01, 300.0)


@pytest.fixture(scope="module")
def term():
    rng = np.random.default_rng(0)
    tables = rng.normal(size=(K, NODES, D)).astype(np.float32)
    weight = rng.normal(size=(2 * D, K)).astype(np.float32)
    left = np.sort(rng.integers(0, USERS, PAIRS)).astype(np.int32)
    right = rng.integers(USERS, NODES, PAIRS).astype(np.int32)
    pairs = index_pairs(left, right, NODES)
    d_scores = rng.normal(size=PAIRS).astype(np.float32)
    return tables, weight, np.zeros(K, np.float32), pairs, d_scores


@pytest.mark.benchmark(group="gated")
@LEVELS
@FORMS
def test_gated(benchmark, form, level, term):
    tables, weight, bias, pairs, _ = term
    gated = getattr(form, f"gated_{level}")
    benchmark(gated, tables, USERS, 1, weight, bias, pairs, *SCALES)


@pytest.mark.benchmark(group="gated_adjoint")
@LEVELS
@FORMS
def test_gated_adjoint(benchmark, form, level, term):
    tables, weight, bias, pairs, d_scores = term
    settings = (tables, USERS, 1, weight, bias, pairs, *SCALES)
    _, saved = getattr(form, f"gated_{level}")(*settings)
    benchmark(getattr(form, f"gated_{level}_adjoint"), d_scores, *settings, saved)


@pytest.mark.benchmark(group="unique_adjoint")
@LEVELS
@FORMS
def test_unique_adjoint(benchmark, form, level, term):
    tables, _, _, pairs, d_scores = term
    settings = (tables[0], tables[1], pairs, *SCALES)
    _, saved = getattr(form, f"unique_{level}")(*settings)
    benchmark(getattr(form, f"unique_{level}_adjoint"), d_scores, *settings, saved)
