"""`pkef-fast train`."""

from __future__ import annotations

import resource
import shlex
import signal
import statistics
import sys
from contextlib import contextmanager
from typing import Any

import click

from ..device import device as make_device
from ..device import set_threads
from ..evaluate import figures
from ..evaluate.figures import Evaluation
from ..evaluate.protocols import names_of
from ..evaluate.rules import best_rule
from ..holdout.selection import SELECT
from ..models import MODELS
from ..recommender import RERANK, Recommender
from ..rerank import RerankConfig
from ..train.config import PRECISIONS
from ..train.trackers import TRACKERS, Tracker, closing, trackers
from .options import (
    dataset_options,
    device_option,
    json_option,
    leave_out_option,
    model_option,
    presets_help,
    protocol_option,
    table_options,
    threads_option,
    without_none,
)
from .output import (
    ProgressReport,
    note,
    note_reading,
    print_json,
    print_protocols,
    print_reranker,
    print_selection,
    print_table,
)
from .plan import EVAL_EVERY, Plan, plan

METRICS = ("HR@10", "NDCG@10")
INTERRUPTED = 130  # the shell's code for a program ended by Ctrl-C


@click.command()
@dataset_options(default=None)
@table_options
@device_option
@model_option
@click.option("--preset", help=presets_help())
@click.option("--epochs", type=int, help="Most epochs in all [default: the preset's].")
@click.option("--seed", type=int, help="Of tables and samples [default: 42].")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a config field; may be repeated. `pkef-fast config` lists the fields.",
)
@click.option("--config", "config_file", type=click.Path(), help="TOML file of config fields.")
@click.option("--out", type=click.Path(), help="Folder of the run [default: runs/NAME-PRESET-N].")
@click.option("--resume", type=click.Path(), help="Go on with the run in this folder.")
@click.option(
    "--eval-every",
    type=int,
    help=f"Evaluate after every so many epochs; 0: at the end alone [default: {EVAL_EVERY}].",
)
@protocol_option
@click.option(
    "--rerank",
    type=click.Choice(RERANK),
    help="learned: once the model is trained, learn to re-rank its items by what users have "
    "touched [default: none].",
)
@click.option(
    "--select",
    type=click.Choice(SELECT),
    help="val: choose epoch and re-ranker by the data set's own validation items or, where it has "
    "none, by one more held-out target item of each user with three or more [default: the model's "
    "own: last, the last epoch, for "
    + " and ".join(name for name, one in MODELS.items() if one.select == "last")
    + "; val for others].",
)
@click.option(
    "--refit",
    is_flag=True,
    default=None,
    help="Choose the epoch by validation items (--select val), then train anew on everything for "
    "as many epochs; with --split none, on all that there is.",
)
@leave_out_option
@click.option(
    "--init-from",
    type=click.Path(),
    metavar="RUN",
    help="Start from the parameters that the model of this run (a folder, or its model.npz) has in "
    "common with the new one, by name; of the same data.",
)
@threads_option
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Of tables and kernels; bf16-gather, and fp16-gather on a GPU: float32, but tables that "
    "neighbour sums read are stored in 16 bits [default: float32].",
)
@click.option(
    "--tensor-cores", is_flag=True, help="Let a GPU round operands of dense products to TF32."
)
@click.option(
    "--no-capture", is_flag=True, help="Launch a GPU's kernels one by one, to debug them."
)
@click.option(
    "--log",
    multiple=True,
    type=click.Choice(list(TRACKERS)),
    help="Also tell a tracker each epoch's figures; may be repeated. csv: metrics.csv in the run; "
    "others need the extra of their name, and write into the run's folder. A resumed run keeps its "
    "trackers.",
)
@json_option
def train(device, threads, tensor_cores, no_capture, protocol, as_json, **options):
    """Train a model and evaluate it.

    \b
    pkef-fast train
    pkef-fast train --dataset taobao --data-dir DATA --epochs 100
    pkef-fast train --dataset clicks.csv --preset paper --set layers=3,1,1
    pkef-fast train --dataset log.csv --columns user=visitorid,time=event_time
    pkef-fast train --dataset log.csv --split none --refit
    pkef-fast train --dataset taobao --data-dir DATA --model lightgcn
    pkef-fast train --dataset taobao --data-dir DATA --model graph-rank --protocol all
    pkef-fast train --dataset taobao --data-dir DATA --rerank learned
    pkef-fast train --model mb-cgcn --init-from runs/demo-lightgcn-1
    pkef-fast train --log csv --log tensorboard
    pkef-fast train --resume runs/demo-official-1 --epochs 200
    """
    in_use = set_threads(threads)
    names_of(protocol or "paper")
    place = make_device(device, tensor_cores=tensor_cores, capture=not no_capture)
    wanted = plan(options)
    note_reading(wanted.data)
    recommender = Recommender(wanted.model, wanted.preset, place, wanted.config)
    told = trackers(wanted.log, wanted.out)
    if not _fit(recommender, wanted, protocol, in_use, told):
        note(
            f"stopped after step {recommender.trainer.step}; go on with: "
            f"pkef-fast train --resume {shlex.quote(str(wanted.out))}"
        )
        sys.exit(INTERRUPTED)
    if early := recommender.fitting.stopped_early:
        note(early)
    data = wanted.data
    found = recommender.evaluation or recommender.evaluate(data, protocol=protocol or "paper")
    result = _result(recommender, wanted, found)
    if protocol:
        result["protocols"] = {name: one.as_dict() for name, one in found.protocols.items()}
    if as_json:
        print_json(result)
        return
    print_selection(recommender)
    if recommender.reranker is not None:
        print_reranker(recommender.reranker)
    _print(result, found.nothing)
    if protocol and len(data.test_users):
        print_protocols(found.protocols)
    click.echo(f"the run lies in {wanted.out}")
    click.echo(f"next: pkef-fast evaluate {shlex.quote(str(wanted.out))}")


def _fit(
    recommender: Recommender,
    wanted: Plan,
    protocol: str | None,
    threads: int,
    told: list[Tracker],
) -> bool:
    """Fit as planned; False where Ctrl-C ended it before its last epoch."""
    report = ProgressReport()
    with _interruptible() as interrupted, closing(told):
        try:
            recommender.fit(
                wanted.data,
                out=wanted.out,
                resume=wanted.resume,
                eval_every=wanted.eval_every,
                protocol=protocol or "paper",
                rerank=wanted.rerank,
                select=wanted.select,
                refit=wanted.refit,
                leave_out=wanted.leave_out,
                init_from=wanted.init_from,
                rerank_config=RerankConfig().replaced(**without_none(seed=wanted.rerank_seed)),
                callbacks=[report, *told],
                should_stop=lambda: bool(interrupted),
                settings={
                    "preset": wanted.preset,
                    "device": recommender.device.name,
                    "threads": threads,
                    "log": list(wanted.log) or None,
                },
            )
        finally:
            report.close()
    return recommender.fitting.finished


@contextmanager
def _interruptible():
    """A list that is non-empty once Ctrl-C was pressed; a second Ctrl-C stops at once."""
    pressed: list[bool] = []

    def handle(number, frame):
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)
        note("stopping after this step …")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _result(recommender: Recommender, wanted: Plan, found: Evaluation) -> dict[str, Any]:
    data, model, trainer = wanted.data, recommender.model, recommender.trainer
    with recommender.device.active():
        popular = figures.evaluate(
            figures.popularity(data, recommender.device, model.dtype), data
        ).metrics
    seconds = trainer.step_seconds if trainer else []
    result = {
        "run": str(wanted.out),
        "model": recommender.model_name,
        "users": found.users,
        "items": len(found.ranks),
        "metrics": {name: found[name] for name in METRICS},
        "popularity": {name: popular[name] for name in METRICS},
        "trivial": best_rule(data),
        "reranker": recommender.reranker.report if recommender.reranker else None,
        "epochs": trainer.epoch if trainer else 0,
        "steps": trainer.step if trainer else 0,
        "seconds_per_step": statistics.median(seconds) if seconds else None,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "device": recommender.device.name,
        "seed": getattr(model.config, "seed", None),
    }
    if recommender.selection is not None:
        result["selection"] = recommender.selection.facts()
    return result


def _print(result: dict[str, Any], nothing: str) -> None:
    if nothing:
        click.echo(nothing)
    else:
        print_table(["full ranking", *METRICS], _rows(result))
    seconds = result["seconds_per_step"]
    if seconds is not None:
        click.echo(f"{seconds * 1000:.1f} ms a step (median), {result['steps']} steps in all")


def _rows(result: dict[str, Any]) -> list[list[Any]]:
    rows = [
        [name, *(result[key][metric] for metric in METRICS)]
        for name, key in (("this model", "metrics"), ("popularity", "popularity"))
    ]
    if result["trivial"]:
        rows.append([result["trivial"]["rule"], *(result["trivial"][one] for one in METRICS)])
    return rows
