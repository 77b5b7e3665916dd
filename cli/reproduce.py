"""`pkef-fast reproduce`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..data import load_dataset
from ..device import device as make_device
from ..device import set_threads
from ..errors import InputError, PkefError
from ..holdout.selection import SELECT
from ..reproduce import results
from ..reproduce.experiments import wanted
from ..reproduce.found import Found
from ..reproduce.plan import Plan, Times, duration, plan, tasks
from ..reproduce.pool import Made, Pool
from ..reproduce.runs import METRICS, Store, Task
from ..reproduce.worker import order
from .options import dataset_options, device_option, json_option, names, threads_option
from .output import note, print_json, print_table

INTERRUPTED = 130


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="WHAT…")
@dataset_options(default="taobao")
@click.option("--seeds", type=int, default=5, show_default=True, help="Seeds from 1 on.")
@click.option("--epochs", type=int, help="Most epochs of every model [default: its preset's].")
@click.option(
    "--grid-epochs", type=int, help="The same for figures 4 and 5, 64 and 28 runs a seed."
)
@click.option(
    "--budget",
    type=float,
    metavar="HOURS",
    help="Leave out runs that do not fit, later seeds first; 0: only write what runs there are.",
)
@click.option("--jobs", type=int, default=1, show_default=True, help="Runs at a time.")
@click.option(
    "--select",
    type=click.Choice(SELECT),
    default="val",
    show_default=True,
    help="How every model's epoch is chosen, so that rows compare: val, by validation items; last, "
    "as the paper's code does.",
)
@click.option("--out", type=click.Path(), help="Folder [default: reproduce/DATASET].")
@click.option("--dry-run", is_flag=True, help="Print the plan alone.")
@device_option
@threads_option
@json_option
def reproduce(
    what,
    dataset,
    data_dir,
    behaviors,
    seeds,
    epochs,
    grid_epochs,
    budget,
    jobs,
    select,
    out,
    dry_run,
    device,
    threads,
    as_json,
):
    """Make the paper's tables and figures, with the published ones beside ours.

    WHAT is table2, table3, table4, table5, fig1, fig2, fig4, fig5, fig6, fig7 or all.
    Runs that the folder holds are not made again: call it again to go on after a stop, with a
    larger budget or more seeds, or for another table.

    \b
    pkef-fast reproduce table2 --data-dir DATA --dry-run
    pkef-fast reproduce all --data-dir DATA --seeds 3 --budget 8 --jobs 2
    pkef-fast reproduce fig4 fig5 --data-dir DATA --seeds 1 --grid-epochs 20
    pkef-fast reproduce table3 fig7 --dataset demo --seeds 2 --epochs 5
    pkef-fast reproduce all --data-dir DATA --budget 0
    """
    asked = wanted(what)
    if jobs < 1:
        raise InputError(f"--jobs cannot be {jobs}; wanted 1 or more.")
    if budget is not None and not budget >= 0:
        raise InputError(f"--budget cannot be {budget:g} hours; wanted 0 or more.")
    each = max(1, set_threads(threads) // jobs)
    set_threads(each)
    data = load_dataset(dataset, data_dir=data_dir, behaviors=names(behaviors))
    if not len(data.test_users):
        raise InputError(
            f"data set {data.name!r} has no held-out items, so no figure of the paper can be set "
            "beside; wanted a data set with a split."
        )
    place = make_device(device)
    folder = Path(out or Path("reproduce") / Path(dataset).stem)
    store = Store(folder)
    times = Times(folder, f"{place.name}, {each} threads, {jobs} at a time")
    seconds = None if budget is None else 3600 * budget
    planned = plan(
        tasks(asked, data, seeds, select, epochs, grid_epochs),
        store,
        times,
        data,
        place,
        jobs,
        seconds,
        lambda task: note(f"timing the first steps of {task.configuration.name} …"),
    )
    if dry_run:
        _print_plan(planned, as_json)
        return
    _note_plan(planned, each)
    made = _make(
        planned,
        store,
        times,
        lambda one: order(one, store, data.source, device, each),
        seconds,
    )
    if made.stopped:
        note("stopped; the same command goes on.")
        sys.exit(INTERRUPTED)
    found = Found(store, data, place, select, seeds, epochs, grid_epochs)
    files, lacking = results.write(asked, found, folder)
    for text in lacking:
        note(f"note: {text}")
    left_out = len(planned.left_out) + len(made.left_out)
    if as_json:
        print_json(
            {
                "files": [str(one) for one in files],
                "made": len(made.runs),
                "done": len(planned.done) + len(made.runs),
                "left_out": left_out,
                "failed": made.failed,
            }
        )
    else:
        for one in files:
            click.echo(one)
        if left_out:
            click.echo(
                f"{left_out} runs did not fit the budget; captions say which seeds there are"
            )
    if made.failed:
        listed = "; ".join(f"{name}: {said}" for name, said in made.failed.items())
        raise PkefError(f"{len(made.failed)} runs failed: {listed}")


def _print_plan(planned: Plan, as_json: bool) -> None:
    table = planned.table()
    if as_json:
        print_json({"runs": list(table.records()), "seconds": planned.seconds})
        return
    rows = [[*row[:5], "–" if row[5] is None else duration(row[5])] for row in table.rows]
    print_table([*table.columns[:5], "a run"], rows)
    click.echo(_total(planned))


def _note_plan(planned: Plan, threads: int) -> None:
    for row in planned.table().records():
        if row["to make"]:
            counts = f"{row['to make']} × {duration(row['seconds a run'])}"
            note(f"  {row['configuration']}, {row['epochs']} epochs: {counts}")
    note(f"{_total(planned)}, {threads} threads each" if planned.runs else _total(planned))


def _total(planned: Plan) -> str:
    text = f"{len(planned.done)} runs are there, {len(planned.runs)} are to be made"
    if planned.runs:
        text += f" in about {duration(planned.seconds)} at most, {planned.jobs} at a time"
    if planned.left_out:
        text += f"; {len(planned.left_out)} do not fit the budget"
    return text


def _make(planned: Plan, store: Store, times: Times, ordered, budget: float | None) -> Made:
    """Make the runs of a plan, with a line of progress each."""
    anew = {one.task.key for one in planned.runs if not store.epochs_made(one.task)}
    left = {one.task.key: one.seconds for one in planned.runs}
    total = len(left)

    def finished(task: Task, seconds: float) -> None:
        left.pop(task.key, None)
        if task.key in anew:
            times.add(task, run=seconds)
        result = store.result(task)
        figures = ", ".join(f"{name} {result.metric(name):.4f}" for name in METRICS)
        rest = duration(sum(left.values()) / planned.jobs)
        note(
            f"[{total - len(left)}/{total}] {task.name}: {figures}, {duration(seconds)}; "
            f"{rest} left"
        )

    return Pool(store, ordered, planned.jobs, finished).make(planned.runs, budget)
