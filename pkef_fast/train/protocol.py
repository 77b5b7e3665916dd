"""What a recommender asks of a model, and what the trainer asks of one that is trained by steps.

    sampler.batch(step) → model.losses(batch) → model.total(losses) → backward → Adam

A batch is whatever its model's sampler makes of it: triples, labels, users; nobody else looks into
it. A penalty on the rows of a batch is one of the losses; a penalty on whole tables is `decay`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from ..config.fields import Fields
from ..config.space import Space
from ..data.dataset import Array, Dataset
from ..device import Device
from ..evaluate.rankers import Ranker
from ..tape.autograd import Tensor
from .config import TrainConfig


class Shape(NamedTuple):
    """The size of a problem.

    `edges` are the train interactions of each behaviour. What a step works in counts `steps_held`
    times: a device that replays steps keeps theirs.
    """

    n_users: int
    n_items: int
    edges: Sequence[int]
    steps_held: int = 1


class About(NamedTuple):
    """Where a model comes from: its paper, the year of it, and what it reads of the data."""

    paper: str
    year: int
    reads: str


TARGET, ALL = "target", "all behaviours"  # what models read


class Model(Protocol):
    """What every model has.

    Attributes
    ----------
    about : About
    Config : type
        Its choices; a `Fields`.
    presets : tuple of str
        Named configs.
    trained : bool
        Whether steps of a `Trainer` make it (it is a `Trained`); else it is ready when constructed.
    select : {"last", "val"}
        How its epoch is chosen where the user does not say.
    """

    about: ClassVar[About]
    Config: ClassVar[type[Fields]]
    presets: ClassVar[tuple[str, ...]]
    trained: ClassVar[bool]
    select: ClassVar[str]
    config: Fields
    device: Device
    n_users: int
    n_items: int
    dtype: type

    def __init__(
        self,
        config: Fields,
        dataset: Dataset,
        device: Device,
        stored: Mapping[str, Array] | None = None,
    ) -> None: ...

    @staticmethod
    def default_preset(dataset_name: str) -> str:
        """The preset to take where none is named."""

    @staticmethod
    def preset(name: str, behaviors: Sequence[str]) -> Fields:
        """The config of a preset; InputError for an unknown name."""

    @staticmethod
    def space(behaviors: Sequence[str]) -> Space:
        """What a search may choose its config's fields from."""

    def stored(self) -> dict[str, Array]:
        """Arrays that make it again, together with config and data."""

    def ranker(self) -> Ranker:
        """Its ranking of all items for the target behaviour, as it is now."""


class Sampler(Protocol):
    """Makes the batches of a training run.

    A batch depends on the seed and the number of the step alone, so that a run can go on from any
    step. Epochs are counted from 0, and so are the steps of a run and of an epoch.
    """

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""

    def batch(self, step: int) -> Any:
        """The batch of this step of the run."""

    # For a device that records a step and replays it; see `replay`.

    def size(self, index: int) -> int:
        """What decides the shapes of the batch of step `index` of an epoch."""

    def begin_epoch(self, epoch: int) -> None:
        """Put what the batches of this epoch are made from into arrays on the device.

        They are the same arrays for every epoch.
        """

    def slots(self, clock: np.ndarray, size: int) -> Any:
        """The batch, of fixed shapes, of the step that `clock` (2,) uint32 counts on the device:
        its number in the epoch, and in the run."""


class Trained(Model, Protocol):
    """A model that a `Trainer` trains.

    Attributes
    ----------
    parameters : dict of name → Tensor
    ranking : dict of name → Tensor
        What ranks and is stored: the parameters, or their running average, kept by the trainer.
    """

    config: TrainConfig
    parameters: dict[str, Tensor]
    ranking: dict[str, Tensor]

    def sampler(self, dataset: Dataset) -> Sampler:
        """The batches that it learns from."""

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Float64 scalars by the names that the log has them under; none where it has no rows."""

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The loss whose gradient is taken."""

    def decay(self, name: str) -> float:
        """μ of the penalty μ·Σθ² on a whole parameter; 0: none."""

    def start_from(self, values: Mapping[str, Array]) -> None:
        """Let parameters of these names start from another model's values; see `start`."""

    @staticmethod
    def tiny(config: TrainConfig) -> TrainConfig:
        """The config with small tables and batches: its steps call the same kernels."""

    @staticmethod
    def bytes(config: TrainConfig, shape: Shape) -> int:
        """About how many bytes training needs on the device."""
