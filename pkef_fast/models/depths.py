"""Models whose layers differ by behaviour: config field `layers`, a number for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from ..config.fields import plain
from ..errors import InputError
from ..train.config import TrainConfig

Config = TypeVar("Config", bound=TrainConfig)


def one_depth_each(config: Config, behaviors: Sequence[str], default: tuple[int, ...]) -> Config:
    """The config with `layers` as it names them, or `default` where it names none.

    InputError unless there is one number for each behaviour.
    """
    layers = config.layers or default
    if len(layers) != len(behaviors):
        raise InputError(
            f"config field 'layers' has {len(layers)} values, {plain(layers)}; wanted one for each "
            f"of the {len(behaviors)} behaviours {', '.join(behaviors)}."
        )
    return dataclasses.replace(config, layers=layers)
