"""Gradients of a model's whole loss against central differences."""

from __future__ import annotations

import numpy as np
import pytest


def check_gradients(trainer, batch, rng, h, rel, abs=None):
    """Each parameter's gradient, in a random direction, is that of the loss; none is all zeros.

    `h` is the step in that direction; `rel` and `abs` as of `pytest.approx`.
    """
    model = trainer.model
    trainer.gradients(batch)
    gradients = {key: one.grad.copy() for key, one in model.parameters.items()}
    for key, tensor in model.parameters.items():
        assert np.any(gradients[key] != 0), key
        direction = rng.normal(size=tensor.shape)
        start, ends = tensor.data.copy(), []
        for step in (h, -h):
            tensor.data[...] = start + step * direction
            ends.append(trainer.gradients(batch)["loss.data"])
        tensor.data[...] = start
        exact = np.sum(gradients[key] * direction)
        assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(exact, rel=rel, abs=abs), key
