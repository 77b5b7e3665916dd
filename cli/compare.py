"""`pkef-fast compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..compare.compare import compare as tables_of
from ..compare.pooled import Pool, pools
from ..compare.ranked import METRICS, RanksFile
from ..data import Dataset
from ..device import device as make_device
from ..device import set_threads
from ..errors import InputError
from ..report.table import Table
from ..store.runs import Run
from .options import (
    data_of,
    dataset_options,
    device_option,
    json_option,
    names,
    plain_option,
    threads_option,
    without_none,
)
from .output import note, print_json, print_table

SECTIONS = {
    "protocol": "by protocol",
    "activity": "by train interactions of the user (protocol paper)",
    "correlation": "by correlation of the user's behaviours, at equal activity (protocol paper)",
}


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(), metavar="RUN...")
@click.option("--all-pairs", is_flag=True, help="Compare each with each, not with the first alone.")
@click.option("--each", is_flag=True, help="No pools of seeds: each run by itself.")
@click.option(
    "--uncentred",
    is_flag=True,
    help="Groups by the cosine of a user's behaviours instead of Pearson's correlation.",
)
@click.option(
    "--csv", "folder", type=click.Path(), metavar="FOLDER", help="Also write each table as CSV."
)
@plain_option
@dataset_options(default=None)
@device_option
@threads_option
@json_option
def compare(
    runs,
    all_pairs,
    each,
    uncentred,
    folder,
    rerank,
    dataset,
    data_dir,
    behaviors,
    device,
    threads,
    as_json,
):
    """Compare finished runs of one data set, user by user.

    Runs that differ by nothing but their seed are pooled: mean and standard deviation. Figures
    stand by protocol, by the users' activity and by how much their behaviours correlate; each
    difference to the first RUN has a 95 % interval (paired bootstrap over users) and the p of a
    randomisation test, raw and adjusted for all tests made (Holm).

    A RUN may also be a .csv file of ranks, as `evaluate --ranks` writes them, of any program.

    \b
    pkef-fast compare runs/demo-lightgcn-1 runs/demo-official-1
    pkef-fast compare runs/base-seed* runs/pkef-seed* --csv tables
    pkef-fast compare runs/demo-official-1 other.csv --json
    """
    set_threads(threads)
    place = make_device(device)
    if folder and Path(folder).exists() and not Path(folder).is_dir():
        raise InputError(f"{folder} is a file; wanted a folder for the tables as --csv.")
    wanted = _wanted(runs, rerank, each)
    given = without_none(dataset=dataset, data_dir=data_dir, behaviors=names(behaviors))
    first = next(one for one in wanted if isinstance(one, Pool))
    data = data_of(first.runs[0], given, {})
    found = tables_of(
        wanted,
        data,
        device=place,
        all_pairs=all_pairs,
        centred=not uncentred,
        told=lambda text: note(f"{text} …"),
    )
    for name, table in found.items():
        if folder:
            table.write(Path(folder) / f"{name}.csv")
    if as_json:
        listed = {name: list(table.records()) for name, table in found.items()}
        listed["notes"] = found["notes"].column("note")
        print_json({"data": data.name, "fingerprint": data.fingerprint(), **listed})
        return
    _print(found, data)
    if folder:
        click.echo(f"the tables lie in {folder}")


def _wanted(given: Sequence[str], rerank: str | None, each: bool) -> list[Pool | RanksFile]:
    """Pools and files, in the order in which they, or their first runs, are given."""
    files = [one for one in given if Path(one).suffix.lower() == ".csv" and not Path(one).is_dir()]
    folders = [Run.open(one) for one in given if one not in files]
    if not folders:
        raise InputError(
            f"{' and '.join(files)} say nothing of the data set; wanted a run among them."
        )
    found = pools(folders, plain=rerank == "none", each=each)
    for one in found:
        if rerank == "learned" and not one.reranked:
            raise InputError(
                f"{one.runs[0].path} has no re-ranker, so --rerank cannot be 'learned'; "
                "`pkef-fast rerank RUN` makes one."
            )
    place = {str(Path(one)): n for n, one in reversed(list(enumerate(given)))}
    placed = [(place[str(one.runs[0].path)], one) for one in found]
    placed += [(place[str(Path(one))], RanksFile(one)) for one in dict.fromkeys(files)]
    return [one for _, one in sorted(placed, key=lambda pair: pair[0])]


def _print(found: dict[str, Table], data: Dataset) -> None:
    click.echo(f"{data.name}: {data.n_users} users, {data.n_items} items")
    listed = {
        (row["name"], row["run"]): ["–" if row["seed"] is None else row["seed"], row["chosen"]]
        for row in found["runs"].records()
    }
    print_table(["name", "run", "seed", "chosen by"], [[*key, *row] for key, row in listed.items()])
    for by, title in SECTIONS.items() if len(data.test_users) else ():
        table = found[by]
        if not table.rows:
            continue  # a note says why there are no such groups
        click.echo(f"\n{title}")
        rows = [
            [*list(row.values())[:4], *(_figure(row, metric) for metric in METRICS)]
            for row in table.records()
        ]
        print_table([*table.columns[:4], *(f"{one} (95 %)" for one in METRICS)], rows)
        rows = [
            [
                row["group"],
                f"{row['a']} − {row['b']}",
                row["metric"],
                f"{row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})",
                _p(row["p"]),
                _p(row["p_holm"]),
            ]
            for row in found["differences"].records()
            if row["by"] == by
        ]
        if rows:
            click.echo()
            columns = ["metric", "difference (95 %)", "p", "p (Holm)"]
            print_table([table.columns[0], "difference of", *columns], rows)
    click.echo()
    for text in found["notes"].column("note"):
        click.echo(text)


def _figure(row: dict[str, Any], metric: str) -> str:
    mean, sd, low, high = (row[f"{metric}{end}"] for end in ("", " sd", " low", " high"))
    if mean is None:
        return "–"
    spread = "" if sd is None else f" ± {sd:.4f}"
    return f"{mean:.4f}{spread} ({low:.4f}–{high:.4f})"


def _p(value: float) -> str:
    """Enough digits to see the least p that the draws allow."""
    return f"{value:.4f}" if value >= 0.001 else f"{value:.1e}"
