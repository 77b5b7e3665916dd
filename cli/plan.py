"""What a training run is to be: the options typed, over a config file or an earlier run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import toml
from ..config.fields import Fields
from ..data import Dataset, load_dataset
from ..errors import InputError
from ..models import MODELS, model_class
from ..store.runs import Run
from .options import TABLE_WORDS, assignments, names, without_none

EVAL_EVERY = 5
# Options that a run keeps; whoever goes on with it cannot change them.
KEPT = (
    "dataset",
    "data_dir",
    "behaviors",
    *TABLE_WORDS,
    "model",
    "preset",
    "seed",
    "precision",
    "config_file",
    "out",
    "rerank",
    "select",
    "refit",
    "leave_out",
    "init_from",
)


@dataclass(frozen=True)
class Plan:
    """A run, before it begins."""

    data: Dataset
    model: str
    preset: str | None
    config: Fields
    out: Path
    resume: bool
    eval_every: int
    rerank: str
    select: str
    leave_out: str | None
    refit: bool = False
    init_from: str | None = None
    rerank_seed: int | None = None  # where the model itself draws nothing
    log: tuple[str, ...] = ()


def plan(options: dict[str, Any]) -> Plan:
    """The run that the options of `pkef-fast train` ask for."""
    return _new(options) if options["resume"] is None else _resumed(options)


def _resumed(options: dict[str, Any]) -> Plan:
    """Going on with a run: its own data and config, but for what may be changed."""
    refused = [name for name in KEPT if options[name] is not None]
    if options["sets"]:
        refused.append("set")
    if refused:
        name = refused[0].removesuffix("_file").replace("_", "-")
        raise InputError(
            f"--{name} cannot be combined with --resume, which goes on with the run's own data and "
            "config; only --epochs, --eval-every, --log, --device and --threads can."
        )
    run = Run.open(options["resume"])
    fields, source, noted = run.settings()
    model = noted.get("model", "pkef")
    config = model_class(model).Config().replaced(**fields)
    return Plan(
        data=_load(source),
        model=model,
        preset=noted.get("preset"),
        config=config.replaced(**without_none(epochs=options["epochs"])),
        out=run.path,
        resume=True,
        eval_every=_first(options["eval_every"], noted.get("eval_every"), EVAL_EVERY),
        rerank=noted.get("rerank", "none"),
        select=noted.get("select", "last"),
        refit=noted.get("refit", False),
        leave_out=noted.get("leave_out"),
        log=(*noted.get("log", ()), *options["log"]),
    )


def _new(options: dict[str, Any]) -> Plan:
    """A new run: options before the config file, that before the model's preset."""
    file = options["config_file"]
    fields, tables = toml.load(file) if file else ({}, {})
    source = {} if options["dataset"] else dict(tables.get("data", {}))
    given = {name: options[name] for name in ("dataset", "data_dir")}
    given |= {name: options[name] for name in TABLE_WORDS}
    source.update(without_none(**given, behaviors=names(options["behaviors"])))
    data = _load(source)
    noted = tables.get("run", {})
    # A config file may name model and preset like fields; a run notes them in its [run] table.
    named = {name: fields.pop(name, noted.get(name)) for name in ("model", "preset")}
    model = options["model"] or named["model"] or next(iter(MODELS))
    kind = model_class(model)
    if model != (named["model"] or model):
        named["preset"] = None
    preset = options["preset"] or named["preset"] or kind.default_preset(data.name)
    changes = {name: options[name] for name in ("epochs", "seed", "precision")}
    changes = {**without_none(**changes), **assignments(options["sets"])}
    rerank = options["rerank"] or noted.get("rerank", "none")
    rerank_seed = None
    if rerank != "none" and "seed" not in {one.name for one in dataclasses.fields(kind.Config)}:
        rerank_seed = changes.pop("seed", None)
    config = kind.preset(preset, data.behaviors).replaced(**fields).replaced(**changes)
    out = options["out"]
    refit = bool(options["refit"] or noted.get("refit"))
    select = options["select"] or noted.get("select") or ("val" if refit else kind.select)
    return Plan(
        data=data,
        model=model,
        preset=preset,
        config=config,
        out=Path(out) if out else _fresh_folder(data, model, preset),
        resume=False,
        eval_every=_first(options["eval_every"], noted.get("eval_every"), EVAL_EVERY),
        rerank=rerank,
        select=select,
        refit=refit,
        leave_out=options["leave_out"] or noted.get("leave_out"),
        init_from=options["init_from"] or noted.get("init_from"),
        rerank_seed=rerank_seed,
        log=options["log"],
    )


def _first(*values: Any) -> Any:
    """The first one that is not None."""
    return next(value for value in values if value is not None)


def _load(source: dict[str, Any]) -> Dataset:
    """The data set of a config's [data] table; the fingerprint in it is not an argument."""
    arguments = {name: value for name, value in source.items() if name != "fingerprint"}
    return load_dataset(**arguments)


def _fresh_folder(data: Dataset, model: str, preset: str) -> Path:
    """runs/NAME-WHAT-N with the first N that is not there."""
    what = preset if model == next(iter(MODELS)) else model
    number = 1
    while (path := Path("runs") / f"{data.name}-{what}-{number}").exists():
        number += 1
    return path
