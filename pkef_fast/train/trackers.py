"""A run's records told to other programs as they are made: `train --log NAME`.

`metrics.jsonl` stays the truth, and a tracker is told nothing else. It keeps what it writes in the
run's folder, where a run that goes on finds it again: nothing is told twice. Nothing goes over the
network unless the user's own environment says so (`MLFLOW_TRACKING_URI`, `WANDB_MODE`,
`WANDB_API_KEY`).
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import math
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from ..errors import InputError, did_you_mean
from ..store.files import write_text
from .callbacks import Callback, Watched

PROJECT = "pkef-fast"  # what trackers that sort runs by project call this one


class Tracker(Callback):
    """Tells another program the records of a fit.

    Subclasses say how: `begin` once, `tell` for each record, `end` once.

    Parameters
    ----------
    run : path
        The run's folder.
    """

    name: ClassVar[str]
    module: ClassVar[str | None] = None  # what it imports, which the extra of its name installs

    def __init__(self, run: str | os.PathLike[str]):
        self.run = Path(run)
        self.library = self._import() if self.module else None
        self.fit: Watched | None = None
        self._told = 0
        self._broken = False

    def _import(self) -> ModuleType:
        try:
            return importlib.import_module(self.module)
        except ImportError as error:
            raise InputError(
                f"--log {self.name} needs the package {self.module!r}, which cannot be imported "
                f"({error}); pip install 'pkef-fast[{self.name}]'."
            ) from error

    def started(self, fit: Watched) -> None:
        """Open what is written to, and tell what a run that goes on has made already."""
        try:
            self.begin(fit)
        except Exception as error:  # a server that is not there, a file that is none of its own
            raise InputError(
                f"--log {self.name} cannot write: {type(error).__name__}: {error}"
            ) from error
        self.fit = fit
        self._tell_new()

    def finished_epoch(self, fit: Watched, record: dict[str, Any]) -> None:
        self._tell_new()

    def close(self, status: str) -> None:
        """Tell the rest, and end; `status` is "finished", "stopped" or "failed"."""
        if self.fit is None:  # it failed before it began
            return
        self._tell_new()
        with self._unharmed():
            self.end(status)

    def _tell_new(self) -> None:
        with self._unharmed():
            while not self._broken and self._told < len(self.fit.history):
                self.tell(self.fit.history[self._told])
                self._told += 1

    @contextmanager
    def _unharmed(self) -> Iterator[None]:
        """A tracker that fails, whatever of, ends no training: it is warned of and left alone."""
        try:
            yield
        except Exception as error:
            self._broken = True
            warnings.warn(
                f"--log {self.name} failed and is told no more ({type(error).__name__}: {error}); "
                "metrics.jsonl goes on.",
                stacklevel=2,
            )

    def begin(self, fit: Watched) -> None:
        """Before the first record."""

    def tell(self, record: dict[str, Any]) -> None:
        """One line of metrics.jsonl."""

    def end(self, status: str) -> None:
        """After the last record."""


class Csv(Tracker):
    """`metrics.csv` in the run: a row an epoch, a column for whatever any epoch has."""

    name = "csv"

    def begin(self, fit: Watched) -> None:
        self.file = self.run / "metrics.csv"

    def tell(self, record: dict[str, Any]) -> None:
        # Written anew: an evaluation brings columns, and a run that goes on may be epochs back.
        rows = self.fit.history[: self._told + 1]
        text = io.StringIO()
        columns = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.file, text.getvalue())


class TensorBoard(Tracker):
    """Event files in the run's folder `tensorboard`; `tensorboard --logdir runs` shows them.

    `@`, which names of neither it nor MLflow can have, becomes `_at_`: HR_at_10.
    """

    name, module = "tensorboard", "tensorboardX"

    def begin(self, fit: Watched) -> None:
        # Purged from step 0: a run that goes on is told from its first epoch again, and readers
        # drop what an earlier file of the folder has.
        folder = str(self.run / "tensorboard")
        self.writer = self.library.SummaryWriter(folder, purge_step=0)

    def tell(self, record: dict[str, Any]) -> None:
        for name, value in _numbers(record).items():
            self.writer.add_scalar(_plain(name), value, record["epoch"])
        self.writer.flush()

    def end(self, status: str) -> None:
        self.writer.close()


class MLflow(Tracker):
    """An MLflow run, in a database in the folder `mlflow`, or where MLFLOW_TRACKING_URI says."""

    name, module = "mlflow", "mlflow"
    STATUS: ClassVar[dict[str, str]] = {
        "finished": "FINISHED",
        "stopped": "KILLED",
        "failed": "FAILED",
    }

    def begin(self, fit: Watched) -> None:
        folder = self.run / "mlflow"
        folder.mkdir(exist_ok=True)
        place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve()}/mlflow.db"
        self.client = self.library.MlflowClient(tracking_uri=place)
        known = folder / "run.json"
        if known.exists():
            self.id = json.loads(known.read_text(encoding="utf-8"))["id"]
            self.client.update_run(self.id, status="RUNNING")
            told = self.client.get_metric_history(self.id, "step")
            self.epochs = {one.step for one in told}
            return
        experiment = self.client.get_experiment_by_name(PROJECT)
        number = experiment.experiment_id if experiment else self.client.create_experiment(PROJECT)
        self.id = self.client.create_run(number, run_name=self.run.name).info.run_id
        self.epochs = set()
        noted = [self.library.entities.Param(name, str(one)) for name, one in facts(fit).items()]
        self.client.log_batch(self.id, params=noted)
        write_text(known, json.dumps({"id": self.id}))

    def tell(self, record: dict[str, Any]) -> None:
        if record["epoch"] in self.epochs:
            return
        now, epoch = int(1000 * time.time()), record["epoch"]
        metrics = [
            self.library.entities.Metric(_plain(name), value, now, epoch)
            for name, value in _numbers(record).items()
        ]
        self.client.log_batch(self.id, metrics=metrics)  # an epoch is there whole or not at all

    def end(self, status: str) -> None:
        self.client.set_terminated(self.id, self.STATUS[status])


class Wandb(Tracker):
    """A Weights & Biases run in the run's folder `wandb`.

    It is offline, to be sent by `wandb sync`, unless WANDB_MODE or WANDB_API_KEY is set.
    """

    name, module = "wandb", "wandb"

    def begin(self, fit: Watched) -> None:
        self.known = self.run / "wandb" / "run.json"
        self.id, self.epoch = os.urandom(4).hex(), -1
        if self.known.exists():
            known = json.loads(self.known.read_text(encoding="utf-8"))
            self.id, self.epoch = known["id"], known["epoch"]
        asked = os.environ.get("WANDB_MODE") or os.environ.get("WANDB_API_KEY")
        self.run.joinpath("wandb").mkdir(exist_ok=True)
        self.logged = self.library.init(
            project=PROJECT,
            name=self.run.name,
            dir=str(self.run),
            id=self.id,
            resume="allow",
            config=facts(fit),
            mode=None if asked else "offline",
            settings=self.library.Settings(silent=True, console="off"),
        )

    def tell(self, record: dict[str, Any]) -> None:
        if record["epoch"] <= self.epoch:
            return
        self.logged.log(_numbers(record), step=record["epoch"])
        self.epoch = record["epoch"]
        write_text(self.known, json.dumps({"id": self.id, "epoch": self.epoch}))

    def end(self, status: str) -> None:
        self.logged.finish(exit_code=0 if status == "finished" else 1)


TRACKERS: dict[str, type[Tracker]] = {one.name: one for one in (Csv, TensorBoard, MLflow, Wandb)}


def trackers(names: Iterable[str], run: str | os.PathLike[str]) -> list[Tracker]:
    """Trackers by name, each once, as callbacks of a fit.

        told = trackers(["csv", "tensorboard"], "runs/mine")
        with closing(told):
            model.fit(data, out="runs/mine", callbacks=told)

    Raises
    ------
    InputError
        For an unknown name, and where an extra is missing, before anything is written.
    """
    result = []
    for name in dict.fromkeys(names):
        if name not in TRACKERS:
            raise InputError(f"tracker {name!r} is unknown{did_you_mean(name, TRACKERS)}")
        result.append(TRACKERS[name](run))
    return result


@contextmanager
def closing(told: Sequence[Tracker]) -> Iterator[None]:
    """Close trackers when the block ends, with what became of the fit."""
    with ExitStack() as stack:
        for one in told:
            stack.push(
                lambda kind, error, trace, one=one: one.close("failed" if error else _ended(one))
            )
        yield


def _ended(tracker: Tracker) -> str:
    return "finished" if tracker.fit is None or tracker.fit.finished else "stopped"


def facts(fit: Watched) -> dict[str, Any]:
    """What trackers note of a run: its config's fields, its settings, its data."""
    noted = {f"run.{name}": value for name, value in fit.settings.items() if value is not None}
    data = {"data.name": fit.data.name, "data.fingerprint": fit.data.fingerprint()}
    return {**fit.config.as_dict(), **noted, **data}


def _plain(name: str) -> str:
    return name.replace("@", "_at_")


def _numbers(record: dict[str, Any]) -> dict[str, float]:
    """What a record measures: its numbers that are finite, without the epoch, which is the axis."""
    return {
        name: value
        for name, value in record.items()
        if name != "epoch" and isinstance(value, (int, float)) and math.isfinite(value)
    }
