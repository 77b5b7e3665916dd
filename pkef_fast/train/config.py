"""What every trained model has to choose: its optimiser, its epochs, when it stops.

A model's own config extends `TrainConfig`, and may set other defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..config.fields import Fields, field, wrong

Self = TypeVar("Self", bound="TrainConfig")

PRECISIONS = ("float32", "float64", "bf16-gather", "fp16-gather")
# How a precision stores the tables that neighbour sums read; sums are in float32 all the same.
STORAGE = {"bf16-gather": "bfloat16", "fp16-gather": "float16"}


def patience(epochs: int | None):
    """The field `patience` with this default."""
    return field(
        epochs,
        "epochs without a better figure on validation items (--select val) after which training "
        "stops; none: it goes on to the last epoch",
        low=1,
        group="run",
    )


@dataclass(frozen=True)
class TrainConfig(Fields):
    """How a model is trained."""

    lr: float = field(1e-3, "learning rate at the start", low=0, group="optimizer")
    lr_decay: float = field(
        1.0, "factor of the learning rate at each decay", low=0, group="optimizer"
    )
    lr_decay_steps: int = field(1000, "steps between decays", low=1, group="optimizer")
    beta1: float = field(0.9, "Adam: decay of the first moment", low=0, high=1, group="optimizer")
    beta2: float = field(
        0.999, "Adam: decay of the second moment", low=0, high=1, group="optimizer"
    )
    adam_epsilon: float = field(
        1e-8, "Adam: added to the root of the second moment", low=0, group="optimizer"
    )
    adam_form: str = field(
        "pytorch",
        "where epsilon stands: tensorflow √v + ε before the bias correction, pytorch after",
        choices=("tensorflow", "pytorch"),
        group="optimizer",
    )
    average: float = field(
        0.0,
        "decay of a running average of all parameters over the steps, which then ranks and is "
        "saved; 0: the parameters themselves",
        low=0,
        high=1,
        group="optimizer",
    )
    epochs: int = field(100, "most passes of training", low=0, group="passes")
    seed: int = field(42, "of tables and samples", low=0, high=2**63 - 1, group="run")
    precision: str = field(
        "float32",
        "of tables and kernels; bf16-gather, fp16-gather (GPUs alone): float32, but what neighbour "
        "sums read is stored in 16 bits",
        choices=PRECISIONS,
        group="run",
    )
    patience: int | None = patience(None)

    @property
    def dtype(self) -> np.dtype:
        """Of parameters, tables and sums."""
        return np.dtype("float64" if self.precision == "float64" else "float32")

    @property
    def storage(self) -> str:
        """How the tables that neighbour sums read are stored; see `kernels.propagate`."""
        return STORAGE.get(self.precision, "exact")

    def checked(self: Self, behaviors: Sequence[str]) -> Self:
        """This config for a data set's behaviours, or an InputError naming the wrong field."""
        config = super().checked(behaviors)
        if config.average == 1:
            raise wrong("average", 1, "less than 1, or nothing would ever enter the average")
        return config
