"""Where arrays live and which kernels work on them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from . import kernels
from .errors import DeviceError
from .kernels import threads

GIB = 2**30
TF32_FROM = 80  # compute capability


@dataclass(frozen=True)
class Device:
    """A place for arrays: its name, its array module and its kernels.

    Attributes
    ----------
    capture : bool
        Whether a step is recorded once and replayed (a CUDA graph), or launched call by call.
    """

    name: str
    xp: ModuleType
    kernels: kernels.Kernels
    capture: bool = False

    @property
    def host(self) -> Device:
        """Where NumPy's arrays are worked on: this device, or the CPU beside a GPU."""
        return self if self.kernels.backend is None else device("cpu")

    @property
    def fixed_shapes(self) -> bool:
        """Whether steps work on arrays of fixed shape, so that the host need not wait for sizes."""
        return self.kernels.backend is not None

    @property
    def cares_for_order(self) -> bool:
        """Whether the order of nodes is worth a thought: caches of a core, not a whole GPU's."""
        return self.kernels.backend is None

    @property
    def steps_held(self) -> int:
        """Steps whose memory is held at a time: a recorded one, and one that runs by itself."""
        return 2 if self.capture else 1

    def place(self, x: Any) -> Any:
        """`x` with its NumPy arrays on the device: an array, or a (named) tuple of anything."""
        return self.kernels.place(x)

    def to_host(self, array: Any) -> np.ndarray:
        """A NumPy array of a device's; waits for it."""
        return self.kernels.to_host(array)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Work on this device; what its driver reports becomes a DeviceError of one sentence."""
        backend = self.kernels.backend
        if backend is None:
            yield
            return
        with backend.active():
            try:
                yield
            except kernels.Unsupported as error:
                raise DeviceError(f"device {self.name!r}: {error}") from error
            except Exception as error:
                sentence = backend.explain(error)
                if sentence is None:
                    raise
                raise DeviceError(f"device {self.name!r} cannot go on: {sentence}.") from error

    def check_storage(self, storage: str) -> str:
        """How tables are to be stored for neighbour sums; DeviceError if this device cannot."""
        if storage == "float16" and self.kernels.backend is None:
            raise DeviceError(
                f"device {self.name!r} stores tables exactly or in bfloat16, not in float16; "
                "wanted precision bf16-gather, or a GPU."
            )
        return storage

    def expect_memory(self, wanted: int, what: str) -> None:
        """DeviceError unless about `wanted` bytes are free; `what` names what needs them."""
        memory = self.kernels.backend.memory() if self.kernels.backend else None
        if memory is not None and wanted > memory[0]:
            raise DeviceError(
                f"device {self.name!r} has {memory[0] / GIB:.1f} of {memory[1] / GIB:.1f} GiB "
                f"free, and {what} needs about {wanted / GIB:.1f} GiB; choose a smaller d or fewer "
                "layers."
            )

    @property
    def compiled_ahead(self) -> tuple[str, ...]:
        """Operations whose kernels `compile` compiles; the others' are when first called."""
        return kernels.OPERATIONS if self.kernels.backend is not None else ()

    def compile(self, operation: str) -> None:
        """Compile an operation's kernels, or find them compiled."""
        getattr(self.kernels, operation).compile()

    def replayed(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """A callable that does what `function()` does, recorded at its second call if `capture`.

        The first call runs `function` as it is, for compiling is not allowed while recording.
        """
        if not self.capture:
            return function
        state: dict[str, Callable] = {}

        def run():
            if "replay" in state:
                state["replay"]()
            elif "ran" in state:
                state["replay"] = self.kernels.backend.capture(function)
                state["replay"]()
            else:
                state["ran"] = function
                function()

        return run


def device(
    name: str | int | Device = "cpu",
    *,
    tensor_cores: bool = False,
    capture: bool = True,
) -> Device:
    """The device called `name`: "cpu", "reference", "auto", or a GPU as 0, "0" or "cuda:0".

    Parameters
    ----------
    name : str, int or Device
        "auto" is the first GPU if there is a usable one, else the CPU.
    tensor_cores : bool
        Let a GPU round the operands of dense products to TF32; needs compute capability 8.0.
    capture : bool
        Let a GPU record a training step once and replay it; False launches each kernel by itself.

    Raises
    ------
    DeviceError
        When there is no such device here; the sentence says what is missing.
    """
    if isinstance(name, Device):
        return name
    text = str(name)
    if text.isdecimal():
        text = f"cuda:{text}"
    if text == "auto":
        try:
            return device("cuda:0", tensor_cores=tensor_cores, capture=capture)
        except DeviceError:
            text = "cpu"
    try:
        forms = kernels.load(text)
    except kernels.NoSuchDevice as error:
        raise DeviceError(f"{error}.") from error
    if forms.backend is None:
        if tensor_cores and str(name) != "auto":
            raise DeviceError(f"device {text!r} has no tensor_cores to choose; CUDA has.")
        return Device(name=text, xp=np, kernels=forms)
    return on(forms.backend, text, tensor_cores=tensor_cores, capture=capture)


def on_its_device(method: Callable) -> Callable:
    """A method of something that has a device, which works there; see `Device.active`."""

    @functools.wraps(method)
    def wrapped(self, *args, **kwargs):
        with self.device.active():
            return method(self, *args, **kwargs)

    return wrapped


def on(
    backend: Any,
    name: str,
    *,
    tensor_cores: bool = False,
    capture: bool = True,
) -> Device:
    """A device of a backend (`kernels.cuda.Backend`), with options of its own."""
    if tensor_cores and backend.capability < TF32_FROM:
        raise DeviceError(
            f"device {name!r} has no tensor cores for TF32; they come with compute capability 8.0."
        )
    forms = kernels.on(backend, name)
    for linear in (forms.linear, forms.propagate.linear):
        linear.tensor_cores = tensor_cores
    return Device(name=name, xp=backend.xp, kernels=forms, capture=capture)


def set_threads(count: int | None) -> int:
    """Let the CPU kernels use `count` threads; returns the number in use.

    None is as many as this process has cores: its affinity and its control group's quota decide,
    or the user's NUMBA_NUM_THREADS. Results do not depend on it.
    """
    import numba

    most = numba.config.NUMBA_NUM_THREADS
    if count is None:
        count = most if "NUMBA_NUM_THREADS" in os.environ else min(threads.cores(), most)
    if not 1 <= count <= most:
        raise DeviceError(f"threads must be from 1 to {most} here, not {count}.")
    numba.set_num_threads(count)
    return count
