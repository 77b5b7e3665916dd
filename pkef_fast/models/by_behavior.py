"""Config fields with a value for each behaviour: depths, coefficients."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from ..config.fields import plain
from ..errors import InputError
from ..train.config import TrainConfig

Config = TypeVar("Config", bound=TrainConfig)


def one_each(
    config: Config, name: str, behaviors: Sequence[str], default: tuple[float, ...] = ()
) -> Config:
    """The config with the values of field `name`, or `default` where it has none.

    InputError unless there is one for each behaviour.
    """
    values = getattr(config, name) or default
    if len(values) != len(behaviors):
        raise InputError(
            f"config field {name!r} has {len(values)} values, {plain(values)}; wanted one for each "
            f"of the {len(behaviors)} behaviours {', '.join(behaviors)}."
        )
    return dataclasses.replace(config, **{name: values})
