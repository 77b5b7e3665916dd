"""Times of the CUDA kernels, a training step and an evaluation on a GPU, beside its peers.

    python bench/gpu.py [--device 0] [--dataset taobao --data-dir DIR]

Without a data set a synthetic one of Taobao's size is used. Prints a Markdown section. Peers are
cuSPARSE (through CuPy) and PyTorch's sparse product where torch is installed; both get the operands
in the layout that they like best. Every figure is the median of runs between two events on the
device; the first runs are left out. Where roofline.py knows the card, its bound stands beside.
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
from pkef_fast.graph import adjacency
from pkef_fast.kernels.cuda import forms

sys.path.insert(0, str(Path(__file__).parent))
import roofline

TAOBAO = {"n_users": 15449, "n_items": 11953, "degree": 57.0}  # interactions of view
WARM, RUNS = 5, 50
D = 64

# What an H100 is to reach on Taobao with the official preset.
TARGETS = {"step, captured": "≤ 2 ms", "evaluation": "≤ 50 ms", "spread": "≥ 70 % of the bound"}


class Row(NamedTuple):
    """A line of the table."""

    what: str
    ms: float
    note: str
    bound_ms: float | None = None


def cupy_ms(cupy, function: Callable) -> float:
    """Median milliseconds of `function()` between two events of CuPy."""
    return _median(
        function,
        event=cupy.cuda.Event,
        elapsed=cupy.cuda.get_elapsed_time,
    )


def torch_ms(torch, function: Callable) -> float:
    """The same on PyTorch's stream."""
    return _median(
        function,
        event=lambda: torch.cuda.Event(enable_timing=True),
        elapsed=lambda start, end: start.elapsed_time(end),
    )


def _median(function, event, elapsed) -> float:
    for _ in range(WARM):
        function()
    times = []
    for _ in range(RUNS):
        start, end = event(), event()
        start.record()
        function()
        end.record()
        end.synchronize()
        times.append(elapsed(start, end))
    return statistics.median(times)


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
    for label, options in (
        ("step, captured", {"capture": place.capture}),
        ("step, launched call by call", {"capture": False}),
        ("step, bfloat16 tables", {"capture": place.capture, "gather": "bfloat16"}),
        ("step, float16 tables", {"capture": place.capture, "gather": "float16"}),
    ):
        model = PKEF("official", on(backend, place.name, **options), epochs=3, **fields).fit(data)
        seconds = model.trainer.step_seconds[model.trainer.steps_per_epoch :]
        exact = "gather" not in options
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
        rows = products(place, data, lambda function: cupy_ms(cupy, function), gpu)
        rows += peers(cupy, data) + steps(place, data, gpu)
    print(report(name, data, rows))


if __name__ == "__main__":
    main()
