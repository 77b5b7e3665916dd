"""sample: all users of an epoch, and one batch of one behaviour; the reference and Numba."""

from __future__ import annotations

import numpy as np
import pytest

from pkef_fast.kernels.sample import cpu, reference

KERNELS = {"numpy": reference, "numba": cpu}
EACH_FORM = pytest.mark.parametrize("form", KERNELS)


@pytest.mark.benchmark(group="epoch_users")
@EACH_FORM
def test_epoch_users(benchmark, dataset, form):
    benchmark(KERNELS[form].epoch_users, dataset.n_users, 10_000, 0, 0)


@pytest.mark.benchmark(group="draw")
@EACH_FORM
def test_draw(benchmark, dataset, form):
    """256 users, up to 40 draws each."""
    kernels, (indptr, indices) = KERNELS[form], dataset.interactions[0]
    degrees = np.diff(indptr).astype(np.int32)
    caps = kernels.draw_caps(40, degrees[None], degrees, dataset.n_items)
    users = kernels.epoch_users(dataset.n_users, 256, 0, 0)
    benchmark(kernels.draw, indptr, indices, dataset.n_items, caps, users, 0, 0, 0)
