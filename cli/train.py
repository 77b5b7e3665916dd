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

from .. import evaluation, toml
from ..config import Config
from ..data import Dataset, load_dataset
from ..device import GATHERS, set_threads
from ..device import device as make_device
from ..errors import InputError
from ..presets import PRESETS
from ..presets import preset as preset_config
from ..recommender import PKEF
from ..runs import Run
from .options import (
    assignments,
    dataset_options,
    device_option,
    json_option,
    names,
    threads_option,
    without_none,
)
from .output import ProgressReport, note, print_json, print_table

EVAL_EVERY = 5
INTERRUPTED = 130  # the shell's code for a program ended by Ctrl-C


@click.command()
@dataset_options(default=None)
@device_option
@click.option("--preset", help=f"{' or '.join(PRESETS)} [default: official].")
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
@threads_option
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
    preset,
    epochs,
    seed,
    sets,
    config_file,
    out,
    resume,
    eval_every,
    threads,
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
    pkef-fast train --resume runs/demo-official-1 --epochs 200
    """
    in_use = set_threads(threads)
    place = make_device(device, gather=gather, tensor_cores=tensor_cores, capture=not no_capture)
    changes = {**without_none(epochs=epochs, seed=seed), **assignments(sets)}
    if resume is not None:
        refused = without_none(
            dataset=dataset,
            data_dir=data_dir,
            behaviors=behaviors,
            preset=preset,
            seed=seed,
            config=config_file,
            out=out,
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
        preset = settings.get("preset", "official")
        config = Config().replaced(**fields).replaced(**changes)
        eval_every = settings.get("eval_every", EVAL_EVERY) if eval_every is None else eval_every
        out = run.path
    else:
        fields, tables = toml.load(config_file) if config_file else ({}, {})
        source = {} if dataset else dict(tables.get("data", {}))
        source.update(without_none(dataset=dataset, data_dir=data_dir, behaviors=names(behaviors)))
        settings = tables.get("run", {})
        preset = preset or fields.pop("preset", None) or settings.get("preset", "official")
        fields.pop("preset", None)
        data = _load(source)
        config = preset_config(preset, data.behaviors).replaced(**fields).replaced(**changes)
        eval_every = settings.get("eval_every", EVAL_EVERY) if eval_every is None else eval_every
        out = Path(out) if out else _fresh_folder(data, preset)
    for text in data.notes:
        note(f"note: {text}")
    model = PKEF(preset, place, config)
    report = ProgressReport()
    with _interruptible() as interrupted:
        try:
            model.fit(
                data,
                out=out,
                resume=resume is not None,
                eval_every=eval_every,
                observer=report,
                should_stop=lambda: bool(interrupted),
                settings={"preset": preset, "device": place.name, "threads": in_use},
            )
        finally:
            report.close()
    trainer = model.trainer
    if interrupted and trainer.epoch < config.epochs:
        note(
            f"stopped after step {trainer.step}; go on with: "
            f"pkef-fast train --resume {shlex.quote(str(out))}"
        )
        sys.exit(INTERRUPTED)
    result = _result(model, data, config, out, device)
    if as_json:
        print_json(result)
    else:
        _print(result, out)


def _load(source: dict[str, Any]) -> Dataset:
    """The data set of a config's [data] table; the fingerprint in it is not an argument."""
    arguments = {name: value for name, value in source.items() if name != "fingerprint"}
    return load_dataset(**arguments)


def _fresh_folder(data: Dataset, preset: str) -> Path:
    """runs/NAME-PRESET-N with the first N that is not there."""
    number = 1
    while (path := Path("runs") / f"{data.name}-{preset}-{number}").exists():
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


def _result(model: PKEF, data: Dataset, config: Config, out: Path, device: str) -> dict[str, Any]:
    kernels = model.device.kernels
    last = model.history[-1] if model.history else {}
    figures = last if "HR@10" in last else model.evaluate(data).metrics
    with model.device.active():
        popular = evaluation.evaluate(
            evaluation.popularity(data, model.model.dtype), data, kernels
        ).metrics
    seconds = model.trainer.step_seconds
    return {
        "run": str(out),
        "metrics": {name: figures[name] for name in ("HR@10", "NDCG@10")},
        "popularity": {name: popular[name] for name in ("HR@10", "NDCG@10")},
        "epochs": model.trainer.epoch,
        "steps": model.trainer.step,
        "seconds_per_step": statistics.median(seconds) if seconds else None,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "device": model.device.name,
        "seed": config.seed,
    }


def _print(result: dict[str, Any], out: Path) -> None:
    rows = [
        [name, *(result[key][metric] for metric in ("HR@10", "NDCG@10"))]
        for name, key in (("this model", "metrics"), ("popularity", "popularity"))
    ]
    print_table(["full ranking", "HR@10", "NDCG@10"], rows)
    seconds = result["seconds_per_step"]
    if seconds is not None:
        click.echo(f"{seconds * 1000:.1f} ms a step (median), {result['steps']} steps in all")
    click.echo(f"the run lies in {out}")
    click.echo(f"next: pkef-fast evaluate {shlex.quote(str(out))}")
