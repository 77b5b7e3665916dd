"""Times of the CUDA kernels, a training step and an evaluation on a GPU, beside its peers.

    python bench/gpu.py [--device 0] [--dataset taobao --data-dir DIR]

Without a data set a synthetic one of Taobao's size is used. Prints a Markdown section. Peers are
cuSPARSE (through CuPy) and PyTorch's sparse product where torch is installed; both get the operands
in the layout that they like best. Every figure is the median of runs between two events on the
device, of several calls each; the first runs are left out. The project's calls are recorded once
and replayed, as in training: launched one by one from Python, a product of 50 µs takes 100. Where
roofline.py knows the card, its bound stands beside; the ceiling is how fast this card gives out
random rows of a table of that size if there is nothing else to do, no indices to read even.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pkef_fast import PKEF, load_dataset
from pkef_fast.data import generate
from pkef_fast.device import Device, device, on
from pkef_fast.graph.adjacency import adjacency
from pkef_fast.kernels.cuda import forms

sys.path.insert(0, str(Path(__file__).parent))
import roofline

TAOBAO = {"n_users": 15449, "n_items": 11953, "degree": 57.0}  # interactions of view
WARM, RUNS, CALLS = 3, 25, 10
D = 64

# What an H100 is to reach on Taobao with the official preset.
TARGETS = {"step, captured": "≤ 2 ms", "evaluation": "≤ 50 ms", "spread": "≥ 70 % of the bound"}


class Row(NamedTuple):
    """A line of the table."""

    what: str
    ms: float
    note: str
    bound_ms: float | None = None


def replayed_ms(place: Device, function: Callable) -> float:
    """Median milliseconds of `function()` in a recording of CALLS of them."""
    function()  # compiles what it needs, which a recording must not
    replay = place.kernels.backend.capture(lambda: [function() for _ in range(CALLS)])
    return _median(replay, 1, place.xp.cuda.Event, place.xp.cuda.get_elapsed_time)


def cupy_ms(cupy, function: Callable) -> float:
    """Median milliseconds of `function()` of CALLS in a row on CuPy's stream."""
    return _median(function, CALLS, cupy.cuda.Event, cupy.cuda.get_elapsed_time)


def torch_ms(torch, function: Callable) -> float:
    """The same on PyTorch's stream."""
    return _median(
        function,
        CALLS,
        event=lambda: torch.cuda.Event(enable_timing=True),
        elapsed=lambda start, end: start.elapsed_time(end),
    )


def _median(function, calls, event, elapsed) -> float:
    """Median of runs; each is CALLS of what is timed, in `calls` calls of `function`."""
    for _ in range(WARM):
        function()
    times = []
    for _ in range(RUNS):
        start, end = event(), event()
        start.record()
        for _ in range(calls):
            function()
        end.record()
        end.synchronize()
        times.append(elapsed(start, end) / CALLS)
    return statistics.median(times)


# A warp reads two random rows of 64 float32 at a time, eight times before it adds the first.
CEILING = r"""
extern "C" __global__ void __launch_bounds__(256)
ceiling(const float4* table, unsigned rows, int turns, float* out) {
    const int thread = blockIdx.x * 256 + threadIdx.x, lane = threadIdx.x % 16;
    unsigned state = (thread / 16) * 2654435761u + 12345u;
    float4 sum = {0, 0, 0, 0};
    for (int turn = 0; turn < turns; turn += 8) {
        float4 row[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            state = state * 1664525u + 1013904223u;
            row[i] = table[__umulhi(state, rows) * 16ull + lane];
        }
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            sum.x += row[i].x; sum.y += row[i].y; sum.z += row[i].z; sum.w += row[i].w;
        }
    }
    if (sum.x + sum.y + sum.z + sum.w == 0.12345f) *out = sum.x;  // so that it must be computed
}
"""


def ceiling(place: Device, data) -> Row:
    """As many random rows as the view graph's product gathers, and nothing else."""
    xp, blocks, turns = place.xp, 3424, 32
    edges, n = 2 * len(data.interactions[0].indices), data.n_users + data.n_items
    kernel, out = xp.RawKernel(CEILING, "ceiling"), xp.zeros(1, np.float32)
    args = (xp.ones((n, D), np.float32), np.uint32(n), np.int32(turns), out)
    rows = blocks * 16 * turns
    ms = replayed_ms(place, lambda: kernel((blocks,), (256,), args))
    note = f"{rows * D * 4 / ms / 1e9:.1f} TB/s; scaled to the product's rows"
    return Row("random rows alone", ms * edges / rows, note)


def bound_of(call: Callable, gpu: roofline.Gpu | None) -> float | None:
    """The bound in milliseconds of what `call(propagate)` launches; None: unknown card."""
    if gpu is None:
        return None
    recorder = roofline.Recorder()
    call(forms(recorder)["propagate"])
    return 1000 * sum(roofline.bound(launch, gpu) for launch in recorder.launches)


def products(place: Device, data, timed: Callable, gpu: roofline.Gpu | None) -> list[Row]:
    """The view graph's product, layer and adjoint."""
    host = adjacency(data.interactions[0], data.n_items)
    n, edges = len(host.indptr) - 1, len(host.indices)
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(n, D)).astype(np.float32) for _ in range(2)]
    fused = ("projection", "state", 0.3)

    def spread(kernels, graph, x, z):
        kernels.spread(graph, x)

    def layer(kernels, graph, x, z):
        return kernels.layer(graph, x, z, None, None, *fused)

    def adjoint(saved):
        return lambda kernels, graph, x, z: kernels.layer_adjoint(
            graph, x, z, None, None, saved, *fused
        )

    moved = f"{edges * D * 4 / 1e6:.0f} MB gathered a table"
    here = (place.kernels.propagate, place.place(host), *map(place.place, tables))
    x, z, a, c = (roofline.shaped((n, D)) for _ in range(4))
    saved = a, c, roofline.shaped(n), roofline.shaped(n)
    rows = []
    for what, call, noted, note in (
        ("spread", spread, spread, moved),
        ("layer, both streams fused", layer, layer, "two tables"),
        ("layer_adjoint", adjoint(layer(*here)[-1]), adjoint(saved), "two tables"),
    ):
        bound = bound_of(lambda form, noted=noted: noted(form, host, x, z), gpu)
        rows.append(Row(what, timed(lambda call=call: call(*here)), note, bound))
    return rows


def peers(cupy, data) -> list[Row]:
    """The view graph's product by cuSPARSE and, where it is installed, by PyTorch."""
    from cupyx.scipy.sparse import csr_matrix

    host = adjacency(data.interactions[0], data.n_items)
    n = len(host.indptr) - 1
    values, indices, indptr = map(
        cupy.asarray, (np.repeat(host.scale_out, np.diff(host.indptr)), host.indices, host.indptr)
    )
    x = cupy.asarray(np.random.default_rng(0).normal(size=(n, D)).astype(np.float32))
    matrix = csr_matrix((values, indices, indptr), shape=(n, n))
    columns = cupy.asfortranarray(x)
    rows = [
        Row("cuSPARSE csr @ dense", cupy_ms(cupy, lambda: matrix @ columns), "columns contiguous")
    ]
    if importlib.util.find_spec("torch"):
        import torch

        dense = torch.from_dlpack(x)
        parts = map(torch.from_dlpack, (indptr, indices, values))
        sparse = torch.sparse_csr_tensor(*parts, size=(n, n))
        ms = torch_ms(torch, lambda: sparse @ dense)
        rows.append(Row("PyTorch sparse_csr @ dense", ms, f"torch {torch.__version__}"))
    return rows


def shop_of(data) -> roofline.Shop:
    """The sizes of a data set whose last two behaviours have a loss, as Taobao's."""
    counts = tuple(data.counts().values())
    return roofline.Shop(
        data.name, data.n_users, data.n_items, counts, (4, 1, 1), (1, 2), d=D, batch_users=256
    )


def steps(place: Device, data, gpu: roofline.Gpu | None, **fields) -> list[Row]:
    """A whole step, captured and not and with its options, and an evaluation.

    `fields` change the official config; the bound is that of the unchanged one.
    """
    rows, backend = [], place.kernels.backend
    bounds = [None, None]
    if gpu is not None:
        shop = shop_of(data)
        bounds = [
            1000 * sum(roofline.bound(launch, gpu) for launch in launches)
            for launches in (roofline.step(shop), roofline.evaluation(shop))
        ]
    for label, capture, precision in (
        ("step, captured", place.capture, "float32"),
        ("step, launched call by call", False, "float32"),
        ("step, bfloat16 tables", place.capture, "bf16-gather"),
        ("step, float16 tables", place.capture, "fp16-gather"),
    ):
        here = on(backend, place.name, capture=capture)
        model = PKEF("official", here, epochs=3, precision=precision, **fields).fit(data)
        seconds = model.trainer.step_seconds[model.trainer.steps_per_epoch :]
        exact = precision == "float32"
        note = "mean between readings, without the first epoch"
        rows.append(
            Row(label, 1000 * statistics.median(seconds), note, bounds[0] if exact else None)
        )
        if not rows[1:]:
            model.evaluate(data)
            ms = 1000 * model.evaluate(data).seconds
            rows.append(Row("evaluation", ms, "streams and full ranking", bounds[1]))
    return rows


def known(name: str) -> roofline.Gpu | None:
    """The card of roofline.py that this one is, by its name."""
    return next((gpu for gpu in roofline.GPUS if gpu.name in name), None)


def report(name: str, data, rows: list[Row]) -> str:
    """The section's text."""
    counts = ", ".join(f"{count} {what}" for what, count in data.counts().items())
    lines = [
        f"## Times on {name}",
        "",
        f"{data.name}: {data.n_users} users, {data.n_items} items, {counts}; d = {D}. The bound is "
        "roofline.py's, predicted; the target is an H100's.",
        "",
        "| what | ms (median) | bound ms | share of it | target | note |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        bound, share = "–", "–"
        if row.bound_ms is not None:
            bound, share = f"{row.bound_ms:.3f}", f"{row.bound_ms / row.ms:.0%}"
        target = TARGETS.get(row.what, "–")
        lines.append(f"| {row.what} | {row.ms:.3f} | {bound} | {share} | {target} | {row.note} |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--device", default="0")
    options.add_argument("--dataset")
    options.add_argument("--data-dir")
    args = options.parse_args()
    place = device(args.device)
    if args.dataset:
        data = load_dataset(args.dataset, data_dir=args.data_dir)
    else:
        data = generate(**TAOBAO, behaviors=("view", "cart", "buy"), seed=0)
    cupy = place.xp
    with place.active():
        number = place.kernels.backend.device.id
        name = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
        gpu = known(name)
        rows = [ceiling(place, data)]
        rows += products(place, data, lambda function: replayed_ms(place, function), gpu)
        rows += peers(cupy, data) + steps(place, data, gpu)
    print(report(name, data, rows))


if __name__ == "__main__":
    main()
