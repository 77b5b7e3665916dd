"""The training loop: sample → forward → backward → update, step by step.

A `Trainer` is a state that can be stored between any two steps and gone on with bit for bit: the
parameters, Adam's moments, a running average where there is one, and the number of the next step.
Everything else follows from the seed.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..errors import InputError, TrainingError
from ..tape.autograd import backward
from .adam import Adam
from .protocol import Trained
from .replay import Replay

# A device makes steps ahead of the host; their losses are read after so many and after each epoch.
READ_EVERY = 50


class Trainer:
    """Trains a model on a data set, one step at a time.

    Attributes
    ----------
    step : int
        Updates made so far; `step` also numbers the next batch.
    step_seconds : list of float
        Time of each step made by this object; on a device that works ahead, the mean time of the
        steps between two readings.
    """

    def __init__(self, model: Trained, dataset: Dataset):
        self.model, self.dataset = model, dataset
        self.sampler = model.sampler(dataset)
        self.adam = Adam(model)
        self.step = 0
        self.step_seconds: list[float] = []
        # On a device that works ahead: its steps, and the first one whose losses were not read.
        self._replay: Replay | None = None
        if model.device.fixed_shapes:
            self._replay = Replay(model, self.sampler, self.adam)
        self._unread, self._read_at = 0, time.perf_counter()
        self._sums: dict[str, float] = {}  # of this epoch's losses, over the steps made in it

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""
        return self.sampler.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Whole epochs made so far."""
        return self.step // self.steps_per_epoch

    def next_batch(self) -> Any:
        """The batch of the next step."""
        return self.sampler.batch(self.step)

    def make_step(self) -> float | None:
        """Sample, forward, backward, update; returns the step's loss, penalty included.

        On a device that works ahead the loss is None but for every READ_EVERY-th step and the last
        of an epoch.

        Raises
        ------
        TrainingError
            When the loss is not finite: names the step and the first tensor that is not.
        """
        if self._replay is not None:
            return self._make_step_ahead(self._replay)
        start = time.perf_counter()
        losses = self.gradients(self.next_batch())
        total = losses.pop("loss.data")
        penalty = self.update()
        losses["loss.regularization"] = penalty
        losses["loss"] = total + penalty
        if not np.isfinite(losses["loss"]):
            self._stop(losses)
        self._add(self.step, losses)
        self.step += 1
        self.step_seconds.append(time.perf_counter() - start)
        return losses["loss"]

    def _add(self, step: int, losses: dict[str, float]) -> None:
        """Add a step's losses to its epoch's sums."""
        if step % self.steps_per_epoch == 0:
            self._sums = {}
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def _make_step_ahead(self, replay: Replay) -> float | None:
        if self._unread == self.step:
            self._read_at = time.perf_counter()
        replay.make(self.step)
        self.step += 1
        if self.step % self.steps_per_epoch and self.step - self._unread < READ_EVERY:
            return None
        return self._read()

    def _read(self) -> float | None:
        """Take in the losses of the steps that were made ahead; the last one's."""
        first, last, loss = self._unread, self.step, None
        if self._replay is None or first == last:
            return None
        for step, (losses, total, squares) in enumerate(self._replay.read(first, last), first):
            penalty = self.adam.penalty(squares)
            losses["loss.regularization"] = penalty
            loss = losses["loss"] = total + penalty
            if not np.isfinite(loss):
                self.step = self._unread = step
                broken = (
                    f"parameter {n}" for n, value in squares.items() if not np.isfinite(value)
                )
                self._stop(losses, next(broken, None))
            self._add(step, losses)
        self._unread = last
        now = time.perf_counter()
        self.step_seconds += [(now - self._read_at) / (last - first)] * (last - first)
        self._read_at = now
        return loss

    def gradients(self, batch: Any) -> dict[str, float]:
        """Data loss and its parts; afterwards each parameter's `grad` is set (None: not read)."""
        model = self.model
        for tensor in model.parameters.values():
            tensor.grad = None
        losses = model.losses(batch)
        values = {name: float(loss.data) for name, loss in losses.items()}
        values["loss.data"] = 0.0
        if losses:
            total = model.total(losses)
            values["loss.data"] = float(total.data)
            if not np.isfinite(values["loss.data"]):
                self._stop(values)
            backward(total)
        return values

    def update(self) -> float:
        """One Adam step on all parameters; returns the penalties on them before it."""
        return self.adam.update(self.step)

    def _stop(self, losses: dict[str, float], broken: str | None = None) -> None:
        """Raise TrainingError for the first tensor that is not finite: `broken` where known."""
        if broken is None and self._replay is None:
            broken = self._first_broken()
        if broken is None:
            broken = next(name for name, value in losses.items() if not np.isfinite(value))
        raise TrainingError(
            f"step {self.step} (epoch {self.epoch + 1}): {broken} is not finite, so training "
            f"stopped; a smaller learning rate than {self.model.config.lr:g} may help."
        )

    def _first_broken(self) -> str | None:
        for name, tensor in self.model.parameters.items():
            if not self.model.device.xp.isfinite(tensor.data).all():
                return f"parameter {name}"
        return None

    def epoch_losses(self) -> dict[str, float]:
        """Mean of each part of the loss over the steps of the current epoch so far.

        A part without rows in a step counts as 0 there.
        """
        self._read()
        made = (self.step - 1) % self.steps_per_epoch + 1 if self.step else 1
        return {name: value / made for name, value in self._sums.items()}

    # ---- state --------------------------------------------------------------------------------

    def _stored(self) -> dict[str, Any]:
        """All arrays of the state, as they lie on the device."""
        arrays = {}
        for name, tensor in self.model.parameters.items():
            arrays[f"parameter.{name}"] = tensor.data
            arrays[f"moment1.{name}"], arrays[f"moment2.{name}"] = self.adam.moments[name]
            if self.model.config.average:
                arrays[f"average.{name}"] = self.model.ranking[name].data
        return arrays

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Facts and arrays from which `restore` goes on; TrainingError if not all finite."""
        self._read()
        broken = self._first_broken()
        if broken is not None:
            raise TrainingError(f"step {self.step}: {broken} is not finite, so training stopped.")
        to_host = self.model.device.to_host
        arrays = {name: to_host(value) for name, value in self._stored().items()}
        facts = {"step": self.step, "sums": self._sums, "config": self.model.config.as_dict()}
        return facts, arrays

    def restore(self, facts: dict[str, Any], arrays: dict[str, np.ndarray], source: object) -> None:
        """Go on from a stored state; `source` names it in errors."""
        for name, target in self._stored().items():
            stored = arrays.get(name)
            if stored is None or stored.shape != target.shape or stored.dtype != target.dtype:
                found = "nothing" if stored is None else f"{stored.dtype} {stored.shape}"
                raise InputError(
                    f"{source}: {name} is {found}; wanted {target.dtype} {target.shape} "
                    "for this config and data set."
                )
            target[...] = self.model.device.place(stored)
        self.step = self._unread = int(facts["step"])
        if self._replay is not None:
            self._replay.start(self.step)
        self._sums = dict(facts["sums"])
