"""The backend that runs on a GPU, by CuPy. Importing this module needs no CuPy; using it does."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from pathlib import Path

import numpy as np

from . import C_TYPES, MAX_POINTERS, OPTIONS, Instance, Pointers, source_text

# Every architecture has 48 KiB of shared memory a block; more must be asked for.
SHARED_WITHOUT_ASKING = 48 * 1024
_POINTERS = np.dtype([("at", np.uint64, (MAX_POINTERS,))])
# A null pointer by value. For None some versions of CuPy leave the argument out of the launch, and
# the driver then reads from address 0.
_NULL = np.uint64(0)


@functools.cache
def import_cupy():
    """CuPy; with its cache in a temporary folder where the home cannot be written."""
    if "CUPY_CACHE_DIR" not in os.environ:
        try:
            folder = Path.home() / ".cupy" / "kernel_cache"
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except (OSError, RuntimeError):  # no home, or none that can be written: CuPy would raise
            os.environ["CUPY_CACHE_DIR"] = tempfile.mkdtemp(prefix="cupy-")
    import cupy

    return cupy


OLDEST = 75  # compute capability: NVRTC 13 starts there, and the kernels are compiled from there on


def why_not(index: int) -> str | None:
    """What keeps GPU `index` from being used, or None."""
    try:
        cuda = import_cupy().cuda
        count = cuda.runtime.getDeviceCount()
        found = cuda.Device(index).compute_capability if index < count else None
    except Exception as error:  # no driver, one too old, a broken installation: CuPy's own words
        return f"CuPy finds no CUDA driver or no GPU ({_first_line(error)})"
    if found is None:
        return f"the GPUs here have the numbers 0 to {count - 1}" if count else "there is no GPU"
    if int(found) < OLDEST:
        return (
            f"its compute capability is {found[:-1]}.{found[-1]}; wanted at least "
            f"{OLDEST // 10}.{OLDEST % 10} (Turing)"
        )
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


class CupyBackend:
    """One GPU. Launches go to CuPy's current stream of that device."""

    def __init__(self, index: int = 0):
        self.xp = import_cupy()
        self.device = self.xp.cuda.Device(index)
        self.capability = int(self.device.compute_capability)
        self._modules: dict = {}
        # Stream and memory of the captured graphs. A graph keeps addresses: a pool of their own
        # keeps them from anybody else. Graphs run one after the other, so they share it, and what
        # one leaves free another may use; a pool gives a block again only to the stream it was
        # for, so they share that too.
        self._capturing: tuple | None = None

    def module(self, source: Path, instances: tuple[Instance, ...]):
        key = (source, instances)
        if key not in self._modules:
            self._modules[key] = _Module(self, source, instances)
        return self._modules[key]

    def capture(self, function):
        """A CUDA graph of what `function()` launches."""
        cuda = self.xp.cuda
        self.xp.get_default_memory_pool().free_all_blocks()
        with self.device:
            if self._capturing is None:
                self._capturing = cuda.Stream(non_blocking=True), cuda.MemoryPool()
            stream, pool = self._capturing
            with cuda.using_allocator(pool.malloc), stream:
                # Relaxed, CuPy's default: the pool may ask the driver for memory.
                stream.begin_capture()
                try:
                    kept = function()
                except BaseException:
                    with contextlib.suppress(Exception):  # the capture may be broken as well
                        stream.end_capture()
                    raise
                graph = stream.end_capture()

        def replay():
            with self.device:
                graph.launch(cuda.get_current_stream())

        replay.kept = kept
        return replay

    def to_host(self, array) -> np.ndarray:
        return self.xp.asnumpy(array)

    def synchronize(self) -> None:
        self.device.synchronize()

    def active(self):
        return self.device

    def memory(self) -> tuple[int, int]:
        free, total = self.device.mem_info
        # What CuPy's pool holds and does not use is there for its next array.
        return free + self.xp.get_default_memory_pool().free_bytes(), total

    def explain(self, error: Exception) -> str | None:
        cuda = self.xp.cuda
        if isinstance(error, cuda.memory.OutOfMemoryError):
            return "its memory is full; a smaller d, fewer layers or a smaller batch needs less"
        if isinstance(error, cuda.compiler.CompileException):
            return f"its kernels do not compile ({_first_line(error)})"
        if isinstance(error, RuntimeError) and "libnvrtc" in str(error):
            return (
                "NVIDIA's compiler NVRTC is not installed (pip install 'pkef-fast[cuda12]' or "
                "'pkef-fast[cuda13]' brings it)"
            )
        broken = (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError)
        if isinstance(error, broken):
            return f"CUDA lost it or a kernel failed ({_first_line(error)})"
        return None


class _Module:
    def __init__(self, backend: CupyBackend, source: Path, instances: tuple[Instance, ...]):
        self._backend = backend
        self._instances = {one.name: one for one in instances}
        self._module = backend.xp.RawModule(
            code=source_text(source),
            options=OPTIONS,
            name_expressions=list(self._instances),
        )
        self._kernels: dict[str, functools.partial] = {}

    def __call__(self, name: str):
        if name not in self._kernels:
            with self._backend.device:
                function = self._module.get_function(name)
                instance = self._instances[name]
                if instance.shared > SHARED_WITHOUT_ASKING:
                    function.max_dynamic_shared_size_bytes = instance.shared
            self._kernels[name] = functools.partial(self._launch, function, instance)
        return self._kernels[name]

    def _launch(self, function, instance, grid, block, args, shared_mem=0):
        instance.check_launch(grid, block, shared_mem)
        if 0 in grid:
            return  # CuPy would launch one block
        array_type = self._backend.xp.ndarray
        function(
            grid,
            block,
            tuple(_argument(one, instance.name, i, array_type) for i, one in enumerate(args)),
            shared_mem=shared_mem,
        )


def _argument(value, name, index, array_type):
    """What CuPy passes for `value`; TypeError for what it would pass wrongly without a word."""
    if isinstance(value, array_type):
        if not value.flags.c_contiguous:
            raise ValueError(f"{name}: argument {index} is an array that is not in C order.")
        return value
    if value is None:
        return _NULL
    if isinstance(value, np.generic) and value.dtype in C_TYPES:
        return value
    if isinstance(value, Pointers):
        table = np.zeros(1, _POINTERS)  # an array of one element goes by value
        table["at"][0, : len(value.arrays)] = [
            _argument(one, name, index, array_type).data.ptr for one in value.arrays
        ]
        return table
    raise TypeError(
        f"{name}: argument {index} is {type(value).__name__}; wanted an array of the device, a "
        "NumPy scalar such as np.int32, None or Pointers."
    )
