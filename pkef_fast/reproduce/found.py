"""What the runs that are there say of a configuration: means over seeds, and paired differences."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from ..compare.significance import Difference, all_paired
from ..data.dataset import Array, Dataset
from ..device import Device
from ..evaluate import figures
from ..evaluate.figures import TOP, gains
from .experiments import Configuration
from .runs import METRICS, Result, Store, Task


class Spread(NamedTuple):
    """Mean and standard deviation over seeds; None where there are too few."""

    mean: float | None
    sd: float | None


def spread(values: list[float]) -> Spread:
    """Of a metric's values, one a seed."""
    mean = statistics.fmean(values) if values else None
    return Spread(mean, statistics.stdev(values) if len(values) > 1 else None)


@dataclass
class Found:
    """The runs of a folder that were asked for, as far as they are done.

    Attributes
    ----------
    store : Store
    data : Dataset
    device : Device
        Where models are loaded to be looked into.
    select : {"last", "val"}
    seeds : int
        Seeds from 1 on that were asked for.
    epochs : int or None
        Of every model; None: as its preset says.
    grid_epochs : int, optional
        Of the runs of Figures 4 and 5; None: as of all others.
    """

    store: Store
    data: Dataset
    device: Device
    select: str
    seeds: int
    epochs: int | None = None
    grid_epochs: int | None = None
    _popular: figures.Evaluation | None = field(default=None, repr=False)

    def __post_init__(self):
        self.fingerprint = self.data.fingerprint()

    def tasks(self, one: Configuration) -> list[Task]:
        """The runs that were asked for: one a seed, or one where the model draws nothing."""
        found = {}
        for seed in range(1, self.seeds + 1):
            task = Task.of(one, self.data, self.fingerprint, self.select, seed, self.epochs)
            found.setdefault(task.key, task)
        return list(found.values())

    @property
    def grids(self) -> Found:
        """The same with the epochs of Figures 4 and 5."""
        return self if self.grid_epochs is None else replace(self, epochs=self.grid_epochs)

    def done(self, one: Configuration) -> list[tuple[Task, Result]]:
        """Those that are there."""
        pairs = ((task, self.store.result(task)) for task in self.tasks(one))
        return [(task, result) for task, result in pairs if result is not None]

    def spread(self, one: Configuration, metric: str, protocol: str = "paper") -> Spread:
        """A metric over the seeds that are there."""
        values = [result.metric(metric, protocol) for _, result in self.done(one)]
        return spread([value for value in values if np.isfinite(value)])

    def values(self, one: Configuration | Array, metric: str) -> Array | None:
        """A metric of each held-out pair (T,), averaged over seeds; None where no run is there.

        Ranks, from 0, may stand for a ranking that is no run.
        """
        if not isinstance(one, Configuration):
            return dict(zip(METRICS, gains(one, TOP), strict=True))[metric]
        each = [result.values()[1][metric] for _, result in self.done(one)]
        return np.mean(each, axis=0) if each else None

    def differences(
        self, ones: Sequence[Configuration | Array], other: Configuration, metric: str
    ) -> list[Difference | None]:
        """Paired differences to `other`; None where a run is not there, or it is the same one."""
        base, users = self.values(other, metric), self.data.test_users
        columns = [None if _same(one, other) else self.values(one, metric) for one in ones]
        if base is None or not len(users):
            return [None] * len(columns)
        there = [n for n, column in enumerate(columns) if column is not None]
        tested = all_paired(users, [columns[n] - base for n in there])
        found = dict(zip(there, tested, strict=True))
        return [found.get(n) for n in range(len(columns))]

    def difference(
        self, one: Configuration, other: Configuration, metric: str
    ) -> Difference | None:
        """The paired difference `one` − `other`; None where a run is not there."""
        return self.differences([one], other, metric)[0]

    def popularity(self) -> figures.Evaluation:
        """Items by their train purchases, for everybody alike; by all protocols."""
        if self._popular is None:
            with self.device.active():
                ranker = figures.popularity(self.data, self.device)
                self._popular = figures.evaluate(ranker, self.data, protocol="all")
        return self._popular


def _same(one: Configuration | Array, other: Configuration) -> bool:
    return isinstance(one, Configuration) and one == other
