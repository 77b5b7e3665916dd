"""`pkef-fast bench`."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from types import ModuleType

import click

from .. import __file__ as package_file
from ..data import load_dataset
from ..device import device, set_threads
from ..errors import InputError
from ..models import MODELS, model_class
from ..report import stages as benchmark
from ..train.warm_up import warm_up
from .options import (
    assignments,
    dataset_options,
    json_option,
    model_option,
    names,
    presets_help,
    threads_option,
)
from .output import ProgressReport, note, print_json, print_table

ROOT = Path(package_file).parents[1]  # the clone, where the package runs from one


@click.command()
@dataset_options(default="demo")
@model_option
@click.option("--preset", help=presets_help())
@click.option("--set", "sets", multiple=True, metavar="FIELD=VALUE", help="Change a config field.")
@click.option(
    "--rounds",
    default=benchmark.ROUNDS,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many times everything is timed; figures are medians.",
)
@click.option(
    "--peers",
    is_flag=True,
    help="Also time PyTorch and implicit, from bench/peers of a clone (extra `peers`).",
)
@threads_option
@json_option
def bench(dataset, data_dir, behaviors, model, preset, sets, rounds, peers, threads, as_json):
    """Time the stages of a training step and an evaluation on the CPU.

    T is the time of SciPy's `csr @ dense` with the first behaviour's graph, taken in the same run;
    times of everything are taken in turns. Shares of the machine's bandwidth come from bytes
    counted by shape: rows gathered at random, and arrays streamed.

    \b
    pkef-fast bench
    pkef-fast bench --dataset taobao --data-dir DATA --threads 2 --peers
    """
    in_use = set_threads(threads)
    others = _peers() if peers else None
    data = load_dataset(dataset, data_dir=data_dir, behaviors=names(behaviors))
    kind = model_class(model or next(iter(MODELS)))
    if not kind.trained:
        raise InputError(f"model {model!r} has no steps to time; choose another --model.")
    preset = preset or kind.default_preset(data.name)
    config = kind.preset(preset, data.behaviors).replaced(**assignments(sets))
    config = config.checked(data.behaviors)
    report = ProgressReport()
    try:
        warm_up(kind, config, len(data.behaviors), device("cpu"), report.compiling)
    finally:
        report.close()
    note(f"{data.name}: timing everything in {rounds} turns on {in_use} threads …")
    listed = None
    if others is not None:

        def listed(trainer, graph, x):
            return others.peers(trainer, graph, x, in_use)

    found = benchmark.measure(kind, data, config, preset, in_use, rounds, listed)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    print_table(COLUMNS, [_cells(row) for row in found.rows])
    click.echo(
        f"measured in this run: gather {found.gather / 1e9:.0f} GB/s, copy {found.copy / 1e9:.0f} "
        f"GB/s (read and written), {found.threads} threads"
    )


COLUMNS = ("what", "ms", "share", "MB gathered", "of gather", "MB streamed", "of copy", "compared")


def _cells(row: benchmark.Row) -> list[str]:
    def percent(value):
        return "" if value is None else f"{100 * value:.0f} %"

    def megabytes(value):
        return "" if value is None else f"{value / 1e6:.1f}"

    compared = ""
    if row.multiple is not None:
        compared = f"{row.multiple:.2f} × {row.against}"
        if row.against == "T":
            compared = f"{row.multiple:.2f} T"
    moved = (row.gathered or None, row.of_gather if row.gathered else None)
    return [
        row.what,
        f"{row.seconds * 1e3:.2f}",
        percent(row.share),
        megabytes(moved[0]),
        percent(moved[1]),
        megabytes(row.streamed),
        percent(row.of_copy),
        compared,
    ]


def _peers() -> ModuleType:
    """bench/peers of the clone that this package runs from, or in which the command is called."""
    for folder in (root / "bench" for root in (ROOT, Path.cwd())):
        if (folder / "peers" / "__init__.py").is_file():
            break
    else:
        raise InputError(
            "--peers needs the folder bench/peers, which is part of a clone and not of an install; "
            "call the command in a clone's folder."
        )
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    found = importlib.import_module("peers")
    missing = found.missing()
    if len(missing) == len(found.LIBRARIES):
        raise InputError(
            f"--peers needs {' or '.join(missing)}, and neither is installed; "
            "pip install 'pkef-fast[peers]'."
        )
    for name in missing:
        note(f"note: {name} is not installed (extra `peers`), so its rows are left out.")
    return found
