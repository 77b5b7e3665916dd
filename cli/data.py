"""`pkef-fast data info` and `pkef-fast data convert`."""

from __future__ import annotations

import click

from ..data import load_dataset, save_native, summary
from .options import json_option, names, without_none
from .output import note, print_json, print_table

dataset_argument = click.argument("dataset", metavar="NAME|PATH")
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(),
    help="Folder with the data set's files, or one holding a folder named after it.",
)
behaviors_option = click.option(
    "--behaviors", metavar="A,B,C", help="Behaviours to use, upstream first, the target last."
)
leave_out_option = click.option(
    "--leave-out",
    help="For tables: take held-out pairs out of the target behaviour or all [default: target].",
)
split_option = click.option(
    "--split",
    help="For tables: hold out each user's latest target item (time) or any (random) "
    "[default: time, where the table has it].",
)
seed_option = click.option("--seed", type=int, help="Of a table's random split [default: 0].")


@click.group()
def data() -> None:
    """Look at data sets, and convert them."""


def _load(dataset, data_dir, behaviors, leave_out, split, seed):
    loaded = load_dataset(
        dataset,
        **without_none(
            data_dir=data_dir,
            behaviors=names(behaviors),
            leave_out=leave_out,
            split=split,
            seed=seed,
        ),
    )
    for text in loaded.notes:
        note(f"note: {text}")
    return loaded


@data.command()
@dataset_argument
@data_dir_option
@behaviors_option
@leave_out_option
@split_option
@seed_option
@json_option
def info(dataset, data_dir, behaviors, leave_out, split, seed, as_json):
    """Counts, degrees and checks of a data set.

    \b
    pkef-fast data info demo
    pkef-fast data info taobao --data-dir DATA
    """
    facts = summary(_load(dataset, data_dir, behaviors, leave_out, split, seed))
    if as_json:
        print_json(facts)
        return
    click.echo(
        f"{facts['name']}: {facts['users']} users, {facts['items']} items, "
        f"{facts['test']['items']} held-out {facts['target']!r} items of "
        f"{facts['test']['users']} users, "
        f"{facts['users_without_target']} users without any {facts['target']!r} in train"
    )
    rows = [
        [
            name,
            one["interactions"],
            f"{one['density']:.3%}",
            _degrees(one["user_degrees"]),
            _degrees(one["item_degrees"]),
            _percent(one["target_overlap"]),
            _percent(one["test_seen"]),
        ]
        for name, one in facts["behaviors"].items()
    ]
    print_table(
        [
            "behaviour",
            "interactions",
            "density",
            "a user: mean/median/max",
            "an item: mean/median/max",
            "of train target",
            "of held-out",
        ],
        rows,
    )


def _degrees(one: dict) -> str:
    return f"{one['mean']:.1f} / {one['median']:.0f} / {one['max']}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


@data.command()
@dataset_argument
@click.argument("out", type=click.Path())
@data_dir_option
@behaviors_option
@leave_out_option
@split_option
@seed_option
def convert(dataset, out, data_dir, behaviors, leave_out, split, seed):
    """Write a data set in the native format, which loads in milliseconds.

    \b
    pkef-fast data convert clicks.csv shop
    pkef-fast train --dataset shop
    """
    loaded = _load(dataset, data_dir, behaviors, leave_out, split, seed)
    save_native(loaded, out)
    click.echo(f"{loaded.name} lies in {out}; next: pkef-fast train --dataset {out}")
