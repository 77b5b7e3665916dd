"""`pkef-fast data`: `info`, `convert`, `audit`, and `fetch` from `data_fetch`."""

from __future__ import annotations

import click

from ..data import load_dataset, save_native, summary
from ..device import device
from ..report.audit import audit as audit_of
from ..report.plot import plot_audit
from .data_fetch import fetch
from .options import json_option, names, table_options, without_none
from .output import note_reading, print_json, print_table

# Columns of the audit's pattern table: keys of its rows and what they are called.
PATTERN_COLUMNS = {
    "train": "train",
    "left_out_target": "left out of target",
    "left_out_all": "left out of all",
    "validation": "validation",
    "held_out": "held out",
}

dataset_argument = click.argument("dataset", metavar="NAME|PATH")
_source_options = (
    click.option(
        "--data-dir",
        type=click.Path(),
        help="Folder with the data set's files, or one holding a folder named after it.",
    ),
    click.option(
        "--behaviors", metavar="A,B,C", help="Behaviours to use, upstream first, the target last."
    ),
    click.option(
        "--leave-out",
        help="For tables: take held-out pairs out of the target behaviour or all "
        "[default: target].",
    ),
    click.option(
        "--seed", type=int, help="Of a table's random split, and of ties in time [default: 0]."
    ),
)


def source_options(command):
    """Options of where a data set lies and how it is split: what `_load` takes."""
    command = table_options(command)
    for option in reversed(_source_options):
        command = option(command)
    return command


@click.group()
def data() -> None:
    """Look at data sets, fetch and convert them."""


data.add_command(fetch)


def _load(dataset, behaviors, **source):
    """The data set; `source` are the other values of `source_options`."""
    loaded = load_dataset(dataset, **without_none(behaviors=names(behaviors), **source))
    note_reading(loaded)
    return loaded


@data.command()
@dataset_argument
@source_options
@json_option
def info(dataset, as_json, **source):
    """Counts, degrees and checks of a data set.

    \b
    pkef-fast data info demo
    pkef-fast data info taobao --data-dir DATA
    """
    facts = summary(_load(dataset, **source))
    if as_json:
        print_json(facts)
        return
    click.echo(
        f"{facts['name']}: {facts['users']} users, {facts['items']} items, "
        f"{facts['test']['items']} held-out {facts['target']!r} items of "
        f"{facts['test']['users']} users, "
        + _validation(facts)
        + f"{facts['users_without_target']} users without any {facts['target']!r} in train"
    )
    if facts["papers"] is not None:
        click.echo(f"papers: {facts['papers']}")
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


def _validation(facts: dict) -> str:
    found = facts["validation"]
    return "" if found is None else f"{found['items']} validation items of {found['users']} users, "


def _degrees(one: dict) -> str:
    return f"{one['mean']:.1f} / {one['median']:.0f} / {one['max']}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


@data.command()
@dataset_argument
@click.argument("out", type=click.Path())
@source_options
def convert(dataset, out, **source):
    """Write a data set in the native format, which loads in milliseconds.

    \b
    pkef-fast data convert clicks.csv shop
    pkef-fast train --dataset shop
    """
    loaded = _load(dataset, **source)
    save_native(loaded, out)
    click.echo(f"{loaded.name} lies in {out}; next: pkef-fast train --dataset {out}")


@data.command()
@dataset_argument
@source_options
@click.option("--plot", type=click.Path(), help="Also draw it, into this .svg file.")
@json_option
def audit(dataset, plot, as_json, **source):
    """What a data set gives away about its held-out items.

    \b
    pkef-fast data audit demo
    pkef-fast data audit taobao --data-dir DATA --plot taobao.svg
    """
    found = audit_of(_load(dataset, **source), device("cpu"))
    if plot:
        plot_audit(found, plot)
    if as_json:
        print_json(found)
        return
    _print_audit(found)


def _print_audit(found: dict) -> None:
    target = found["target"]
    click.echo(
        f"{found['name']}: {found['users']} users, {found['items']} items; train "
        + ", ".join(f"{count} {name}" for name, count in found["train"].items())
        + f"; {found['held_out']['pairs']} held-out {target} items of {found['held_out']['users']} "
        f"users"
    )
    rows = [
        [
            name,
            _percent(found["visible"][name]),
            *(_count(one[key]) for key in ("mean", "median", "p90", "max")),
            _percent(one["empty"]),
        ]
        for name, one in found["own"].items()
    ]
    print_table(
        ["in train", "held-out visible", "own unbought: mean", "median", "p90", "max", "none"],
        rows,
        title="\nHow many held-out items can be seen, in lists of what size",
    )
    rows = [
        [
            " + ".join(row["seen_in"]) or "nowhere else",
            *(_percent(row[key]) for key in PATTERN_COLUMNS),
        ]
        for row in found["patterns"]
    ]
    rows.append(
        ["distance to held out", *(_count(found["distances"].get(key)) for key in PATTERN_COLUMNS)]
    )
    print_table(
        [f"{target} items visible in", *PATTERN_COLUMNS.values()],
        rows,
        title="\nWhere purchases are visible",
    )
    rows = [
        [a, b, one["outside"], _percent(one["inside_share"])]
        for a, others in found["nestedness"].items()
        for b, one in others.items()
    ]
    print_table(
        ["train pairs of", "and", "not in it", "in it"], rows, title="\nHow behaviours are nested"
    )
    rows = [[name, one["HR@10"], one["NDCG@10"]] for name, one in found["rules"].items()]
    if found["best_list"] is not None:
        rows.append(["best single list for all (bound)", found["best_list"], "–"])
    print_table(["rule", "HR@10", "NDCG@10"], rows, title="\nWithout any learning")
    twice = found["duplicates"]
    click.echo(
        f"\n{twice['also_train_target']} held-out items are train {target} items too; "
        f"{twice['users_with_several_held_out']} users have several held-out items, "
        f"{found['users_without_held_out']} have none, {found['users_without_target']} have no "
        f"train {target}; {twice['users_like_an_earlier_one']} users repeat another user's train "
        f"data; {found['held_out_untrained']} held-out items were bought by nobody in train. "
        "Repeated pairs in the files count once."
    )
    how = found["leave_out"]
    if how is not None:
        click.echo(
            f"A re-ranker leaves out purchases of which {how['share']:.0%} stay visible elsewhere: "
            f"{how['reason']}."
        )
    for sentence in found["warnings"]:
        click.echo(f"warning: {sentence}")
    for sentence in found["verdict"]:
        click.echo(sentence)


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
