"""Models by name, a file each. All that a recommender asks of one is in `Model`.

`pkef` is made of the streams (`pkf`) and the prediction heads (`heads`); `graph_rank` ranks by the
graphs alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..config.fields import Fields
from ..config.space import Space
from ..data.dataset import Array, Dataset
from ..device import Device
from ..errors import InputError, did_you_mean
from ..evaluate.rankers import Ranker
from .graph_rank import GraphRank
from .pkef.model import Pkef


class Model(Protocol):
    """What every model has.

    Attributes
    ----------
    Config : type
        Its choices; a `Fields`.
    presets : tuple of str
        Named configs.
    trained : bool
        Whether steps of a `Trainer` make it; else it is ready when constructed.
    """

    Config: type[Fields]
    presets: tuple[str, ...]
    trained: bool
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


MODELS: dict[str, type[Model]] = {"pkef": Pkef, "graph-rank": GraphRank}


def model_class(name: str) -> type[Model]:
    """The model called `name`; InputError for an unknown one."""
    if name not in MODELS:
        raise InputError(f"model {name!r} is unknown{did_you_mean(name, MODELS)}")
    return MODELS[name]


__all__ = ["MODELS", "GraphRank", "Model", "Pkef", "model_class"]
