"""A training step in arrays of fixed shape, which a device can record once and replay.

What changes from step to step lies on the device: what the epoch's batches are made from, the
number of the step (the clock), the learning rates of the epoch. Losses go to a log on the device, a
row a step, and the host reads it every so often: it never waits in between.

    batch → losses → gradients → Adam → average → log → clock + 1
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..tape.autograd import backward
from .adam import Adam
from .protocol import Sampler, Trained


class Replay:
    """Makes the steps of a training run on a device."""

    def __init__(self, model: Trained, sampler: Sampler, adam: Adam):
        self.model, self.sampler, self.adam = model, sampler, adam
        self.device, xp = model.device, model.device.xp
        self.clock = xp.zeros(2, "uint32")  # the step's number in its epoch, and in the run
        self.rates = xp.zeros((sampler.steps_per_epoch, 2), "float64")
        self.names: list[str] | None = None  # of the losses; known after the first step
        self.log = None  # (steps of an epoch, losses + their total, if any + parameters)
        self._epoch: int | None = None
        self._steps: dict[int, Callable[[], None]] = {}  # by size of the batch

    def start(self, step: int) -> None:
        """Be ready to make step `step` of the run: fill what an epoch needs."""
        steps = self.sampler.steps_per_epoch
        epoch, index = divmod(step, steps)
        self.sampler.begin_epoch(epoch)
        place = self.device.place
        self.rates[...] = place(self.adam.rates(range(epoch * steps, (epoch + 1) * steps)))
        self.clock[...] = place(np.array([index, step], np.uint32))
        self._epoch = epoch

    def make(self, step: int) -> None:
        """Make step `step`; the device works on while this returns."""
        epoch, index = divmod(step, self.sampler.steps_per_epoch)
        if epoch != self._epoch:
            self.start(step)
        size = self.sampler.size(index)
        if size not in self._steps:
            self._steps[size] = self.device.replayed(partial(self._step, size))
        self._steps[size]()

    def _step(self, size: int) -> None:
        """One step; only launches, nothing that the host waits for."""
        model, sample = self.model, self.device.kernels.sample
        losses = model.losses(self.sampler.slots(self.clock, size))
        values = [loss.data for loss in losses.values()]
        if losses:
            total = model.total(losses)
            values.append(total.data)
            backward(total)
        values += self.adam.update_scheduled(self.rates, self.clock)
        if self.log is None:
            self.names = list(losses)
            steps = self.sampler.steps_per_epoch
            self.log = self.device.xp.zeros((steps, len(values)), "float64")
        sample.record(values, self.clock, self.log)
        sample.advance(self.clock)

    def read(self, first: int, last: int) -> list[tuple[dict[str, float], float, dict[str, float]]]:
        """(losses by name, their total, Σθ² by parameter) of the steps first…last − 1 of one epoch.

        Waits for the device.
        """
        index = first % self.sampler.steps_per_epoch
        rows = self.device.to_host(self.log[index : index + last - first])
        parameters, count = list(self.model.parameters), len(self.names)
        result = []
        for row in rows.tolist():
            losses = dict(zip(self.names, row, strict=False))
            total = row[count] if count else 0.0
            squares = dict(zip(parameters, row[len(row) - len(parameters) :], strict=True))
            result.append((losses, total, squares))
        return result
