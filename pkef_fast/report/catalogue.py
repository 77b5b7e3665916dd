"""All models side by side: where each comes from, how large it is, how long a step takes."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config.fields import Fields
from ..data.dataset import Csr, Dataset
from ..device import Device, device
from ..errors import InputError
from ..models import MODELS
from ..store.files import write_text
from ..train.protocol import Model, Shape
from ..train.trainer import Trainer

# Users, items and behaviours of Taobao: paper, Table 1.
TAOBAO = (15449, 11953, ("view", "cart", "buy"))
STEPS = 15  # of each model that are timed, after as many as AHEAD
AHEAD = 3
RECORD = Path(__file__).with_name("steps.json")


@dataclass(frozen=True)
class Entry:
    """A model's line.

    `parameters` are numbers that it learns, for the sizes that were asked for; `step_seconds` the
    median of a training step on this machine, None where it was not timed or there is none;
    `steps_per_epoch` and `bytes`, what training needs, come with it.
    """

    name: str
    paper: str
    year: int
    reads: str
    parameters: int
    step_seconds: float | None = None
    steps_per_epoch: int | None = None
    bytes: int | None = None


def without_interactions(n_users: int, n_items: int, behaviors: Sequence[str]) -> Dataset:
    """A data set of these sizes in which nothing happened."""
    nothing = Csr(np.zeros(n_users + 1, np.int32), np.zeros(0, np.int32))
    nobody = np.zeros(0, np.int32)
    names = tuple(behaviors)
    return Dataset("sizes", names, n_users, n_items, (nothing,) * len(names), nobody, nobody)


def entries(
    names: Sequence[str] = tuple(MODELS), dataset: Dataset | None = None, timed: bool = False
) -> Iterator[Entry]:
    """The models' lines, each when it is known.

    Parameters
    ----------
    names : of models
    dataset : Dataset, optional
        Whose sizes count; those of Taobao where it is not given.
    timed : bool
        Whether to train some steps of each on `dataset`, on the CPU. What was recorded for Taobao
        stands in where neither a data set nor this is asked for.
    """
    known = recorded()["milliseconds"] if dataset is None else {}
    sizes = without_interactions(*TAOBAO) if dataset is None else dataset
    for name in names:
        kind = MODELS[name]
        config = kind.preset(kind.default_preset(sizes.name), sizes.behaviors)
        config = config.checked(sizes.behaviors)
        found: dict[str, Any] = {}
        if timed and kind.trained:
            found = _timed(kind, config, sizes, device("cpu"))
        elif name in known:
            found = {"step_seconds": known[name] / 1000}
        yield Entry(name, *kind.about, parameters=parameters(kind, config, sizes), **found)


def recorded() -> dict[str, Any]:
    """Milliseconds of a step on Taobao by model, and the `machine` that took them.

    Written by `pkef-fast models --time --dataset taobao --data-dir DATA --record`.
    """
    return json.loads(RECORD.read_text(encoding="utf-8"))


def record(found: Sequence[Entry], machine: str) -> None:
    """Replace what `recorded` gives, in a clone; InputError for an installed package."""
    if not (Path(__file__).parents[2] / "pyproject.toml").exists():
        raise InputError(
            "--record changes the sources; run it from a clone with `pip install -e .`"
        )
    known = {
        one.name: round(1000 * one.step_seconds, 1) for one in found if one.step_seconds is not None
    }
    text = json.dumps({"machine": machine, "milliseconds": known}, indent=1)
    write_text(RECORD, text + "\n")


def parameters(kind: type[Model], config: Fields, dataset: Dataset) -> int:
    """Numbers that a model learns for a data set of this size; 0 without training."""
    if not kind.trained:
        return 0
    empty = without_interactions(dataset.n_users, dataset.n_items, dataset.behaviors)
    # The readable kernels: nothing is computed here that would need fast ones.
    shapes = kind(config, empty, device("reference")).shapes()
    return sum(math.prod(shape) for shape in shapes.values())


def _timed(
    kind: type[Model], config: Fields, dataset: Dataset, place: Device
) -> Mapping[str, float]:
    """What an `Entry` holds of a model's steps."""
    trainer = Trainer(kind(config, dataset, place), dataset)
    for _ in range(AHEAD + STEPS):
        trainer.make_step()
    shape = Shape(dataset.n_users, dataset.n_items, [len(c.indices) for c in dataset.interactions])
    return {
        "step_seconds": statistics.median(trainer.step_seconds[AHEAD:]),
        "steps_per_epoch": trainer.steps_per_epoch,
        "bytes": kind.bytes(config, shape),
    }
