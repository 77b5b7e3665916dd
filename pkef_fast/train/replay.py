"""A training step in arrays of fixed shape, which a device can record once and replay.

What changes from step to step lies on the device: the epoch's users, the number of the step (the
clock), the learning rates of the epoch. Each term of the loss has a slot for every draw that a user
of the batch could have; those left over are marked and take part in nothing. Losses go to a log on
the device, a row a step, and the host reads it every so often: it never waits in between.

    take the users → draw → compact → losses → gradients → Adam → average → log → clock + 1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from ..kernels.adam import bias_corrections, learning_rate
from ..models.pkef.model import Part, Pkef
from ..models.pkef.sampling import Sampler
from ..tape.autograd import Tensor, backward


class FixedStep:
    """Makes the steps of a training run on a device.

    Parameters
    ----------
    model, sampler
    moments : mapping of name → (m, v) on the device
    """

    def __init__(self, model: Pkef, sampler: Sampler, moments: Mapping[str, tuple]):
        self.model, self.sampler, self.moments = model, sampler, moments
        self.device = device = model.device
        config, xp = model.config, device.xp
        self.size = min(config.batch_users, sampler.n_users)
        steps = sampler.steps_per_epoch
        self.clock = xp.zeros(2, "uint32")  # the step's number in its epoch, and in the run
        self.epoch_users = xp.zeros(min(config.users_per_epoch, sampler.n_users), "int32")
        self.rates = xp.zeros((steps, 2), "float64")
        self.parts: list[Part] | None = None  # columns of the log, known after the first step
        self.log = None
        self._epoch: int | None = None
        self._steps: dict[int, Callable[[], None]] = {}  # by size of the batch

    def start(self, step: int) -> None:
        """Be ready to make step `step` of the run: fill what an epoch needs."""
        config, device = self.model.config, self.device
        epoch, index = divmod(step, self.sampler.steps_per_epoch)
        self.epoch_users[...] = self.sampler.epoch_users(epoch)
        first = epoch * self.sampler.steps_per_epoch
        rates = []
        for number in range(first, first + self.sampler.steps_per_epoch):
            lr = learning_rate(config.lr, config.lr_decay, config.lr_decay_steps, number)
            form = (config.beta1, config.beta2, config.adam_form)
            rates.append(bias_corrections(lr, number + 1, *form))
        self.rates[...] = device.place(np.array(rates))
        self.clock[...] = device.place(np.array([index, step], np.uint32))
        self._epoch = epoch

    def make(self, step: int) -> None:
        """Make step `step`; the device works on while this returns."""
        epoch, index = divmod(step, self.sampler.steps_per_epoch)
        if epoch != self._epoch:
            self.start(step)
        size = min(self.size, len(self.epoch_users) - index * self.model.config.batch_users)
        if size not in self._steps:
            users = self.device.xp.zeros(size, "int32")
            self._steps[size] = self.device.replayed(partial(self._step, users))
        self._steps[size]()

    def _step(self, users) -> None:
        """One step for `users`, which it fills; only launches, nothing that the host waits for."""
        model, sample = self.model, self.device.kernels.sample
        config = model.config
        sample.take_users(self.epoch_users, self.clock, config.batch_users, users)
        losses = model.losses(self.sampler.slot_batch(users, self.clock))
        values = [loss.data for loss in losses.values()]
        if losses:
            total = model.total(losses)
            values.append(total.data)
            backward(total)
        for name, tensor in model.parameters.items():
            values.append(self._update(name, tensor))
            tensor.grad = None
        if config.average:
            average = self.device.kernels.adam.average_scheduled
            for name, tensor in model.parameters.items():
                average(tensor.data, model.ranking[name].data, config.average, self.clock)
        if self.log is None:
            self.parts = list(losses)
            steps = self.sampler.steps_per_epoch
            self.log = self.device.xp.zeros((steps, len(values)), "float64")
        sample.record(values, self.clock, self.log)
        sample.advance(self.clock)

    def _update(self, name: str, tensor: Tensor):
        """Adam on one parameter; Σθ² from before."""
        config = self.model.config
        return self.device.kernels.adam.update_scheduled(
            tensor.data,
            tensor.grad,
            *self.moments[name],
            self.rates,
            self.clock,
            penalty=config.regularization if self.model.penalised(name) else 0.0,
            beta1=config.beta1,
            beta2=config.beta2,
            epsilon=config.adam_epsilon,
        )

    def read(
        self, first: int, last: int
    ) -> list[tuple[dict[Part, float], float, dict[str, float]]]:
        """(losses by part, data loss, Σθ² by parameter) of the steps first…last − 1 of one epoch.

        Waits for the device.
        """
        index = first % self.sampler.steps_per_epoch
        rows = self.device.to_host(self.log[index : index + last - first])
        result = []
        for row in rows.tolist():
            parts = dict(zip(self.parts, row, strict=False))
            squares = dict(zip(reversed(self.model.parameters), reversed(row), strict=False))
            total = row[len(self.parts)] if self.parts else 0.0
            result.append((parts, total, {name: squares[name] for name in self.model.parameters}))
        return result
