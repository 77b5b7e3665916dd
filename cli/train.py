"""`pkef-fast train`."""

from __future__ import annotations

import resource
import shlex
import signal
import statistics
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ..config import toml
from ..data import Dataset, load_dataset
from ..device import GATHERS, set_threads
from ..device import device as make_device
from ..errors import InputError
from ..evaluate import figures as evaluation
from ..evaluate.protocols import names_of
from ..evaluate.rules import best_rule
from ..holdout.selection import SELECT
from ..models import model_class
from ..models.pkef.config import PRECISIONS
from ..recommender import RERANK, Recommender
from ..store.runs import Run
from .options import (
    assignments,
    dataset_options,
    device_option,
    json_option,
    leave_out_option,
    model_option,
    names,
    presets_help,
    protocol_option,
    threads_option,
    without_none,
)
from .output import (
    ProgressReport,
    note,
    print_json,
    print_protocols,
    print_reranker,
    print_selection,
    print_table,
)

EVAL_EVERY = 5
METRICS = ("HR@10", "NDCG@10")
INTERRUPTED = 130  # the shell's code for a program ended by Ctrl-C


@click.command()
@dataset_options(default=None)
@device_option
@model_option
@click.option("--preset", help=presets_help())
@click.option("--epochs", type=int, help="Epochs in all [default: the preset's 100].")
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
    help="val: hold out one more target item of each user with three or more, and choose epoch and "
    "re-ranker by it [default: last, the last epoch].",
)
@leave_out_option
@threads_option
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Of tables and kernels; bf16-gather: float32, but tables that neighbour sums read are in "
    "16 bits [default: float32].",
)
@click.option(
    "--gather",
    default="exact",
    type=click.Choice(GATHERS),
    show_default=True,
    help="How a GPU stores the tables that neighbour sums read; 16 bits halve the traffic.",
)
@click.option(
    "--tensor-cores", is_flag=True, help="Let a GPU round operands of dense products to TF32."
)
@click.option(
    "--no-capture", is_flag=True, help="Launch a GPU's kernels one by one, to debug them."
)
@json_option
def train(
    dataset,
    data_dir,
    behaviors,
    device,
    model,
    preset,
    epochs,
    seed,
    sets,
    config_file,
    out,
    resume,
    eval_every,
    protocol,
    rerank,
    select,
    leave_out,
    threads,
    precision,
    gather,
    tensor_cores,
    no_capture,
    as_json,
):
    """Train a model and evaluate it.

    \b
    pkef-fast train
    pkef-fast train --dataset taobao --data-dir DATA --epochs 100
    pkef-fast train --dataset clicks.csv --preset paper --set layers=3,1,1
    pkef-fast train --dataset taobao --data-dir DATA --model graph-rank --protocol all
    pkef-fast train --dataset taobao --data-dir DATA --rerank learned
    pkef-fast train --resume runs/demo-official-1 --epochs 200
    """
    in_use = set_threads(threads)
    names_of(protocol or "paper")
    place = make_device(device, gather=gather, tensor_cores=tensor_cores, capture=not no_capture)
    changes = {
        **without_none(epochs=epochs, seed=seed, precision=precision),
        **assignments(sets),
    }
    if resume is not None:
        refused = without_none(
            dataset=dataset,
            data_dir=data_dir,
            behaviors=behaviors,
            model=model,
            preset=preset,
            seed=seed,
            precision=precision,
            config=config_file,
            out=out,
            rerank=rerank,
            select=select,
            leave_out=leave_out,
        )
        if refused or sets:
            name = next(iter(refused), "set").replace("_", "-")
            raise InputError(
                f"--{name} cannot be combined with --resume, which goes on with the run's own data "
                "and config; only --epochs, --eval-every, --device and --threads can."
            )
        run = Run.open(resume)
        fields, source, settings = run.settings()
        data = _load(source)
        model = settings.get("model", "pkef")
        preset = settings.get("preset")
        rerank, select = settings.get("rerank"), settings.get("select")
        leave_out = settings.get("leave_out")
        config = model_class(model).Config().replaced(**fields).replaced(**changes)
        eval_every = settings.get("eval_every", EVAL_EVERY) if eval_every is None else eval_every
        out = run.path
    else:
        fields, tables = toml.load(config_file) if config_file else ({}, {})
        source = {} if dataset else dict(tables.get("data", {}))
        source.update(without_none(dataset=dataset, data_dir=data_dir, behaviors=names(behaviors)))
        settings = tables.get("run", {})
        rerank = rerank or settings.get("rerank")
        select = select or settings.get("select")
        leave_out = leave_out or settings.get("leave_out")
        # --config may name model and preset like fields; a run notes them in its [run] table.
        noted = {name: fields.pop(name, settings.get(name)) for name in ("model", "preset")}
        if model and model != (noted["model"] or model):
            noted["preset"] = None
        model = model or noted["model"] or "pkef"
        chosen = model_class(model)
        data = _load(source)
        preset = preset or noted["preset"] or chosen.default_preset(data.name)
        config = chosen.preset(preset, data.behaviors).replaced(**fields).replaced(**changes)
        eval_every = settings.get("eval_every", EVAL_EVERY) if eval_every is None else eval_every
        out = Path(out) if out else _fresh_folder(data, preset if chosen.trained else model)
    for text in data.notes:
        note(f"note: {text}")
    recommender = Recommender(model, preset, place, config)
    report = ProgressReport()
    with _interruptible() as interrupted:
        try:
            recommender.fit(
                data,
                out=out,
                resume=resume is not None,
                eval_every=eval_every,
                protocol=protocol or "paper",
                rerank=rerank or "none",
                select=select or "last",
                leave_out=leave_out,
                observer=report,
                should_stop=lambda: bool(interrupted),
                settings={"preset": preset, "device": place.name, "threads": in_use},
            )
        finally:
            report.close()
    trainer = recommender.trainer
    if interrupted and trainer and trainer.epoch < config.epochs:
        note(
            f"stopped after step {trainer.step}; go on with: "
            f"pkef-fast train --resume {shlex.quote(str(out))}"
        )
        sys.exit(INTERRUPTED)
    found = recommender.evaluation or recommender.evaluate(data, protocol=protocol or "paper")
    result = _result(recommender, data, found, out)
    if recommender.selection is not None:
        result["selection"] = recommender.selection.facts()
    if protocol:
        result["protocols"] = {name: one.as_dict() for name, one in found.protocols.items()}
    if as_json:
        print_json(result)
    else:
        print_selection(recommender)
        if recommender.reranker is not None:
            print_reranker(recommender.reranker)
        _print(result)
        if protocol:
            print_protocols(found.protocols)
        click.echo(f"the run lies in {out}")
        click.echo(f"next: pkef-fast evaluate {shlex.quote(str(out))}")


def _load(source: dict[str, Any]) -> Dataset:
    """The data set of a config's [data] table; the fingerprint in it is not an argument."""
    arguments = {name: value for name, value in source.items() if name != "fingerprint"}
    return load_dataset(**arguments)


def _fresh_folder(data: Dataset, what: str) -> Path:
    """runs/NAME-WHAT-N with the first N that is not there."""
    number = 1
    while (path := Path("runs") / f"{data.name}-{what}-{number}").exists():
        number += 1
    return path


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


def _result(
    recommender: Recommender, data: Dataset, found: evaluation.Evaluation, out: Path
) -> dict[str, Any]:
    model, trainer = recommender.model, recommender.trainer
    with recommender.device.active():
        popular = evaluation.evaluate(
            evaluation.popularity(data, recommender.device, model.dtype), data
        ).metrics
    seconds = trainer.step_seconds if trainer else []
    return {
        "run": str(out),
        "model": recommender.model_name,
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


def _print(result: dict[str, Any]) -> None:
    rows = [
        [name, *(result[key][metric] for metric in METRICS)]
        for name, key in (("this model", "metrics"), ("popularity", "popularity"))
    ]
    if result["trivial"]:
        rows.append([result["trivial"]["rule"], *(result["trivial"][one] for one in METRICS)])
    print_table(["full ranking", *METRICS], rows)
    seconds = result["seconds_per_step"]
    if seconds is not None:
        click.echo(f"{seconds * 1000:.1f} ms a step (median), {result['steps']} steps in all")
