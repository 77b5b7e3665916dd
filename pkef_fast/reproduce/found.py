"""What the runs that are there say of a configuration: means over seeds, and paired differences."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from ..compare.significance import Difference, all_paired
from ..data.dataset import Array, Dataset
from ..device import Device
from ..evaluate import figures
from .experiments import Configuration
from .runs import Result, Store, Task

# What is compared: a configuration's runs, or metric → value of each held-out pair (T,).
Ranking = Configuration | Mapping[str, Array]


class Spread(NamedTuple):
    """Mean and standard deviation over seeds; None where there are too few."""

    mean: float | None
    sd: float | None


def spread(values: list[float]) -> Spread:
    """Of a metric's values, one a seed."""
    mean = statistics.fmean(values) if values else None
    return Spread(mean, statistics.stdev(values) if len(values) > 1 else None)


class Contrast(NamedTuple):
    """One configuration's metric less another's.

    Attributes
    ----------
    difference : Difference
        Of means over seeds, paired by user.
    by_seed : list of floats
        Of each seed that both have.
    """

    difference: Difference
    by_seed: list[float]


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

    def values(self, one: Ranking, metric: str) -> Array | None:
        """A metric of each held-out pair (T,), averaged over seeds; None where no run is there."""
        if not isinstance(one, Configuration):
            return one[metric]
        each = self._by_seed(one, metric)
        return np.mean(list(each.values()), axis=0) if each else None

    def differences(
        self, ones: Sequence[Ranking], other: Configuration, metric: str
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

    def contrasts(
        self,
        one: Configuration,
        others: Sequence[Configuration],
        metric: str,
        pairs: Array | None = None,
    ) -> list[Contrast]:
        """`one` less each of the others, all of which have runs.

        `pairs`: a mask (T,) of the held-out pairs that count; at least one.
        """
        pairs = np.ones(len(self.data.test_users), bool) if pairs is None else pairs
        own, each = self._by_seed(one, metric), [self._by_seed(two, metric) for two in others]

        def mean(seeds: dict[int | None, Array]) -> Array:
            return np.mean(list(seeds.values()), axis=0)

        less = [(mean(own) - mean(seeds))[pairs] for seeds in each]
        tested = all_paired(self.data.test_users[pairs], less)
        return [
            Contrast(test, [float(np.mean((own[s] - seeds[s])[pairs])) for s in own if s in seeds])
            for test, seeds in zip(tested, each, strict=True)
        ]

    def _by_seed(self, one: Configuration, metric: str) -> dict[int | None, Array]:
        return {task.seed: result.values()[1][metric] for task, result in self.done(one)}

    def popularity(self) -> figures.Evaluation:
        """Items by their train purchases, for everybody alike; by all protocols."""
        if self._popular is None:
            with self.device.active():
                ranker = figures.popularity(self.data, self.device)
                self._popular = figures.evaluate(ranker, self.data, protocol="all")
        return self._popular


def _same(one: Ranking, other: Configuration) -> bool:
    return isinstance(one, Configuration) and one == other
