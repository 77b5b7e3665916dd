"""`pkef-fast tune`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from ..data import load_dataset
from ..device import device as make_device
from ..device import set_threads
from ..evaluate.protocols import PROTOCOLS
from ..holdout.validation import validation_visibility
from ..models import MODELS, model_class
from ..tune.search import METRICS, PRUNERS, Search, Trial
from .options import (
    assignments,
    dataset_options,
    device_option,
    json_option,
    model_option,
    names,
    presets_help,
    table_options,
    threads_option,
    without_none,
)
from .output import note, note_reading, print_json, print_table

EPOCHS = 20
INTERRUPTED = 130  # the shell's code for a program ended by Ctrl-C
SHOWN = 5  # trials of the printed table


def _help() -> str:
    """What the command does, with every model's space."""
    lines = [
        "Search a model's fields by its validation items; the test items are never read.",
        "",
        "Trials are judged by the data set's own validation items alone, or, where it has none, by "
        "one more held-out target item of each user with at least three. The study lies in an "
        "SQLite file and goes on if it exists.",
        "",
        "\b",
        "pkef-fast tune --dataset taobao --data-dir DATA --protocol discovery --out best.toml",
        "pkef-fast tune --model graph-rank --trials 40",
        "pkef-fast train --config best.toml",
    ]
    for name, model in MODELS.items():
        space = model.space(("view", "cart", "buy"))
        lines += ["", "\b", f"Search space of {name}, for three behaviours:"]
        lines += [f"  {one}" for one in space]
    return "\n".join(lines)


@click.command(help=_help())
@dataset_options(default=None)
@table_options
@device_option
@model_option
@click.option("--preset", help=presets_help())
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Fix a config field, which is then not searched; may be repeated.",
)
@click.option(
    "--epochs",
    type=int,
    default=EPOCHS,
    show_default=True,
    help="Most epochs of a trial; the best one's number goes into the config.",
)
@click.option(
    "--trials", type=int, default=30, show_default=True, help="Trials of the study in all."
)
@click.option("--timeout", type=float, help="Begin no further trial after so many seconds.")
@click.option(
    "--protocol",
    metavar="|".join(PROTOCOLS),
    default="paper",
    show_default=True,
    help="Who is ranked among what.",
)
@click.option("--metric", metavar="|".join(METRICS), default="HR@10", show_default=True)
@click.option(
    "--leave-out",
    metavar="target|all|SHARE",
    help="Where validation items are hidden: in the target alone, in all behaviours, or in all but "
    "for a share that stays visible [default: as the data set was split].",
)
@click.option("--pruner", metavar="|".join(PRUNERS), default="median", show_default=True)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of the proposals and of the validation items.",
)
@click.option("--study", type=click.Path(), help="SQLite file [default: OUT with .db].")
@click.option("--out", type=click.Path(), help="Best config [default: NAME-MODEL.toml].")
@threads_option
@json_option
def tune(
    dataset,
    data_dir,
    behaviors,
    device,
    model,
    preset,
    sets,
    epochs,
    trials,
    timeout,
    protocol,
    metric,
    leave_out,
    pruner,
    seed,
    study,
    out,
    threads,
    as_json,
    **table,
):
    set_threads(threads)
    model = model or next(iter(MODELS))
    changes = assignments(sets)
    if model_class(model).trained:
        changes = {"epochs": epochs, **changes}
    source = without_none(dataset=dataset, data_dir=data_dir, behaviors=names(behaviors), **table)
    data = load_dataset(**source)
    note_reading(data)
    search = Search(
        data,
        model,
        preset,
        changes,
        metric=metric,
        protocol=protocol,
        visible=validation_visibility(data, leave_out).share,
        seed=seed,
        pruner=pruner,
        device=make_device(device),
    )
    out = Path(out) if out else Path(f"{data.name}-{model}.toml")
    study = Path(study) if study else out.with_suffix(".db")
    own = " of the data set's own" if search.published else ""
    note(
        f"{data.name}: {len(search.data.test_items)} validation items{own}; {trials} trials of "
        f"{model} by {protocol} {metric}, study {study}"
    )

    def told(trial: Trial, best: Trial | None) -> None:
        ended = "given up" if trial.pruned else f"epoch {trial.epoch}" if trial.epoch else "done"
        so_far = f"best {best.value:.4f}" if best else "none has ended"
        note(f"trial {trial.number}: {trial.value:.4f} ({ended}); {so_far}; {_plain(trial)}")

    try:
        found = search.run(study, trials, timeout, told)
    except KeyboardInterrupt:
        note(f"stopped; the same command goes on with {study}")
        sys.exit(INTERRUPTED)
    search.write(found, out)
    if as_json:
        print_json(
            {
                "config": str(out),
                "study": str(study),
                "metric": metric,
                "protocol": protocol,
                "validation_items": len(search.data.test_items),
                "validation_published": search.published,
                "best": found.best._asdict(),
                "trials": len(found.trials),
                "given_up": sum(trial.pruned for trial in found.trials),
            }
        )
        return
    ended = [trial for trial in found.trials if not trial.pruned]
    ended.sort(key=lambda trial: -trial.value)
    print_table(
        ["trial", f"validation {protocol} {metric}", "epoch", "fields"],
        [[one.number, one.value, one.epoch or "–", _plain(one)] for one in ended[:SHOWN]],
    )
    click.echo(f"{len(found.trials)} trials, {len(found.trials) - len(ended)} given up early")
    click.echo(f"the best config lies in {out}")
    click.echo(f"next: pkef-fast train --config {shlex.quote(str(out))}")


def _plain(trial: Trial) -> str:
    texts = {
        name: f"{value:.4g}" if isinstance(value, float) else value
        for name, value in trial.fields.items()
    }
    return " ".join(f"{name}={value}" for name, value in texts.items())
