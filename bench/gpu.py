"""Times of the CUDA kernels, a training step and an evaluation on a GPU, beside its peers.

    python bench/gpu.py [--device 0] [--dataset taobao --data-dir DIR]

Without a data set a synthetic one of Taobao's size is used. Prints a Markdown section. Peers are
cuSPARSE (through CuPy) and PyTorch's sparse product where torch is installed. Every figure is the
median of runs between two events on the device; the first runs are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics

import numpy as np

from pkef_fast import PKEF, load_dataset
from pkef_fast.data import generate
from pkef_fast.device import device
from pkef_fast.graph import adjacency

TAOBAO = {"n_users": 15449, "n_items": 11953, "degree": 57.0}  # interactions of view
WARM, RUNS = 5, 50
D = 64


def median_ms(cupy, function, runs: int = RUNS) -> float:
    """Median milliseconds of `function()` on the device."""
    for _ in range(WARM):
        function()
    times = []
    for _ in range(runs):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        function()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(start, end))
    return statistics.median(times)


def products(cupy, place, data) -> list[tuple[str, float, str]]:
    """The view graph's product and layer, by these kernels and by the peers."""
    from cupyx.scipy.sparse import csr_matrix

    host = adjacency(data.interactions[0], data.n_items)
    graph = place.place(host)
    n, edges = len(host.indptr) - 1, len(host.indices)
    rng = np.random.default_rng(0)
    x, z = (place.place(rng.normal(size=(n, D)).astype(np.float32)) for _ in range(2))
    kernels = place.kernels.propagate
    moved = f"{edges * D * 4 / 1e6:.0f} MB gathered a table"

    def layer():
        return kernels.layer(graph, x, z, None, None, "projection", "state", 0.3)

    saved = layer()[2]

    def layer_adjoint():
        kernels.layer_adjoint(graph, x, z, None, None, saved, "projection", "state", 0.3)

    rows = [
        ("spread", median_ms(cupy, lambda: kernels.spread(graph, x)), moved),
        ("layer, both streams fused", median_ms(cupy, layer), "two tables"),
        ("layer_adjoint", median_ms(cupy, layer_adjoint), "two tables"),
    ]
    values = cupy.repeat(graph.scale_out, np.diff(host.indptr).tolist())
    matrix = csr_matrix((values, graph.indices, graph.indptr), shape=(n, n))
    rows.append(("cuSPARSE csr @ dense", median_ms(cupy, lambda: matrix @ x), moved))
    if importlib.util.find_spec("torch"):
        import torch

        dense = torch.from_dlpack(x)
        sparse = torch.sparse_csr_tensor(
            torch.from_dlpack(graph.indptr),
            torch.from_dlpack(graph.indices),
            torch.from_dlpack(values),
            size=(n, n),
        )
        rows.append(("PyTorch sparse_csr @ dense", _torch_ms(torch, lambda: sparse @ dense), moved))
    return rows


def _torch_ms(torch, function) -> float:
    for _ in range(WARM):
        function()
    times = []
    for _ in range(RUNS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def steps(cupy, name: str, data) -> list[tuple[str, float, str]]:
    """A whole step, captured and not and with its options, and an evaluation."""
    rows = []
    for label, options in (
        ("step, captured", {}),
        ("step, launched call by call", {"capture": False}),
        ("step, bfloat16 tables", {"gather": "bfloat16"}),
    ):
        model = PKEF("official", device(name, **options), epochs=3).fit(data)
        seconds = model.trainer.step_seconds[model.trainer.steps_per_epoch :]
        rows.append(
            (label, 1000 * statistics.median(seconds), "mean of an epoch, without the first")
        )
        if not options:
            model.evaluate(data)
            rows.append(
                ("evaluation", 1000 * model.evaluate(data).seconds, "streams and full ranking")
            )
    return rows


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
        gpu = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
        print(f"## Times on {gpu}\n")
        counts = ", ".join(f"{count} {name}" for name, count in data.counts().items())
        print(f"{data.name}: {data.n_users} users, {data.n_items} items, {counts}; d = {D}.\n")
        print("| what | ms (median) | note |\n|---|---:|---|")
        for what, ms, note in products(cupy, place, data) + steps(cupy, args.device, data):
            print(f"| {what} | {ms:.3f} | {note} |")


if __name__ == "__main__":
    main()
