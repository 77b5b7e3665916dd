"""`pkef-fast evaluate`."""

from __future__ import annotations

import csv
import io

import click

from ..data import load_dataset
from ..device import set_threads
from ..errors import InputError
from ..recommender import Recommender
from ..store.files import write_text
from ..store.runs import Run
from .options import (
    choose_order,
    dataset_options,
    device_option,
    json_option,
    names,
    plain_option,
    protocol_option,
    threads_option,
    without_none,
)
from .output import print_json, print_protocols, print_selection, print_table


@click.command()
@click.argument("run", type=click.Path())
@click.option("--cutoffs", default="10", show_default=True, help="Such as 5,10,20.")
@click.option(
    "--ranks", type=click.Path(), help="Write user, item and rank of each test pair (CSV)."
)
@protocol_option
@plain_option
@dataset_options(default=None)
@device_option
@threads_option
@json_option
def evaluate(
    run, cutoffs, ranks, protocol, rerank, dataset, data_dir, behaviors, device, threads, as_json
):
    """Rank every item for every test user of a run's data set.

    \b
    pkef-fast evaluate runs/demo-official-1 --cutoffs 5,10,20 --ranks ranks.csv
    pkef-fast evaluate runs/demo-official-1 --protocol all
    """
    set_threads(threads)
    numbers = _cutoffs(cutoffs)
    folder = Run.open(run)
    _, source, _ = folder.settings()
    source.pop("fingerprint", None)
    if dataset:
        source = {}
    source.update(without_none(dataset=dataset, data_dir=data_dir, behaviors=names(behaviors)))
    model = Recommender.load(folder.path, device)
    choose_order(model, rerank)
    data = load_dataset(**source)
    folder.check_data(data)
    result = model.evaluate(data, numbers, protocol or "paper")
    if ranks:
        _write_ranks(ranks, data, next(iter(result.protocols.values())))
    found = {
        "metrics": result.metrics,
        "users": result.users,
        "ties": result.ties,
        "seconds": result.seconds,
    }
    if model.reranker is not None:
        found["reranked"] = True
    if model.selection is not None:
        found["selection"] = model.selection.facts()
    if protocol:
        found["protocols"] = {name: one.as_dict() for name, one in result.protocols.items()}
    if as_json:
        print_json(found)
        return
    if protocol:
        print_protocols(result.protocols)
    print_selection(model)
    if model.reranker is not None:
        click.echo("re-ranked by what users have touched (--rerank none: the model alone)")
    print_table(["metric", "value"], list(result.metrics.items()))
    click.echo(
        f"{result.users} users, {result.ties} of them with a tied held-out item, "
        f"{result.seconds:.2f} s"
    )


def _cutoffs(text: str) -> list[int]:
    parts = names(text) or ()
    if not parts or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--cutoffs cannot be {text!r}; wanted whole numbers above 0, as 5,10,20.")
    return [int(part) for part in parts]


def _write_ranks(path, data, found) -> None:
    """CSV of a protocol's pairs with the data set's own ids; ranks from 0."""
    users, items, ranks = found.test_users, found.test_items, found.ranks
    if data.user_ids is not None:
        users = data.user_ids[users]
    if data.item_ids is not None:
        items = data.item_ids[items]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["user", "item", "rank"])
    writer.writerows(zip(users.tolist(), items.tolist(), ranks.tolist(), strict=True))
    write_text(path, text.getvalue())
