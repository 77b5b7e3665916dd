"""Where arrays live and which kernels work on them."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from . import kernels
from .errors import DeviceError


@dataclass(frozen=True)
class Device:
    """A place for arrays: its name, its array module and its kernels."""

    name: str
    xp: ModuleType
    kernels: kernels.Kernels


def device(name: str | int | Device = "cpu") -> Device:
    """The device called `name`: "cpu", "reference", or a GPU as 0, "0" or "cuda:0".

    Raises
    ------
    DeviceError
        When there is no such device here; the sentence says what is missing.
    """
    if isinstance(name, Device):
        return name
    text = str(name)
    if text.isdigit():
        text = f"cuda:{text}"
    try:
        return Device(name=text, xp=np, kernels=kernels.load(text))
    except kernels.NoSuchDevice as error:
        raise DeviceError(f"{error}.") from error


def set_threads(count: int | None) -> int:
    """Let the CPU kernels use `count` threads (None: all cores); returns the number in use.

    Results do not depend on it.
    """
    import numba

    if count is not None:
        if not 1 <= count <= numba.config.NUMBA_NUM_THREADS:
            raise DeviceError(
                f"threads must be from 1 to {numba.config.NUMBA_NUM_THREADS} here, not {count}."
            )
        numba.set_num_threads(count)
    return numba.get_num_threads()
