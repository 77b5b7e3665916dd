"""A store of runs by what they are: model, config, data, selection and seed, hashed.

    FOLDER/runs/<hash>/    a run's folder as `pkef-fast train` leaves it, and result.npz; points of
                           grids without their model
    FOLDER/state/          locks, and what was timed: nothing that a result depends on

A run is done when its result stands there: it is written last, whole or not at all, and holds the
figures and each user's rank by all protocols. What is not done is gone on with from its checkpoint,
also after kill −9; a lock keeps two processes from one run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..config.fields import Fields
from ..data.dataset import Array, Dataset
from ..device import Device
from ..errors import PkefError
from ..evaluate.figures import TOP, gains
from ..evaluate.protocols import PROTOCOLS
from ..models import model_class
from ..recommender import Recommender
from ..store import checkpoint
from ..store.runs import Run
from .experiments import Configuration

MEANING = 1  # raised when the same config comes to mean other figures, so that no old run counts
EVAL_EVERY = 5  # epochs between evaluations on validation items; as `pkef-fast train`
METRICS = (f"HR@{TOP}", f"NDCG@{TOP}")


class Busy(PkefError):
    """Another process makes this run."""


@dataclass(frozen=True)
class Task:
    """A run that is wanted.

    Attributes
    ----------
    configuration : Configuration
    config : Fields
        Checked, with its seed.
    seed : int or None
        None: the model draws nothing, so that one run is all there is.
    select : {"last", "val"}
    data : str
        Fingerprint of the data set.
    """

    configuration: Configuration
    config: Fields
    seed: int | None
    select: str
    data: str

    @classmethod
    def of(
        cls,
        configuration: Configuration,
        data: Dataset,
        fingerprint: str,
        select: str,
        seed: int,
        epochs: int | None = None,
    ) -> Task:
        """The run of a configuration on a data set, of the preset's epochs but at most `epochs`."""
        config = configuration.config(data.name, data.behaviors, seed=seed)
        if epochs is not None and epochs < getattr(config, "epochs", 0):
            config = config.replaced(epochs=epochs).checked(data.behaviors)
        trained = model_class(configuration.model).trained
        drawn = getattr(config, "seed", None)
        return cls(configuration, config, drawn, select if trained else "last", fingerprint)

    @cached_property
    def key(self) -> str:
        """The run's name: a hash of all that its figures depend on."""
        return _hash(self._facts())

    @cached_property
    def pool(self) -> str:
        """A hash of the same but for the seed: runs that are averaged have it in common."""
        facts = self._facts()
        facts["config"].pop("seed", None)
        return _hash(facts)

    @property
    def name(self) -> str:
        """For people."""
        return self.configuration.name + ("" if self.seed is None else f", seed {self.seed}")

    def _facts(self) -> dict[str, Any]:
        return {
            "meaning": MEANING,
            "model": self.configuration.model,
            "config": self.config.as_dict(),
            "data": self.data,
            "select": self.select,
            "eval_every": self.eval_every,
        }

    @property
    def eval_every(self) -> int:
        """Without a choice of epochs the held-out items are looked at once, at the end."""
        return EVAL_EVERY if self.select == "val" else 0


def _hash(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Result:
    """What a run found.

    Attributes
    ----------
    facts : dict
        model, preset, config, seed, select, epochs (made), chosen (epoch; None: the last), and
        protocols: name → users, HR@10, NDCG@10, MRR.
    arrays : dict
        PROTOCOL.users, PROTOCOL.items and PROTOCOL.rank_from_1 of the held-out pairs that count.
    """

    facts: dict[str, Any]
    arrays: dict[str, Array]

    def metric(self, name: str, protocol: str = "paper") -> float:
        """HR@10, NDCG@10 or MRR; NaN where the protocol has no users."""
        return float(self.facts["protocols"][protocol][name])

    def values(self, protocol: str = "paper") -> tuple[Array, dict[str, Array]]:
        """Users of the held-out pairs (T,), and HR@10 and NDCG@10 of each."""
        ranks = self.arrays[f"{protocol}.rank_from_1"] - 1
        values = zip(METRICS, gains(ranks, TOP), strict=True)
        return self.arrays[f"{protocol}.users"], dict(values)


class Store:
    """The runs below a folder."""

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self.state = self.folder / "state"
        self._read: dict[str, Result] = {}

    def path(self, task: Task) -> Path:
        """The run's folder."""
        return self.folder / "runs" / task.key

    def done(self, task: Task) -> bool:
        """Whether its result is there."""
        return (self.path(task) / "result.npz").is_file()

    def result(self, task: Task) -> Result | None:
        """Its result; None where it is not there yet."""
        if task.key not in self._read:
            if not self.done(task):
                return None
            found = checkpoint.read(self.path(task) / "result.npz", "result")
            self._read[task.key] = Result(*found)
        return self._read[task.key]

    def epochs_made(self, task: Task) -> int:
        """Epochs of a run that is not done which need not be made again, or few of them."""
        path = self.path(task)
        if not (path / "checkpoint.npz").is_file():
            return 0
        records = Run(path).records()
        return records[-1]["epoch"] if records else 0

    def model(self, task: Task, device: Device) -> Recommender:
        """The trained model of a run that is done, and no point of a grid."""
        return Recommender.load(self.path(task), device)

    @contextmanager
    def locked(self, task: Task) -> Iterator[None]:
        """Nobody else makes this run meanwhile; Busy where somebody does."""
        path = self.state / task.key
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Busy(f"{task.name} is being made by another process.") from error
            yield  # the lock goes with the file, and with the process

    def make(
        self,
        task: Task,
        data: Dataset,
        device: Device,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Make the run, or the rest of it; whether it is done. It is not when asked to stop.

        Raises
        ------
        Busy, InputError, TrainingError, DeviceError
        """
        with self.locked(task):
            path = self.path(task)
            if self.done(task):
                _tidy(path, task)
                return True
            resume = _begun(path)
            one = task.configuration
            preset = one.preset or model_class(one.model).default_preset(data.name)
            model = Recommender(one.model, preset, device, task.config)
            model.fit(
                data,
                out=path,
                resume=resume,
                eval_every=task.eval_every,
                select=task.select,
                should_stop=should_stop,
                settings={"preset": preset, "device": device.name},
            )
            if not model.fitting.finished:
                return False
            self._write(task, model, data)
            _tidy(path, task)
            return True

    def _write(self, task: Task, model: Recommender, data: Dataset) -> None:
        found = model.evaluate(data, protocol="all").protocols
        trainer, chosen = model.trainer, model.selection
        facts = {
            "model": task.configuration.model,
            "preset": model.preset,
            "config": task.config.as_dict(),
            "seed": task.seed,
            "select": task.select,
            "epochs": trainer.epoch if trainer else 0,
            "chosen": chosen.epoch if chosen else None,
            "protocols": {
                name: {"users": found[name].users, **found[name].metrics} for name in PROTOCOLS
            },
        }
        arrays = {}
        for name in PROTOCOLS:
            arrays[f"{name}.users"] = found[name].test_users
            arrays[f"{name}.items"] = found[name].test_items
            arrays[f"{name}.rank_from_1"] = found[name].ranks + 1
        checkpoint.write(self.path(task) / "result.npz", "result", facts, arrays)


def _begun(path: Path) -> bool:
    """Whether there is a checkpoint to go on from; whatever else is there is removed."""
    if (path / "checkpoint.npz").is_file():
        _remove_halves(path)
        return True
    shutil.rmtree(path, ignore_errors=True)
    return False


def _tidy(path: Path, task: Task) -> None:
    """Remove what only a run that goes on needs: it is most of what a run weighs."""
    names = ["checkpoint.npz", "best.npz"]
    if not task.configuration.keeps_model:
        names.append("model.npz")
    for name in names:
        (path / name).unlink(missing_ok=True)
    _remove_halves(path)


def _remove_halves(path: Path) -> None:
    """Remove files that a killed process was writing; their names begin with a dot."""
    for one in path.glob(".*"):
        one.unlink(missing_ok=True)
