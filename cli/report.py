"""`pkef-fast report`."""

from __future__ import annotations

from pathlib import Path

import click

from ..analysis.gates import gates
from ..analysis.user_groups import by_activity
from ..data import Dataset
from ..device import device as make_device
from ..device import set_threads
from ..errors import InputError
from ..evaluate.figures import Evaluation
from ..recommender import Recommender
from ..report.page import write_report
from ..report.run_facts import by_group, facts_of
from ..report.table import Table
from ..store.runs import Run
from .options import device_option, json_option, threads_option
from .output import note, print_json


def _groups(model: Recommender, data: Dataset, found: Evaluation) -> Table | None:
    """Figures by how active users are; None where nothing is held out."""
    paper, groups = found.protocols["paper"], by_activity(data)
    return by_group(groups.names, groups.users, paper) if paper.users else None


ANALYSES = {"groups": _groups, "gates": lambda model, data, found: gates(model, data)}


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path())
@click.option(
    "-o", "--out", default="report.html", show_default=True, type=click.Path(), help="The file."
)
@click.option("--no-times", is_flag=True, help="Leave out the stages of a step, which are timed.")
@device_option
@threads_option
@json_option
def report(runs, out, no_times, device, threads, as_json):
    """Write what finished runs are and found into one HTML file.

    It needs no network and no other file: data and its audit, curves, figures with intervals,
    groups of users, gates, stages, recommendations with reasons, and how to repeat it.

    \b
    pkef-fast report runs/demo-official-1 -o report.html
    pkef-fast report runs/* -o all.html --no-times
    """
    if Path(out).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out} cannot be the report; wanted a name that ends in .html.")
    in_use = set_threads(threads)
    place = make_device(device)
    folders = [Run.open(run) for run in runs]
    found, known = [], {}
    for folder in folders:
        note(f"{folder.path} …")
        in_step = None if no_times else in_use
        found.append(facts_of(folder, place, in_step, analyses=ANALYSES, known=known))
    write_report(found, out)
    if as_json:
        print_json({"report": out, "runs": [one.path for one in found]})
        return
    click.echo(f"the report lies in {out}")
