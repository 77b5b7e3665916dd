"""A fit: the loop of epochs, evaluations, the choice of an epoch, early stopping, checkpoints.

It is the same for every model. One that is not trained by steps is ready at once: its loop is
empty.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..config.fields import Fields
from ..data.dataset import Array, Dataset
from ..device import Device
from ..errors import InputError, TrainingError
from ..evaluate import figures
from ..evaluate.figures import Evaluation
from ..evaluate.protocols import names_of
from ..holdout import selection
from ..holdout.selection import Selection
from ..holdout.validation import everything, validation_split
from ..store import checkpoint
from ..store.runs import Run
from .callbacks import Callback
from .protocol import Model, Shape
from .refit import CHECKPOINT_SECONDS, Refit
from .start import Start, begin
from .trainer import Trainer
from .warm_up import warm_up

HEADLINE = ("HR@10", "NDCG@10")


class Best(NamedTuple):
    """The best epoch so far, by the validation items."""

    epoch: int
    metrics: dict[str, float]
    arrays: dict[str, Array]


class Fit:
    """A model's way from a data set to a ranking.

    Parameters
    ----------
    kind : model class
    config : Fields
        Checked for the data set's behaviours.
    data : Dataset
    device : Device
    out : path, optional
        Folder of the run: config, metrics and checkpoints go there.
    resume : bool
        Go on from the checkpoint in `out`, until the config's number of epochs in all.
    eval_every : int
        Evaluate after every so many epochs and after the last one; 0: never.
    protocol : {"paper", "discovery", "return", "all"}
        Who is ranked among what in these evaluations.
    select : {"last", "val"}, optional
        "val" chooses the epoch by validation items; evaluations in between are then of these.
        Left out: the model's own way, `Model.select`.
    leave_out : str or float, optional
        How validation items are hidden.
    refit : bool
        Once "val" has chosen an epoch, train anew on everything for as many epochs; see `refit`.
    start : Start, optional
        Another model's parameters to start from; a run that goes on has no use for them.
    callback : Callback
    should_stop : callable
        Asked after each step; True ends the training there, with a checkpoint in `out`.
    settings : dict
        Noted in the run's config.toml, beside those that are given here.

    Attributes
    ----------
    model : Model or None
        Once `run` has begun.
    trainer : Trainer or None
        None for a model without steps.
    history : list of dict
        A record an epoch, as in metrics.jsonl.
    evaluation : Evaluation or None
        If made after the last step.
    selection : Selection or None
        None: the last epoch, whatever it is like.
    """

    def __init__(
        self,
        kind: type[Model],
        config: Fields,
        data: Dataset,
        device: Device,
        *,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        eval_every: int = 0,
        protocol: str = "paper",
        select: str | None = None,
        leave_out: str | float | None = None,
        refit: bool = False,
        start: Start | None = None,
        callback: Callback | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        settings: dict[str, Any] | None = None,
    ):
        if eval_every < 0:
            raise InputError(f"eval_every cannot be {eval_every}; wanted 0 (never) or more.")
        if resume and out is None:
            raise InputError("to resume, name the run's folder as out.")
        if resume and not kind.trained:
            name = (settings or {}).get("model", kind.__name__)
            raise InputError(
                f"model {name!r} has no steps, so there is none to resume; train it anew."
            )
        if start is not None and resume and not refit:
            raise InputError(
                "a run that is resumed goes on from its own checkpoint; leave init_from out."
            )
        if start is not None and not kind.trained:
            name = (settings or {}).get("model", kind.__name__)
            raise InputError(f"model {name!r} has no parameters that could start from another's.")
        names_of(protocol)
        device.check_storage(getattr(config, "storage", "exact"))
        self.kind, self.config, self.data, self.device = kind, config, data, device
        self.out, self.resume, self.start = out, resume, start
        self.eval_every, self.protocol = eval_every, protocol
        select = selection.checked(kind.select if select is None else select)
        if refit and select != "val":
            raise InputError(
                "to train anew on everything, the epochs must have been chosen: wanted select "
                "'val' beside refit."
            )
        self.refit = refit and kind.trained  # others have no epochs, and are fitted to everything
        self.callback, self.should_stop = callback or Callback(), should_stop
        noted = {"eval_every": eval_every, "select": select}
        noted["leave_out"] = None if leave_out is None else str(leave_out)
        noted |= {"refit": True} if refit else {}
        noted["init_from"] = None if start is None else start.source
        self.settings = {**(settings or {}), **noted}
        self.model: Model | None = None
        self.trainer: Trainer | None = None
        self.history: list[dict[str, Any]] = []
        self.evaluation: Evaluation | None = None
        self.selection: Selection | None = None
        self._fitted = data  # what is trained on: without the validation items, if there are some
        if select == "val":
            share, self._held = selection.selection_items(data, leave_out)
            self.selection = selection.selection_of(data, share, self._held)
            self.settings["validation"] = self.selection.items
            self._fitted = validation_split(data, self._held)
        self._run: Run | None = None
        self._best: Best | None = None
        self._refitting: Refit | None = None
        self._evaluated = 0  # the last epoch that was evaluated on validation items
        self._written = time.monotonic()

    def run(self) -> bool:
        """Train; whether all epochs are made, or as many as patience wants."""
        if self.kind.trained:
            self._prepare()
        else:
            self.callback.compiling("propagation", 1, 1)
            self.model = self.kind(self.config, self._fitted, self.device)
            self._run = self._created()
        self.callback.started(self)
        if self.trainer is None:
            self._record({"epoch": 0, "step": 0})
            done = True
        else:
            done = self._steps()
        if done and self.selection is not None:
            self._choose()
        if self._run:
            self._write()
        if done and self.refit and self.selection is not None:
            done = self._train_anew()
        return done

    @property
    def trained_on(self) -> Dataset:
        """What the model has learned from, once it is done."""
        return self.data if self._refitting is None else self._refitting.data

    def _train_anew(self) -> bool:
        """On everything, for the chosen number of epochs; whether that is done."""
        self._best = None
        again = self._refitting = Refit(
            self.kind,
            self.config,
            everything(self.data),
            self.device,
            self.selection.epoch,
            self.start,
            self._run.path if self._run else None,
        )
        self.selection.refit = True
        self.model, self.trainer, self.evaluation = again.model, again.trainer, None
        self.callback.started(self)
        return again.run(lambda loss: self.callback.stepped(self, loss), self.should_stop)

    def _prepare(self) -> None:
        """A model and its trainer, from the start or where a run stopped."""
        data, config, device = self.data, self.config, self.device
        edges = tuple(len(csr.indices) for csr in data.interactions)
        shape = Shape(data.n_users, data.n_items, edges, device.steps_held)
        device.expect_memory(self.kind.bytes(config, shape), f"training on {data.name!r}")
        self.model = self.kind(config, self._fitted, device)
        if self.start is not None and not self.resume:
            begin(self.model, self.start, self.selection.items if self.selection else "")
        self.trainer = Trainer(self.model, self._fitted)
        if self.resume:
            self._go_on()
        else:
            self._run = self._created()
            if self._run:
                self._run.write_checkpoint(*self.trainer.state())
        warm_up(self.kind, config, len(data.behaviors), device, self.callback.compiling)

    def _created(self) -> Run | None:
        if self.out is None:
            return None
        return Run.create(self.out, self.config, self.data, self.settings)

    def _go_on(self) -> None:
        """Read the run in `out`."""
        self._run = run = Run.open(self.out)
        run.check_data(self.data)
        if self.selection is not None:
            _, _, noted = run.settings()
            selection.check_items(noted.get("validation", ""), self._held)
        self.trainer.restore(*run.read_checkpoint(), run.checkpoint_file)
        self.history = [one for one in run.records() if one["epoch"] <= self.trainer.epoch]
        run.write_records(self.history)
        if self.selection is not None and run.best_file.exists():
            facts, arrays = checkpoint.read(run.best_file, "best")
            if facts["epoch"] <= self.trainer.epoch:
                self._best = Best(facts["epoch"], facts["metrics"], arrays)
            evaluated = [one["epoch"] for one in self.history if f"val.{selection.METRIC}" in one]
            self._evaluated = max(evaluated, default=0)

    # ---- the loop -----------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether no more steps are wanted."""
        if self._refitting is not None:
            return self._refitting.finished
        return self._chosen and not (self.refit and self.selection is not None)

    @property
    def _chosen(self) -> bool:
        """Whether no more steps are wanted of the fit that chooses an epoch, if one does."""
        if self.trainer is None:
            return True
        trainer, patience = self.trainer, getattr(self.config, "patience", None)
        if trainer.step >= self.config.epochs * trainer.steps_per_epoch:
            return True
        if patience is None or self._best is None:
            return False
        # Epochs that nobody has evaluated say nothing against the best one.
        return self._evaluated - self._best.epoch >= patience

    @property
    def stopped_early(self) -> str:
        """Why fewer epochs were made than the config has, as a sentence; empty where all were."""
        if self.trainer is None or self._best is None or not self._chosen:
            return ""
        epoch = self.trainer.epoch
        if epoch >= self.config.epochs:
            return ""
        return (
            f"stopped after epoch {epoch} of {self.config.epochs}: no better "
            f"{selection.METRIC} on validation items for {self._evaluated - self._best.epoch} "
            f"epochs (patience {self.config.patience})."
        )

    def _steps(self) -> bool:
        trainer = self.trainer
        self._written = time.monotonic()
        try:
            while not self._chosen:
                loss = trainer.make_step()
                self.callback.stepped(self, loss)
                if trainer.step % trainer.steps_per_epoch == 0:
                    self._finish_epoch()
                else:
                    self.evaluation = None
                if self.should_stop():
                    break
        except TrainingError as error:
            if self._run is None:
                raise
            raise TrainingError(
                f"{error} The last good checkpoint is {self._run.checkpoint_file}."
            ) from error
        return self._chosen

    def _finish_epoch(self) -> None:
        trainer = self.trainer
        record = {"epoch": trainer.epoch, "step": trainer.step, **trainer.epoch_losses()}
        evaluated = self._record(record)
        self.callback.finished_epoch(self, self.history[-1])
        late = time.monotonic() - self._written > CHECKPOINT_SECONDS
        if self._run and (evaluated or self._last or late):
            self._write()

    @property
    def _last(self) -> bool:
        """Whether this is the last epoch, or the model has none."""
        return self.trainer is None or self.trainer.epoch == self.config.epochs

    def _record(self, record: dict[str, Any]) -> bool:
        """Add an epoch's record with what is to be evaluated; whether anything was."""
        every, last = self.eval_every, self._last
        epoch = 0 if self.trainer is None else self.trainer.epoch
        due = bool(every) and (epoch % every == 0 or last)
        self.evaluation = None
        if self.selection is not None:
            if due or last:
                found = figures.evaluate(self.model.ranker(), self._fitted)
                metrics = {name: found[name] for name in HEADLINE}
                record |= {f"val.{name}": value for name, value in metrics.items()}
                self._keep_best(epoch, metrics)
                self._evaluated = epoch
        elif due:
            self.evaluation = figures.evaluate(
                self.model.ranker(), self.data, protocol=self.protocol
            )
            record |= _recorded(self.evaluation)
        self.history.append(record)
        return due

    def _keep_best(self, epoch: int, metrics: dict[str, float]) -> None:
        metric = selection.METRIC
        if self._best is not None and metrics[metric] <= self._best.metrics[metric]:
            return
        arrays = {name: one.copy() for name, one in self.model.stored().items()}
        self._best = Best(epoch, metrics, arrays)
        if self._run and self.trainer is not None:
            facts = {"epoch": epoch, "metrics": metrics}
            checkpoint.write(self._run.best_file, "best", facts, arrays)

    def _choose(self) -> None:
        """Take the best epoch, on all train interactions."""
        best = self._best
        if best is None:  # no epoch was asked for
            self.selection = None
            self.model = self.kind(self.config, self.data, self.device, self.model.stored())
            return
        self.selection.epoch = best.epoch if self.trainer else None
        self.selection.metrics = best.metrics
        stored = best.arrays if self.trainer else None
        self.model = self.kind(self.config, self.data, self.device, stored)

    def _write(self) -> None:
        # Records first: a run that is killed in between goes on from an older checkpoint, and drops
        # the records behind it. The other way round it would lack the records of epochs it has
        # made, and with them what patience knows.
        self._run.write_records(self.history)
        if self.trainer is not None:
            self._run.write_checkpoint(*self.trainer.state())
        self._written = time.monotonic()


def _recorded(result: Evaluation) -> dict[str, Any]:
    """What a line of metrics.jsonl says of an evaluation: the figures, and those by protocol."""
    if result.nothing:
        return {}
    record = {**result.metrics, "ties": result.ties}
    if len(result.protocols) > 1:
        for name, one in result.protocols.items():
            if one.users:
                record |= {f"{name}.{metric}": value for metric, value in one.metrics.items()}
    return record
