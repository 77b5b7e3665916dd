"""`pkef-fast plot`."""

from __future__ import annotations

from pathlib import Path

import click

from ..analysis.interaction_counts import counts
from ..analysis.of_runs import table_of
from ..data import load_dataset
from ..device import device as make_device
from ..device import set_threads
from ..errors import InputError
from ..report.drawing import KINDS, check_path, draw, import_matplotlib
from ..report.table import Table
from ..store.runs import Run
from .options import dataset_options, device_option, json_option, names, threads_option
from .output import print_json


@click.command()
@click.argument("runs", nargs=-1, type=click.Path())
@click.argument("what", metavar="|".join(KINDS), type=click.Choice(list(KINDS)))
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    help="The picture, .png or .svg; its CSV lies beside it [default: WHAT.png].",
)
@click.option("--csv", "table", type=click.Path(), help="Draw this CSV, and read no run.")
@click.option(
    "--candidates",
    type=click.IntRange(min=1),
    metavar="N",
    help="For gates: over N random items of each test user, not over the held-out ones.",
)
@dataset_options(default=None)
@device_option
@threads_option
@json_option
def plot(
    runs, what, out, table, candidates, dataset, data_dir, behaviors, device, threads, as_json
):
    """Draw runs or tables as PNG or SVG for a paper's column.

    The table is written as CSV beside the picture, which is drawn from that alone: learning curves,
    weights of gates, what behaviours inherit from those before them, users by their number of
    interactions (hist, also of a --dataset), figures by layers or by coefficients of runs that
    differ in them, by groups of users.

    \b
    pkef-fast plot runs/demo-official-1 curves -o curves.svg
    pkef-fast plot runs/official runs/mmoe runs/ple gates
    pkef-fast plot runs/base runs/official inheritance
    pkef-fast plot hist --dataset taobao --data-dir DATA
    pkef-fast plot layers --csv fig4.csv -o fig4.png
    """
    out = out or f"{what}.png"
    check_path(out)
    sources = [bool(runs), table is not None, dataset is not None]
    if sum(sources) != 1:
        raise InputError("wanted one of these to draw: runs, --csv FILE, or --dataset for hist.")
    if dataset is not None and what != "hist":
        raise InputError(f"--dataset is for hist; {what} needs runs, or --csv FILE.")
    if candidates and (what != "gates" or not runs):
        raise InputError("--candidates is for gates of runs.")
    import_matplotlib()  # before anything is computed
    set_threads(threads)
    if table is None:
        table = Path(out).with_suffix(".csv")
        _check_ours(table, what)
        if dataset is not None:
            found = counts(load_dataset(dataset, data_dir=data_dir, behaviors=names(behaviors)))
        else:
            opened = [Run.open(run) for run in runs]
            found = table_of(what, opened, make_device(device), candidates or 0)
        found.write(table)
    draw(what, Table.read(table, KINDS[what].columns), out)
    if as_json:
        print_json({"picture": str(out), "csv": str(table)})
        return
    click.echo(f"the picture lies in {out}, its numbers in {table}")


def _check_ours(path: Path, what: str) -> None:
    """InputError where a file lies whose name nobody gave, and which is no earlier table."""
    if path.exists():
        try:
            Table.read(path, KINDS[what].columns)
        except InputError as error:
            raise InputError(
                f"{path} is there and is no table of {what}; choose another name than "
                f"{path.stem} for the picture."
            ) from error
