"""Adam on a model's parameters: one place for its settings, its moments and the penalty.

L = loss + Σ_θ decay(θ)·Σθ²,  and after the update, where the config asks for one, the average
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data.dataset import Array
from ..kernels.adam import bias_corrections, learning_rate
from .protocol import Trained


class Adam:
    """Updates a model.

    Attributes
    ----------
    moments : dict of name → (m, v)
        Like the parameters, on their device.
    """

    def __init__(self, model: Trained):
        self.model, self.config = model, model.config
        self.kernels = model.device.kernels.adam
        xp = model.device.xp
        self.moments = {
            name: (xp.zeros_like(one.data), xp.zeros_like(one.data))
            for name, one in model.parameters.items()
        }
        config = self.config
        self._decays = {"beta1": config.beta1, "beta2": config.beta2}
        self._decays["epsilon"] = config.adam_epsilon

    def _rate(self, step: int) -> float:
        return learning_rate(self.config.lr, self.config.lr_decay, self.config.lr_decay_steps, step)

    def update(self, step: int) -> float:
        """Update all parameters by their gradients, which are dropped; the penalty before it.

        `step` counts updates from 0.
        """
        penalty = 0.0
        for name, tensor in self.model.parameters.items():
            decay = self.model.decay(name)
            squares = self.kernels.update(
                tensor.data,
                tensor.grad,
                *self.moments[name],
                lr=self._rate(step),
                step=step + 1,
                penalty=decay,
                form=self.config.adam_form,
                **self._decays,
            )
            penalty += decay * float(squares)
            tensor.grad = None
            if self.config.average:
                mean = self.model.ranking[name].data
                self.kernels.average(tensor.data, mean, self.config.average, step + 1)
        return penalty

    def rates(self, steps: range) -> Array:
        """(n, 2) float64 of these steps: what `update_scheduled` reads of each."""
        form = (self.config.beta1, self.config.beta2, self.config.adam_form)
        return np.array([bias_corrections(self._rate(step), step + 1, *form) for step in steps])

    def update_scheduled(self, rates: Any, clock: Any) -> list[Any]:
        """`update` of a step that the device counts; Σθ² of each parameter before it, unread.

        `rates` are those of an epoch, `clock` (2,) uint32 the step's number in it and in the run.
        """
        squares = []
        for name, tensor in self.model.parameters.items():
            squares.append(
                self.kernels.update_scheduled(
                    tensor.data,
                    tensor.grad,
                    *self.moments[name],
                    rates,
                    clock,
                    penalty=self.model.decay(name),
                    **self._decays,
                )
            )
            tensor.grad = None
        if self.config.average:
            for name, tensor in self.model.parameters.items():
                mean = self.model.ranking[name].data
                self.kernels.average_scheduled(tensor.data, mean, self.config.average, clock)
        return squares

    def penalty(self, squares: Mapping[str, float]) -> float:
        """Σ decay·Σθ² of the parameters' Σθ²."""
        decays = {name: self.model.decay(name) for name in squares}
        return sum(decay * squares[name] for name, decay in decays.items() if decay)
