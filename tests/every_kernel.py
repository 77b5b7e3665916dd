"""Launches every CUDA kernel on problems that are small, yet of several blocks and with hubs.

    python -m cuda_emulator.tsan every_kernel.py       (from tests/)

prints as JSON, for each operation, which kernels ran and what the emulator said of them: under
ThreadSanitizer that is whether threads race, in an ordinary process undefined behaviour, reads and
writes out of bounds, and results that depend on the order of threads.

    compute-sanitizer python tests/every_kernel.py --device 0

is for a GPU: there each array has memory of its own, so that NVIDIA's tools see its bounds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

import numpy as np
from forms import Hosted, gpu

from cuda_emulator import EmulatorBackend, EmulatorError
from cuda_emulator.common import INSTANCES, SOURCE
from pkef_fast.data.dataset import Csr
from pkef_fast.graph.adjacency import adjacency
from pkef_fast.kernels import rank as rank_contract
from pkef_fast.kernels.cuda import Pointers, launchers
from pkef_fast.kernels.experts import Columns
from pkef_fast.kernels.pairs.reference import compact, index_pairs
from pkef_fast.kernels.sample import mix_of


def draws(rng, *shape, dtype=np.float32):
    """Normal numbers."""
    return rng.normal(size=shape).astype(dtype)


def pattern(rng, n_rows, n_columns, share):
    """A random CSR pattern."""
    rows, columns = np.nonzero(rng.random((n_rows, n_columns)) < share)
    indptr = np.searchsorted(rows, np.arange(n_rows + 1))
    return Csr(indptr.astype(np.int32), columns.astype(np.int32))


def sample(form, rng):
    """Draws of a batch in both layouts, an epoch's order, and the bookkeeping of a step."""
    seen, users = pattern(rng, 12, 9, 0.4), np.array([3, 0, 11, 7], np.int32)
    caps = np.where(np.diff(seen.indptr) < 9, np.minimum(np.diff(seen.indptr), 5), 0)
    caps = caps.astype(np.int32)
    form.philox4x32(rng.integers(0, 2**32, (300, 4), dtype=np.uint32), np.ones(2, np.uint32))
    form.epoch_users(300, 300, 7, 1)
    form.draw(*seen, 9, caps, users, 7, 2, 0)
    clock = np.array([1, 6], np.uint32)
    form.draw_slots(*seen, 9, caps, users, 7, clock, 0, 5)
    mix = mix_of(np.arange(9), 0.75, 0.4, 0.4)
    form.draw(*seen, 9, caps, users, 7, 2, 0, 3, mix)
    form.draw_slots(*seen, 9, caps, users, 7, clock, 0, 5, 3, mix)
    form.positives(*seen, users, 40)
    form.take_users(np.arange(12, dtype=np.int32), clock, 4, users)
    form.record([np.ones((), np.float64)] * 20, clock, np.zeros((3, 20)))
    form.advance(clock)


def propagate(form, rng):
    """Layers of each fusion and their adjoints, over a graph with a row that is cut."""
    kernels = launchers()["propagate"]
    before, kernels.SEGMENT = kernels.SEGMENT, 8
    try:
        seen = pattern(rng, 9, 14, 0.5)
        for d, fusion, source in (
            (8, "projection", "state"),
            (5, "summation", "message"),
            (8, "linear", "state"),
            (4, "vanilla", "message"),
            (36, "none", "state"),
            (33, "projection", "state"),  # too wide for registers
        ):
            _layer(form, rng, adjacency(seen, 14, "symmetric", True), d, fusion, source)
        graph = adjacency(seen, 14)
        form.spread(graph, draws(rng, 23, 6))
        form.layer_sum(adjacency(seen, 14, "symmetric"), draws(rng, 23, 6), 2)
        a, c = draws(rng, 2, 23, 6)
        out, r, inverse = form.project(a, c)
        form.project_adjoint(out, a, c, r, inverse)
        for storage in ("bfloat16", "float16"):
            narrow = graph._replace(storage=storage)
            _layer(form, rng, narrow, 8, "projection", "state")
    finally:
        kernels.SEGMENT = before


def _options_of(form):
    """The form that has the options: a GPU's stands behind one that moves arrays."""
    return form._form if isinstance(form, Hosted) else form


def _layer(form, rng, graph, d, fusion, source):
    p, z, p_sum, z_sum, d_p, d_z, d_p_sum, d_z_sum = draws(rng, 8, 23, d)
    p = None if fusion == "none" else p
    shapes = {"linear": ((d, d), d), "vanilla": ((4 * d, 4), 4)}.get(fusion, ())
    weights = [draws(rng, *np.atleast_1d(shape)) for shape in shapes]
    settings = (fusion, source, 0.3, *weights)
    *_, saved = form.layer(graph, p, z, p_sum, z_sum, *settings)
    if fusion == "none":
        d_p = d_p_sum = None
    form.layer_adjoint(graph, d_p, d_z, d_p_sum, d_z_sum, saved, *settings)


def pairs(form, rng):
    """Rows, scores and a penalty of a batch with a heavy node; a sort that takes two blocks."""
    kernels = launchers()["pairs"]
    before, kernels.PIECES = kernels.PIECES, 2
    try:
        left, right = _ends(rng, 1100)
        form.index_pairs(*form.compact([left, right], 80)[1], 80)
        nodes, (left, right) = form.compact(_ends(rng, 160), 80)
        ends = form.index_pairs(left, right, len(nodes))
        x = form.gather([draws(rng, 80, 4) for _ in range(3)], nodes)
        form.gather_adjoint(x, nodes, 80)
        d_scores, relation = draws(rng, len(left)), draws(rng, 4)
        for r in (None, relation):
            form.dot(x[1], ends, 2.0, r)
            form.dot_adjoint(d_scores, x[1], ends, 2.0, r)
        for how in ("sum", "product"):
            form.join_adjoint(form.join(x[1], ends, how), x[1], ends, how)
        rows, weights = draws(rng, 600, 5), draws(rng, 600)
        form.penalty_adjoint(form.penalty(rows, weights), rows, weights)
    finally:
        kernels.PIECES = before


def pme(form, rng):
    """All scores and adjoints of a batch with a heavy node."""
    kernels = launchers()["pme"]
    before, kernels.PIECES = kernels.PIECES, 2
    try:
        nodes, (left, right) = compact(_ends(rng, 160), 80)
        ends, k = index_pairs(left, right, len(nodes)), 1
        rows, d_scores = draws(rng, 3, len(nodes), 4), draws(rng, len(left))
        for level in ("side", "interaction"):
            gate = (rows, None, k, draws(rng, 8, 3), draws(rng, 3), ends, 0.3, 2.0)
            _, saved = getattr(form, f"gated_{level}")(*gate)
            getattr(form, f"gated_{level}_adjoint")(d_scores, *gate, saved)
            two = (rows[0], rows[k], ends, 0.3, 2.0)
            _, saved = getattr(form, f"unique_{level}")(*two)
            getattr(form, f"unique_{level}_adjoint")(d_scores, *two, saved)
    finally:
        kernels.PIECES = before


def _ends(rng, n):
    """Pairs of which some are absent and half join one user: enough for the whole block."""
    left, right = rng.integers(0, 30, n), rng.integers(30, 80, n)
    left[::2] = 4
    left[::7] = right[::7] = -1
    return [left.astype(np.int32), right.astype(np.int32)]


def experts(form, rng):
    """A gated mixture over a batch with a heavy node."""
    kernels = launchers()["experts"]
    before, kernels.PIECES = kernels.PIECES, 2
    try:
        nodes, (left, right) = compact(_ends(rng, 160), 80)
        ends, n_users = index_pairs(left, right, len(nodes)), int(np.sum(nodes < 30))
        x, d_scores = draws(rng, len(nodes), 16), draws(rng, len(left))
        both, gradients = (x[:n_users], x[n_users:]), draws(rng, 2, len(nodes), 16)
        settings = (*both, draws(rng, 4), draws(rng, 1), ends, Columns(0, 1, 4, 2, 12), 0.1, 2.0)
        _, saved = form.mixture(*settings)
        d_users, d_items = gradients[0][:n_users].copy(), gradients[1][n_users:].copy()
        form.mixture_adjoint(d_scores, *settings, saved, d_users, d_items)
    finally:
        kernels.PIECES = before


def bpr(form, rng):
    """Two blocks of rows and of groups, some of the rows absent."""
    scores, present = draws(rng, 2200), rng.integers(-1, 2, 1100).astype(np.int32)
    count = np.array(np.sum(present >= 0), np.int32)
    form.bpr(scores)
    form.bpr_slots(scores, present, count)
    form.hinge(scores, 40)
    form.hinge_slots(scores, present, count)
    form.softmax(scores, np.array([0, 0, 3, 70, 200, 203, 500, 600, 700, 1100], np.int32))
    form.softmax_slots(scores, present, count, 50)


def bce(form, rng):
    """Two blocks of rows, some of them absent."""
    scores, labels = draws(rng, 1100), rng.random(1100).astype(np.float32)
    present = rng.integers(-1, 2, 1100).astype(np.int32)
    form.bce(scores, labels)
    form.bce_slots(scores, labels, present, np.array(np.sum(present >= 0), np.int32))


def linear(form, rng):
    """Products of several tiles and pieces, in float32 and TF32; activations and sums."""
    kernels = launchers()["linear"]
    before, kernels.PIECE_ROWS = kernels.PIECE_ROWS, 48
    try:
        x, weight, bias = draws(rng, 70, 5), draws(rng, 5, 66), draws(rng, 66)
        options, newer = _options_of(form), _options_of(form).backend.capability >= 80
        for options.tensor_cores in (True, False) if newer else (False,):
            form.affine_adjoint(form.affine(x, weight, bias), x, weight)
        form.gram_adjoint(form.gram(x), x)
    finally:
        kernels.PIECE_ROWS = before
    y = form.activate(x, "sigmoid")
    form.activate_adjoint(x, y, "sigmoid")
    form.total(form.stack(x, x), form.stack(y, y))
    form.column_sums(form.shift(x, bias[:5]))


def allpairs(form, rng):
    """Matrices of more rows than a block has warps; pairs of two blocks."""
    x = draws(rng, 20, 33)
    form.everything(x.T @ x, x.T @ x, x[0], 0.1)
    form.met(draws(rng, 1500), 0.1)


def dropout(form, rng):
    """Entries that are no multiple of four, and the edges of a row longer than a warp."""
    form.entries(draws(rng, 41, 33), 0.3, 7, 2)
    graph, clock = adjacency(pattern(rng, 9, 80, 0.6), 80), np.array([1, 6], np.uint32)
    form.edges(graph, 0.3, 7, clock, 1)


def gate(form, rng):
    """More rows than a block has."""
    x, parts = draws(rng, 300, 3), draws(rng, 3, 20, 13)
    y = form.softmax(x)
    form.softmax_adjoint(x, y)
    form.shares_adjoint(x, y, form.shares(y, y[0]), y[0])
    form.mix_adjoint(form.mix(y[:20], parts), y[:20], parts)


def normalise(form, rng):
    """Both forms over more rows than a block has, in vectors and single values."""
    for kind in ("clamp", "smooth"):
        for d in (8, 5):
            x, d_y = draws(rng, 2, 70, d)
            form.normalise_adjoint(d_y, *form.normalise(x, kind, 1e-6), kind, 1e-6)


def attention(form, rng):
    """Rows of several blocks and pieces, more columns than a tile, and behaviours of a node."""
    kernels = launchers()["attention"]
    before, kernels.PIECE_ROWS = kernels.PIECE_ROWS, 48
    try:
        x, p, R = draws(rng, 150, 70), draws(rng, 150, 2), draws(rng, 2, 70, 70)
        form.memory_adjoint(form.memory(x, p, R), x, p, R)
    finally:
        kernels.PIECE_ROWS = before
    qkv, g = draws(rng, 60, 12), draws(rng, 60, 1)
    o = form.attend(qkv, 3, 2)
    form.attend_adjoint(o, qkv, 3, 2)
    form.pool_adjoint(form.pool(g, o, 3), g, o, 3)
    network = draws(rng, 70, 70), draws(rng, 70), draws(rng, 70, 1), draws(rng, 1)
    form.predict(draws(rng, 3, 70), x, *network)


def adam(form, rng):
    """Two blocks of parameters, of a step that the host gives and of one on the device."""
    theta, grad, m, v = draws(rng, 4, 5000)
    v = np.abs(v)
    form.update(theta, grad, m, v, lr=0.1, step=3, penalty=0.01)
    clock = np.array([1, 1], np.uint32)
    form.update_scheduled(theta, None, m, v, np.ones((4, 2)), clock)
    theta, m = theta[:600], m[:600]
    form.average(theta, m, 0.9, 3)
    form.average_scheduled(theta, m, 0.9, clock)


def rank(form, rng):
    """Ranks by all scorers and lists by one, over more items than a tile."""
    users, seen = np.arange(20, dtype=np.int32), pattern(rng, 20, 140, 0.1)
    items = rng.integers(0, 140, 20).astype(np.int32)
    left, right, a, b = draws(rng, 20, 3), draws(rng, 140, 3), draws(rng, 20, 2), draws(rng, 140, 2)
    tables = (draws(rng, 2, 20, 3), draws(rng, 2, 140, 3))
    for scorer in (
        rank_contract.DotScorer(left, right),
        rank_contract.GatedScorer(left, right, a, b, a, b),
        rank_contract.InteractionScorer(*tables, 1, a, b, 0.3, 2.0),
        rank_contract.ExpertsScorer(
            draws(rng, 20, 6), draws(rng, 140, 6), a, b, draws(rng, 3), 1.0, 0.1, 2.0
        ),
        rank_contract.RowsScorer(draws(rng, 20, 140)),
    ):
        form.ranks(scorer, users, items, *seen)
    form.top_k(rank_contract.DotScorer(left, right), users[:2], 70, *seen)
    some, ends = users[:4], np.arange(5)
    form.survey(rank_contract.DotScorer(left, right), some, 3, *seen, ends, items[:4])


EVERY: dict[str, Callable] = {
    "sample": sample,
    "propagate": propagate,
    "pairs": pairs,
    "pme": pme,
    "experts": experts,
    "bpr": bpr,
    "bce": bce,
    "allpairs": allpairs,
    "dropout": dropout,
    "linear": linear,
    "gate": gate,
    "normalise": normalise,
    "attention": attention,
    "adam": adam,
    "rank": rank,
}


def common(backend, rng) -> None:
    """What the helpers of common.cuh that need a whole block or warp do."""
    place = backend.xp.asarray
    module = backend.module(SOURCE, INSTANCES)
    x, out = place(draws(rng, 768, dtype=np.float64)), place(np.zeros((3, 768)))
    module("over_block<double, 256>")((3,), (256,), (x, *out))
    tables, total = [place(draws(rng, 20)) for _ in range(3)], place(np.zeros(20, np.float32))
    arguments = (Pointers(tables), total, np.int32(3), np.int32(20))
    module("sum_tables<float>")((1,), (64,), arguments)


class Noting:
    """A backend that notes the kernels that are launched, by the name of their function."""

    def __init__(self, backend):
        self._backend = backend
        self.names: dict[str, set[str]] = {}

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def module(self, source, instances):
        module = self._backend.module(source, instances)
        names = self.names.setdefault(source.stem, set())

        def of(name):
            kernel = module(name)

            def launch(grid, block, args, shared_mem=0):
                kernel(grid, block, args, shared_mem=shared_mem)
                if 0 not in grid:
                    names.add(name.partition("<")[0])

            return launch

        return of


def functions(operation: str) -> set[str]:
    """Names of an operation's kernels."""
    return {one.name.partition("<")[0] for one in launchers()[operation].INSTANCES}


def run(operations=tuple(EVERY), make=EmulatorBackend, hosted=False) -> dict[str, dict]:
    """{operation: {"launched": names, "said": what the emulator said, or None}}.

    `hosted`: the backend's arrays are not NumPy's.
    """
    found = {}
    for operation in operations:
        backend, rng = Noting(make()), np.random.default_rng(0)
        said = None
        try:
            if operation == "common":
                common(backend, rng)
            elif hosted:
                EVERY[operation](
                    Hosted(operation, lambda backend=backend: backend, back=False), rng
                )
            else:
                EVERY[operation](launchers()[operation].Form(backend), rng)
            backend.synchronize()
        except EmulatorError as error:
            said = str(error)
        found[operation] = {"launched": sorted(backend.names.get(operation, ())), "said": said}
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--device", choices=("emulator", "0"), default="emulator")
    on_gpu = options.parse_args().device == "0"
    if on_gpu:
        gpu().xp.cuda.set_allocator(None)
    make = gpu if on_gpu else EmulatorBackend
    json.dump(run([*EVERY, "common"], make, hosted=on_gpu), sys.stdout)


if __name__ == "__main__":
    main()
