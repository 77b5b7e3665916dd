"""Which runs are missing, how long they will take, and which of them a budget of time leaves out.

A run's time is estimated from its configuration's first steps and one evaluation, which are timed
once and kept in FOLDER/state/times.json; once a configuration's run was made from start to end, the
time that this took stands for its other seeds. Training that ends early, by patience, takes less.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..data.dataset import Dataset
from ..device import Device
from ..errors import InputError
from ..evaluate import figures
from ..models import model_class
from ..report.table import Table
from ..store.files import write_text
from ..train.trainer import Trainer
from ..train.warm_up import warm_up
from .experiments import GRIDS, configurations
from .runs import Store, Task

AHEAD, STEPS = 2, 3  # steps that are made first, and steps that are timed
START = 3.0  # seconds in which a process starts and reads the data (our guess)
LAST = 4  # evaluations after the last epoch: the chosen one's and those by protocol


def tasks(
    names: Sequence[str],
    data: Dataset,
    seeds: int,
    select: str,
    epochs: int | None = None,
    grid_epochs: int | None = None,
) -> list[Task]:
    """The runs of these tables and figures, each once: one seed of everything, then the second.

    `grid_epochs`: of the runs of Figures 4 and 5, where these are to have other epochs.
    """
    if seeds < 1:
        raise InputError(f"seeds cannot be {seeds}; wanted 1 or more.")
    fingerprint = data.fingerprint()
    found: dict[str, Task] = {}
    for seed in range(1, seeds + 1):
        for name in names:
            most = grid_epochs if name in GRIDS and grid_epochs is not None else epochs
            for one in configurations(name, len(data.behaviors)):
                task = Task.of(one, data, fingerprint, select, seed, most)
                found.setdefault(task.key, task)
    return list(found.values())


class Planned(NamedTuple):
    """A run and the seconds that it should take."""

    task: Task
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What is there, what will be made, in this order, and what is left out."""

    done: list[Task]
    runs: list[Planned]
    left_out: list[Planned]
    jobs: int

    @property
    def seconds(self) -> float:
        """Of all runs, at most about: as they share the work, but no less than the longest."""
        return seconds_of(self.runs, self.jobs)

    def table(self) -> Table:
        """A row a configuration, in the order of the first runs."""
        rows: dict[str, list] = {}
        for group, place in ((self.done, 2), (self.runs, 3), (self.left_out, 4)):
            for one in group:
                task, seconds = one if isinstance(one, Planned) else (one, None)
                name, epochs = task.configuration.name, getattr(task.config, "epochs", 0)
                row = rows.setdefault(task.pool, [name, epochs, 0, 0, 0, None])
                row[place] += 1
                row[5] = seconds if row[5] is None else row[5]
        columns = ("configuration", "epochs", "done", "to make", "left out", "seconds a run")
        return Table(columns, [tuple(row) for row in rows.values()])


def seconds_of(runs: Iterable[Planned], jobs: int) -> float:
    """Of runs that `jobs` processes share."""
    each = [one.seconds for one in runs]
    return max(sum(each) / jobs, max(each, default=0.0))


class Times:
    """state/times.json: what was timed of each configuration, for a device and its threads."""

    def __init__(self, folder: Path, place: str):
        self.path, self.place = folder / "state" / "times.json", place
        self._known: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            try:
                self._known = json.loads(self.path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(f"{self.path} is not JSON ({error}); remove it.") from error

    def get(self, task: Task) -> dict[str, float]:
        """What is known of a task's configuration; empty where nothing is."""
        return self._known.get(self.place, {}).get(task.pool, {})

    def add(self, task: Task, **seconds: float) -> None:
        """Keep what was timed."""
        place = self._known.setdefault(self.place, {})
        place[task.pool] = {"name": task.configuration.name, **place.get(task.pool, {}), **seconds}
        write_text(self.path, json.dumps(self._known, indent=1) + "\n")

    def seconds(self, task: Task, made: int = 0) -> float:
        """A run's time, but for the epochs that are made."""
        known, epochs = self.get(task), getattr(task.config, "epochs", 0)
        share = 1 - min(made, epochs) / epochs if epochs else 1.0
        if "run" in known:
            return share * known["run"]
        evaluations = epochs / task.eval_every if task.eval_every else 0.0
        training = epochs * known["epoch"] + evaluations * known["evaluation"]
        return START + share * training + LAST * known["evaluation"]


def plan(
    wanted: Sequence[Task],
    store: Store,
    times: Times,
    data: Dataset,
    device: Device,
    jobs: int = 1,
    budget: float | None = None,
    timing: Callable[[Task], None] = lambda task: None,
) -> Plan:
    """What to make of the wanted runs in `budget` seconds; None: all.

    A run that no longer fits is left out; a later and shorter one may still fit. `timing` is told
    each configuration before its first steps are timed.
    """
    done = [one for one in wanted if store.done(one)]
    missing = [one for one in wanted if not store.done(one)]
    if budget is not None and budget <= 0:
        return Plan(done, [], [Planned(one, 0.0) for one in missing], jobs)
    for one in missing:
        if not times.get(one):
            timing(one)
            times.add(one, **first_steps(one, data, device))
    runs: list[Planned] = []
    left_out: list[Planned] = []
    for one in missing:
        planned = Planned(one, times.seconds(one, store.epochs_made(one)))
        fits = budget is None or seconds_of([*runs, planned], jobs) <= budget
        (runs if fits else left_out).append(planned)
    return Plan(done, runs, left_out, jobs)


def first_steps(task: Task, data: Dataset, device: Device) -> dict[str, float]:
    """Seconds of an epoch and of an evaluation."""
    kind, config, epoch = model_class(task.configuration.model), task.config, 0.0
    with device.active():
        if kind.trained:
            warm_up(kind, config, len(data.behaviors), device)
        model = kind(config, data, device)
        if kind.trained:
            trainer = Trainer(model, data)
            for _ in range(AHEAD + STEPS):
                trainer.make_step()
            trainer.epoch_losses()  # waits for a device that works ahead
            step = statistics.median(trainer.step_seconds[-STEPS:])
            epoch = step * trainer.steps_per_epoch
        start = time.perf_counter()
        figures.evaluate(model.ranker(), data)
        return {"epoch": epoch, "evaluation": time.perf_counter() - start}


def duration(seconds: float) -> str:
    """For people.

    >>> duration(42), duration(150), duration(7500)
    ('42 s', '2 min 30 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
