"""The kernels: one folder an operation, each with a contract, a reference and its fast forms.

In the order in which the data of a training step passes them:

    sample → propagate → pairs → pme → bpr → (adjoints, backwards) → adam → rank

What some models need besides:

    linear, gate    dense maps, softmax and mixtures: fusion schemes and heads
    normalise       rows scaled to length one: CRGCN, GNMR
    attention       memory slots and attention over behaviours: GNMR
    experts         gated mixtures: shared bottom, MMoE, PLE
    bce             labels in place of pairs: NeuMF, NMTR
    allpairs        the error over all pairs, without sampling: GHCF
    dropout         entries and edges left out at random: GHCF, MBGCN

The re-ranker's are `neighbours`, `candidates` and `reorder`, which have no CUDA form. An
operation's `__init__.py` is its contract, `reference.py` the NumPy truth, `cpu.py` the Numba form,
`cuda.py` with its `.cu` source the CUDA form; `cuda/` is what the CUDA forms share.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np

from . import threads
from .cuda import Backend, Unsupported, forms

__all__ = ["HOST_OPERATIONS", "OPERATIONS", "Kernels", "NoSuchDevice", "Unsupported", "load", "on"]

OPERATIONS = (
    "sample",
    "propagate",
    "pairs",
    "pme",
    "experts",
    "bpr",
    "bce",
    "allpairs",
    "dropout",
    "linear",
    "gate",
    "normalise",
    "attention",
    "adam",
    "rank",
)
HOST_OPERATIONS = ("neighbours", "candidates", "reorder")  # on NumPy's arrays only

threads.settle()  # before Numba is imported


class NoSuchDevice(ValueError):
    """A device name that is unknown, or a device this machine does not have."""


class _NotHere:
    """Stands for an operation that a device has no form of: any use says so."""

    def __init__(self, operation: str):
        self._operation = operation

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what copies and inspection ask of any object
            raise AttributeError(name)
        raise Unsupported(
            f"operation {self._operation!r} has no CUDA form; it works on NumPy's arrays, by the "
            "kernels of cpu or reference."
        )


@dataclass(frozen=True)
class Kernels:
    """All operations in one device's form, and the arrays that they work on.

    Every form has the same functions and parameters; those of HOST_OPERATIONS raise `Unsupported`
    on a CUDA device. `xp` is the array module; `backend` launches
    and copies on a CUDA device, and is None where arrays are NumPy's and calls are done at once.
    """

    device: str
    sample: Any
    propagate: Any
    pairs: Any
    pme: Any
    experts: Any
    bpr: Any
    bce: Any
    allpairs: Any
    dropout: Any
    linear: Any
    gate: Any
    normalise: Any
    attention: Any
    adam: Any
    rank: Any
    neighbours: Any = field(default_factory=partial(_NotHere, "neighbours"))
    candidates: Any = field(default_factory=partial(_NotHere, "candidates"))
    reorder: Any = field(default_factory=partial(_NotHere, "reorder"))
    xp: ModuleType = np
    backend: Backend | None = None

    def place(self, x: Any) -> Any:
        """`x` with its NumPy arrays on the device: an array, or a (named) tuple of anything."""
        if isinstance(x, np.ndarray):
            return self.xp.asarray(x)
        if isinstance(x, tuple):
            parts = [self.place(part) for part in x]
            return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
        return x

    def to_host(self, x: Any) -> np.ndarray:
        """A NumPy array of the device's array `x`."""
        return np.asarray(x) if self.backend is None else self.backend.to_host(x)


@cache
def load(device: str) -> Kernels:
    """The kernels of a device: "reference" (NumPy), "cpu" (Numba), "cuda:N"; else an error.

    Nothing falls back silently: a CUDA device raises where there is no driver, no GPU of that
    number, or one that is too old.
    """
    if device in ("reference", "cpu"):
        modules = {
            name: importlib.import_module(f".{name}.{device}", __name__)
            for name in (*OPERATIONS, *HOST_OPERATIONS)
        }
        return Kernels(device=device, **modules)
    kind, _, number = device.partition(":")
    if kind != "cuda" or not number.isdigit():
        raise NoSuchDevice(
            f"device {device!r} is unknown; use cpu, reference, auto, or a CUDA device as 0 or "
            "cuda:0"
        )
    missing = _why_not(int(number))
    if missing:
        raise NoSuchDevice(f"device {device!r} cannot be used: {missing}; use --device cpu")
    from .cuda.cupy_backend import CupyBackend

    return on(CupyBackend(int(number)), device)


def on(backend: Backend, device: str) -> Kernels:
    """The CUDA forms of all operations on `backend`, as the kernels of a device of this name."""
    return Kernels(device=device, xp=backend.xp, backend=backend, **forms(backend))


def _why_not(number: int) -> str | None:
    """What keeps GPU `number` from being used, or None."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed (pip install 'pkef-fast[cuda12]' or 'pkef-fast[cuda13]')"
    from .cuda.cupy_backend import why_not

    return why_not(number)
