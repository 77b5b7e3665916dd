"""bench/roofline.py: its launches are those that run, its counts those of counting one by one."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pkef_fast.kernels.cuda import forms
from pkef_fast.kernels.pairs import Pairs
from pkef_fast.kernels.propagate import Adjacency
from pkef_fast.kernels.rank import DotScorer

ROOT = Path(__file__).parents[1]


def _load():
    spec = importlib.util.spec_from_file_location("roofline", ROOT / "bench" / "roofline.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


roofline = _load()
TINY = roofline.Shop("tiny", 5, 4, (8, 6, 3), (2, 1, 1), (1, 2), batch_users=3, samples=2, d=8)


@pytest.mark.emulator
@pytest.mark.parametrize("what", ["step", "evaluation"])
def test_the_counted_launches_run(what, monkeypatch):
    """With real arrays on the emulator: the same launches, the same bytes and operations."""
    from cuda_emulator import EmulatorBackend
    from cuda_emulator.driver import ASCENDING

    counted = getattr(roofline, what)(TINY)
    backend = EmulatorBackend((ASCENDING,))

    class Running(roofline.Recorder):
        def __init__(self):
            super().__init__()
            self.xp = backend.xp

        def module(self, source, instances):
            note, run = super().module(source, instances), backend.module(source, instances)

            def of(name):
                def launch(grid, block, args, shared_mem=0):
                    note(name)(grid, block, args, shared_mem)
                    run(name)(grid, block, args, shared_mem)

                return launch

            return of

    monkeypatch.setattr(roofline, "Recorder", Running)
    monkeypatch.setattr(roofline, "shaped", lambda shape, dtype=np.float32: np.zeros(shape, dtype))
    ran = getattr(roofline, what)(TINY)
    assert backend.launches == len(ran) == len(counted) > 0
    for one, other in zip(ran, counted, strict=True):
        assert (one.name, one.options, one.grid) == (other.name, other.options, other.grid)
        assert roofline.cost(one) == roofline.cost(other), one.name


def test_a_spread_counted_edge_by_edge():
    rng = np.random.default_rng(0)
    n, d = 7, 12
    dense = rng.random((n, n)) < 0.4
    indptr = np.concatenate([[0], np.cumsum(dense.sum(axis=1))]).astype(np.int32)
    indices = np.nonzero(dense)[1].astype(np.int32)
    x, scale = np.zeros((n, d), np.float32), np.ones(n, np.float32)
    backend = roofline.Recorder()
    pattern = Adjacency(indptr, indices, scale, scale, True, False, 0, np.zeros(2, np.int32))
    forms(backend)["propagate"].spread(pattern, x)
    (launch,) = backend.launches

    l2 = flops = 0
    for first, last in pairwise(indptr):
        l2 += 4 + 4 + 4 * d  # the row's number and scale, its sum
        flops += 4 * d
        for _ in indices[first:last]:
            l2 += 4 + 4 * d  # the neighbour's number and row
            flops += d
    l2 += indptr.nbytes + 4 * d  # and room for a partial sum
    found = roofline.cost(launch)
    assert (found.l2, found.flops) == (l2, flops)
    gathered = len(indices) * 4 * d
    assert found.dram == l2 - gathered + min(gathered, x.nbytes)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_inner_products_counted_pair_by_pair(share):
    n, d, rows = 9, 16, 10
    ends = np.zeros(rows, np.int32)
    pairs = Pairs(ends, ends.copy(), np.zeros(n + 1, np.int32), np.zeros(2 * rows, np.int32))
    x, d_scores = np.zeros((n, d), np.float32), np.zeros(rows, np.float32)
    backend = roofline.Recorder()
    backend.share = share
    form = forms(backend)["pairs"]
    form.dot(x, pairs, 1.0)
    form.dot_adjoint(d_scores, x, pairs, 1.0)
    forward, adjoint = map(roofline.cost, backend.launches)

    present = int(rows * share)
    l2 = flops = 0
    for row in range(rows):
        l2 += 4 + 4 + 4  # both ends, the score
        if row < present:
            for _end in range(2):
                l2 += 4 * d
            flops += 2 * d
    assert (forward.l2, forward.flops) == (l2, flops)
    l2 = flops = 0
    for row in range(rows):
        l2 += 4 + 4 + 2 * 4  # both ends, two slots
        if row < present:
            for _end in range(2):
                l2 += 4 + 4 * d  # the score's gradient, the partner's row
                flops += 2 * d
    l2 += (n + 1) * 4 + n * 4 * d  # where the nodes' slots start, the sums
    assert (adjoint.l2, adjoint.flops) == (l2, flops)


def test_a_sweep_counted_tile_by_tile():
    n_users, n_items, d = 300, 200, 5
    backend = roofline.Recorder()
    one = DotScorer(np.zeros((n_users, d), np.float32), np.zeros((n_items, d), np.float32))
    forms(backend)["rank"].scores(one, np.zeros(n_users, np.int32))
    (sweep,) = [one for one in backend.launches if one.name == "sweep"]
    tile, depth = 128, 8
    l2 = flops = 0
    for _user in range(0, n_users, tile):
        for _item in range(0, n_items, tile):
            l2 += 2 * tile * depth * 4
            flops += tile * tile * (2 * depth + 5)
    found = roofline.cost(sweep)
    assert (found.l2, found.flops) == (l2 + n_users * n_items * 4, flops)


def test_the_bound_is_the_slowest_of_the_three():
    gpu = roofline.Gpu("round", flops=1e3, dram=10.0, l2=100.0, l2_size=1e9)
    backend = roofline.Recorder()
    forms(backend)["bpr"].bpr(np.zeros(1000, np.float32))
    launch = backend.launches[0]
    whole = roofline.cost(launch)
    assert roofline.bound(launch, gpu) == whole.l2 / 100
    assert roofline.bound(launch, gpu._replace(flops=1.0)) == whole.flops
    assert roofline.bound(launch, gpu._replace(l2_size=1.0)) == whole.dram / 10


def test_the_report_says_that_it_is_predicted():
    text = roofline.report()
    assert "**Predicted, not measured.**" in text
    for shop in roofline.SHOPS:
        assert f"## {shop.name}: step" in text and f"## {shop.name}: ranking" in text
