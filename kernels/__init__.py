"""The kernels: one folder an operation, each with a contract, a reference and its fast forms.

In the order in which the data of a training step passes them:

    sample → propagate → pme → bpr → (adjoints, backwards) → adam → rank

`linear` and `gate` serve the fusion schemes and heads that need dense maps. An operation's
`__init__.py` is its contract, `reference.py` the NumPy truth, `cpu.py` the Numba form.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from types import ModuleType

OPERATIONS = ("sample", "propagate", "pme", "bpr", "linear", "gate", "adam", "rank")


class NoSuchDevice(ValueError):
    """A device name that is unknown, or a device this machine does not have."""


@dataclass(frozen=True)
class Kernels:
    """All operations in one device's form; every form has the same functions and parameters."""

    device: str
    sample: ModuleType
    propagate: ModuleType
    pme: ModuleType
    bpr: ModuleType
    linear: ModuleType
    gate: ModuleType
    adam: ModuleType
    rank: ModuleType


@cache
def load(device: str) -> Kernels:
    """The kernels of a device: "reference" (NumPy), "cpu" (Numba); an error for any other.

    Nothing falls back silently: a CUDA device raises until its kernels and a GPU are there.
    """
    form = {"reference": "reference", "cpu": "cpu"}.get(device)
    if form is None:
        raise NoSuchDevice(_why_not(device))
    modules = {name: importlib.import_module(f".{name}.{form}", __name__) for name in OPERATIONS}
    return Kernels(device=device, **modules)


def _why_not(device: str) -> str:
    if not device.startswith("cuda:"):
        return f"device {device!r} is unknown; use cpu, reference, or a CUDA device as 0 or cuda:0"
    if importlib.util.find_spec("cupy") is None:
        missing = "CuPy is not installed"
    else:
        import cupy

        if not cupy.cuda.is_available():
            missing = "CuPy finds no CUDA driver or no GPU"
        else:
            missing = "this version has no CUDA kernels yet"
    return f"device {device!r} cannot be used: {missing}; use --device cpu"
