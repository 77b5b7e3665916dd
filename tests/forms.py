"""The forms of an operation that a test runs: NumPy, Numba, CUDA on the emulator, CUDA on a GPU.

    @pytest.mark.parametrize("kernels", forms("bpr"))
    def test_something(kernels): ...          # kernels.bpr(scores), arrays of NumPy in and out

The emulator's are marked `emulator`, the GPU's `gpu`, which is skipped with the reason where there
is no CuPy or no GPU.
"""

from __future__ import annotations

import functools
import importlib
from inspect import ismethod

import numpy as np
import pytest

from pkef_fast.device import Device, on

MARKS = {"emulator": pytest.mark.emulator, "gpu": pytest.mark.gpu, "cuda": pytest.mark.gpu}


@functools.cache
def emulator():
    """The emulator's backend of most tests: two orders of threads, since five cost more."""
    from cuda_emulator import ORDERS, EmulatorBackend

    return EmulatorBackend((ORDERS[0], ORDERS[2]))


@functools.cache
def gpu():
    """The GPU's backend; skips where there is none."""
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from pkef_fast.kernels.cuda.cupy_backend import CupyBackend, import_cupy

    if not import_cupy().cuda.is_available():
        pytest.skip("CuPy finds no CUDA driver or no GPU")
    return CupyBackend()


@functools.cache
def emulated(orders: int = 1) -> Device:
    """The device that is the emulator, in the first `orders` orders of threads."""
    from cuda_emulator import ORDERS, EmulatorBackend

    # NumPy's operations between the launches are not recorded there, so nothing is captured.
    return on(EmulatorBackend(ORDERS[:orders]), "emulator", capture=False)


class Lazy:
    """A CUDA form whose backend is made when a test first asks for a function."""

    def __init__(self, operation: str, backend):
        self._operation, self._backend = operation, backend

    @functools.cached_property
    def _form(self):
        module = importlib.import_module(f"pkef_fast.kernels.{self._operation}.cuda")
        return module.Form(self._backend())

    def __getattr__(self, name):
        return getattr(self._form, name)


class Hosted(Lazy):
    """A GPU's form that takes and gives arrays of NumPy; what it writes in place is copied back.

    `back` false: results stay on the device. What nobody reads may never have been written there,
    and to copy it is an error to NVIDIA's initcheck.
    """

    def __init__(self, operation: str, backend, back: bool = True):
        super().__init__(operation, backend)
        self._back = back

    def __getattr__(self, name):
        function = getattr(self._form, name)
        # What is no method works on the host, with NumPy's arrays.
        return functools.partial(self._call, function) if ismethod(function) else function

    def _call(self, function, *args, **kwargs):
        xp, placed = self._form.xp, {}

        def place(x):
            if isinstance(x, np.ndarray):
                if id(x) not in placed:  # one array given twice stays one
                    placed[id(x)] = (x, _placed(xp, x))
                return placed[id(x)][1]
            return rebuilt(x, place)

        result = function(*map(place, args), **{k: place(v) for k, v in kwargs.items()})
        if not self._back:
            return result
        for host, device in placed.values():
            if host.flags.writeable:
                host[...] = xp.asnumpy(device)

        def back(x):
            return xp.asnumpy(x) if isinstance(x, xp.ndarray) else rebuilt(x, back)

        return back(result)


def _placed(xp, x):
    """`x` on the device, in C order only if it was before."""
    if x.flags.c_contiguous:
        return xp.asarray(x)
    return xp.asarray(np.repeat(x, 2, axis=-1))[..., ::2]


def rebuilt(x, change):
    """A tuple, named tuple or list with each entry changed; anything else as it is."""
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(change, x))
    return type(x)(map(change, x)) if isinstance(x, (tuple, list)) else x


def forms(operation: str, *names: str) -> list:
    """Parameters for `names` of reference, cpu, emulator, gpu (default: all)."""
    names = names or ("reference", "cpu", "emulator", "gpu")
    result = []
    for name in names:
        if name == "emulator":
            form = Lazy(operation, emulator)
        elif name == "gpu":
            form = Hosted(operation, gpu)
        else:
            form = importlib.import_module(f"pkef_fast.kernels.{operation}.{name}")
        result.append(pytest.param(form, id=name, marks=MARKS.get(name, ())))
    return result
