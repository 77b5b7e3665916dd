"""`pkef-fast models`."""

from __future__ import annotations

import dataclasses
import os
import platform
from datetime import date

import click

from ..data import load_dataset
from ..device import set_threads
from ..errors import InputError
from ..models import MODELS, model_class
from ..report import catalogue
from .options import dataset_options, json_option, model_option, names, threads_option
from .output import note, print_json, print_table

COLUMNS = ("model", "paper", "year", "reads", "parameters", "ms a step")


@click.command()
@dataset_options(default=None)
@model_option
@click.option(
    "--time", "timed", is_flag=True, help="Time a few training steps of each on --dataset, here."
)
@click.option(
    "--record", is_flag=True, help="Keep these times as those shown without --time (in a clone)."
)
@threads_option
@json_option
def models(dataset, data_dir, behaviors, model, timed, record, threads, as_json):
    """List the models: their papers, sizes and what they read.

    Parameters and times are those for Taobao's size, unless --dataset names another.

    \b
    pkef-fast models
    pkef-fast models --time --dataset taobao --data-dir DATA --threads 2
    """
    if (timed or record) and dataset is None:
        raise InputError("--time needs a --dataset to take steps on, e.g. --dataset demo.")
    if record and not timed:
        raise InputError("--record keeps what --time measures; add --time.")
    if model:
        model_class(model)
    in_use = set_threads(threads)
    data = None
    if dataset is not None:
        data = load_dataset(dataset, data_dir=data_dir, behaviors=names(behaviors))
    found = []
    for one in catalogue.entries((model,) if model else tuple(MODELS), data, timed):
        if timed:
            note(f"{one.name} timed")
        found.append(one)
    here = (
        f"{in_use} threads of {platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    )
    if record:
        catalogue.record(found, f"{date.today()}, {here}")
    if as_json:
        print_json({"models": [dataclasses.asdict(one) for one in found]})
        return
    print_table(COLUMNS, [_cells(one) for one in found])
    if timed:
        click.echo(f"ms a step: on {data.name}, measured now, {here}")
    elif data is None:
        click.echo(f"sizes and times: Taobao; {catalogue.recorded()['machine']}")
        click.echo("--time --dataset NAME measures here")


def _cells(one: catalogue.Entry) -> list[str]:
    step = "" if one.step_seconds is None else f"{1000 * one.step_seconds:.1f}"
    return [one.name, one.paper, str(one.year), one.reads, f"{one.parameters:,}", step]
