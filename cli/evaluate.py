"""`pkef-fast evaluate`."""

from __future__ import annotations

from typing import Any, NamedTuple

import click

from ..data import Dataset
from ..device import device as make_device
from ..device import set_threads
from ..errors import InputError
from ..evaluate.figures import Evaluation, ProtocolFigures
from ..holdout.selection import Selection
from ..recommender import Recommender
from ..report.ranks import of_runs, rank_table
from ..store.runs import Run
from .options import (
    choose_order,
    data_of,
    dataset_options,
    device_option,
    json_option,
    names,
    plain_option,
    protocol_option,
    threads_option,
    without_none,
)
from .output import note, print_json, print_protocols, print_table


class Found(NamedTuple):
    """A run, evaluated; its model is let go, so that many runs fit."""

    run: str
    model: str
    reranked: bool
    selection: Selection | None
    data: Dataset
    result: Evaluation

    def facts(self, protocol: str | None) -> dict[str, Any]:
        """Values that JSON can write."""
        result = self.result
        found = {
            "metrics": result.metrics,
            "users": result.users,
            "items": len(result.ranks),
            "ties": result.ties,
            "seconds": result.seconds,
        }
        if self.reranked:
            found["reranked"] = True
        if self.selection is not None:
            found["selection"] = self.selection.facts()
        if protocol:
            found["protocols"] = {name: one.as_dict() for name, one in result.protocols.items()}
        return found


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(), metavar="RUN...")
@click.option("--cutoffs", default="10", show_default=True, help="Such as 5,10,20.")
@click.option(
    "--ranks",
    type=click.Path(),
    help="Write user, item and rank_from_1 of each test pair (CSV): 1 is the best rank. Of several "
    "runs, the first column is the run.",
)
@protocol_option
@plain_option
@dataset_options(default=None)
@device_option
@threads_option
@json_option
def evaluate(
    runs, cutoffs, ranks, protocol, rerank, dataset, data_dir, behaviors, device, threads, as_json
):
    """Rank every item for every test user of a run's data set.

    Several runs give a table with a row a run, and with --json a list.

    \b
    pkef-fast evaluate runs/demo-official-1 --cutoffs 5,10,20 --ranks ranks.csv
    pkef-fast evaluate runs/demo-official-1 --protocol all
    pkef-fast evaluate runs/* --json
    """
    set_threads(threads)
    numbers = _cutoffs(cutoffs)
    place = make_device(device)
    known: dict[str, Dataset] = {}
    given = without_none(dataset=dataset, data_dir=data_dir, behaviors=names(behaviors))
    found = []
    for folder in [Run.open(run) for run in runs]:
        if len(runs) > 1:
            note(f"{folder.path} …")
        model = Recommender.load(folder.path, place)
        choose_order(model, rerank, str(folder.path) if len(runs) > 1 else "this run")
        data = data_of(folder, given, known)
        result = model.evaluate(data, numbers, protocol or "paper")
        made = (model.model_name, model.reranker is not None, model.selection)
        found.append(Found(str(folder.path), *made, data, result))
    if ranks:
        _write_ranks(ranks, found)
    if as_json:
        listed = [{"run": one.run} | one.facts(protocol) for one in found]
        print_json(found[0].facts(protocol) if len(found) == 1 else listed)
    elif len(found) == 1:
        _print(found[0], protocol)
    else:
        _print_all(found, protocol)


def _cutoffs(text: str) -> list[int]:
    parts = names(text) or ()
    if not parts or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"--cutoffs cannot be {text!r}; wanted whole numbers above 0, as 5,10,20.")
    return [int(part) for part in parts]


def _write_ranks(path: str, found: list[Found]) -> None:
    """The pairs of the first protocol."""
    tables = [(one.run, rank_table(one.data, _first(one.result))) for one in found]
    (tables[0][1] if len(tables) == 1 else of_runs(tables)).write(path)


def _first(result: Evaluation) -> ProtocolFigures:
    return next(iter(result.protocols.values()))


def _print(found: Found, protocol: str | None) -> None:
    result = found.result
    if protocol and len(found.data.test_users):
        print_protocols(result.protocols)
    if found.selection is not None:
        click.echo(found.selection.sentence(found.data.target))
    if found.reranked:
        click.echo("re-ranked by what users have touched (--rerank none: the model alone)")
    if result.nothing:
        click.echo(result.nothing)
        return
    print_table(["metric", "value"], list(result.metrics.items()))
    click.echo(
        f"{result.users} users, {result.ties} of them with a tied held-out item, "
        f"{result.seconds:.2f} s"
    )


def _print_all(found: list[Found], protocol: str | None) -> None:
    """A row a run and protocol, and how each run was chosen."""
    metrics = list(found[0].result.metrics)
    rows = []
    for one in found:
        name = f"{one.model} re-ranked" if one.reranked else one.model
        for which, figures in one.result.protocols.items():
            cells = [which, figures.users, figures.ties] if protocol else [figures.users]
            rows.append([one.run, name, *cells, *(figures.metrics[key] for key in metrics)])
    columns = ["protocol", "users", "ties"] if protocol else ["users"]
    print_table(["run", "model", *columns, *metrics], rows)
    for one in found:
        if one.result.nothing:
            click.echo(f"{one.run}: {one.result.nothing}")
        if one.selection is not None:
            click.echo(f"{one.run}: {one.selection.sentence(one.data.target)}")
    if len({one.data.fingerprint() for one in found}) > 1:
        click.echo("the runs are of different data, so their figures cannot be compared")
