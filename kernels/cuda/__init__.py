"""What CUDA launchers see of a device: one backend, real (CuPy) or emulated (tests/cuda_emulator).

An operation's CUDA form is `kernels/<operation>/<operation>.cu` and its launcher `cuda.py`:

    SOURCE = Path(__file__).with_name("bpr.cu")
    INSTANCES = (                                 # every instance that may ever be launched
        Instance("pairs<float>", threads=256),
        Instance("pairs<double>", threads=256, shared=4096, registers=96),
    )

    class Form(Launchers):                        # one object a device: kernels.load makes it
        __all__ = ["bpr"]
        source, instances = SOURCE, INSTANCES

        def bpr(self, scores, reduction="mean"):  # names and parameters as in reference.py
            n = len(scores) // 2
            loss, d_scores = self.xp.empty((), np.float64), self.xp.empty_like(scores)
            kernel = self.kernel(f"pairs<{C_TYPES[scores.dtype]}>")
            kernel((ceil_div(n, 256),), (256,), (scores, loss, d_scores, np.int32(n)))
            return loss, d_scores

`INSTANCES` is what the compile gate compiles and bounds, so it lists names exactly as the launcher
spells them. A launch is `kernel(grid, block, args, shared_mem=0)`, grid and block tuples of one
to three integers, and must keep to what its instance declares:

    threads     product of the block's sizes, at most (write the same into __launch_bounds__)
    shared      bytes of dynamic shared memory, at most
    registers   a thread may use at most so many (checked by the compile gate)
    unordered   its results may depend on the order of threads (integer atomics that hand out
                places); a later launch makes them unique. Else the emulator compares all orders.

An argument is one of
    an array of the backend (C order)       → T* or const T*; T must be the array's own type
    None                                    → a null pointer
    np.int32(…), np.float32(…), …           → a value of exactly that type; Python numbers are
                                              refused, since CuPy would pass them with 64 bits
    Pointers(arrays)                        → Pointers<T> of common.cuh, by value: up to
                                              MAX_POINTERS arrays of one type, `tables.at[k]`;
                                              declare `const __grid_constant__ Pointers<T> tables`,
                                              or an index known only at run time copies it to local
                                              memory
A grid with a zero in it launches nothing. Launches go to the current device and stream, in order.

A source is plain CUDA C++17 and includes nothing but this package's own headers, as by the line
`#include "../cuda/common.cuh"`; `source_text` pastes them in, because CuPy's cache of compiled code
does not look at included files, and system headers are missing where NVRTC runs.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

FOLDER = Path(__file__).parent
MAX_POINTERS = 16  # of common.cuh: behaviours, or tables, that one launch can take

# What CuPy passes to NVRTC: the first from here, the others by itself.
OPTIONS = ("-std=c++17",)
CUPY_OPTIONS = ("-ftz=true", "--device-as-default-execution-space")

C_TYPES = {
    np.dtype(numpy_name): c_name
    for numpy_name, c_name in {
        "float32": "float",
        "float64": "double",
        "int8": "signed char",
        "uint8": "unsigned char",
        "int16": "short",
        "uint16": "unsigned short",
        "int32": "int",
        "uint32": "unsigned int",
        "int64": "long long",
        "uint64": "unsigned long long",
        "bool": "bool",
    }.items()
}


class Unsupported(ValueError):
    """What CUDA's form of an operation, or an option of it, cannot do; a whole sentence."""


@dataclass(frozen=True)
class Instance:
    """A `__global__` function or template instance, and the most that a launch of it may take."""

    name: str
    threads: int
    shared: int = 0
    registers: int = 128
    unordered: bool = False

    def check_launch(self, grid: tuple, block: tuple, shared_mem: int) -> None:
        """ValueError for a launch outside of CUDA's limits or of what is declared."""
        if not 1 <= len(grid) <= 3 or not 1 <= len(block) <= 3:
            raise ValueError(f"{self.name}: grid {grid} and block {block} need one to three sizes.")
        threads = 1
        for size, limit in zip(block, (1024, 1024, 64), strict=False):
            if not 1 <= size <= limit:
                raise ValueError(f"{self.name}: block {block} exceeds {(1024, 1024, 64)}.")
            threads *= size
        if threads > self.threads:
            raise ValueError(f"{self.name}: block {block} exceeds its {self.threads} threads.")
        for size, limit in zip(grid, (2**31 - 1, 65535, 65535), strict=False):
            if not 0 <= size <= limit:
                raise ValueError(f"{self.name}: grid {grid} exceeds {(2**31 - 1, 65535, 65535)}.")
        if not 0 <= shared_mem <= self.shared:
            raise ValueError(
                f"{self.name}: {shared_mem} bytes of shared memory; it declares {self.shared}."
            )


@dataclass(frozen=True)
class Pointers:
    """Arrays of one type whose addresses go to a kernel by value, as `Pointers<T>`."""

    arrays: tuple

    def __init__(self, arrays):
        arrays = tuple(arrays)
        if not 1 <= len(arrays) <= MAX_POINTERS:
            raise ValueError(f"Pointers takes 1 to {MAX_POINTERS} arrays, not {len(arrays)}.")
        if len({array.dtype for array in arrays}) > 1:
            raise TypeError(f"Pointers takes arrays of one type, not {[a.dtype for a in arrays]}.")
        object.__setattr__(self, "arrays", arrays)


class Kernel(Protocol):
    """One function of a module, ready to launch."""

    def __call__(self, grid: tuple, block: tuple, args: tuple, shared_mem: int = 0) -> None: ...


class Backend(Protocol):
    """A device as launchers see it."""

    xp: ModuleType  # cupy or numpy
    capability: int  # compute capability, 80 for 8.0

    def module(self, source: Path, instances: tuple[Instance, ...]) -> Any:
        """A callable name → Kernel; compiled once, kept by the backend."""

    def capture(self, function: Any) -> Any:
        """Record the launches of `function()` without running them; returns a `replay()`.

        Call `function` once by itself before: compiling is not allowed in a capture. Only launches
        and array operations of the device are recorded; what the host computes in between happens
        once, at the capture. Arrays allocated inside live as long as the replay.
        """

    def to_host(self, array: Any) -> np.ndarray:
        """A NumPy copy; waits for the device."""

    def synchronize(self) -> None:
        """Wait until all launches are done; raises what went wrong in them."""

    def active(self) -> AbstractContextManager:
        """Make it the device that array operations and launches go to."""

    def memory(self) -> tuple[int, int] | None:
        """(free, all) bytes of the device's memory; None where that is no limit."""

    def explain(self, error: Exception) -> str | None:
        """What a device's error means for the user, as the end of a sentence; None: not its."""


class Launchers:
    """Base of an operation's CUDA form: its functions launch kernels on one backend."""

    source: Path
    instances: tuple[Instance, ...]

    def __init__(self, backend: Backend):
        self.backend = backend
        self.xp = backend.xp

    def compile(self) -> None:
        """Compile all instances, or find them compiled."""
        self.backend.module(self.source, self.instances)

    def kernel(self, name: str) -> Kernel:
        """The instance `name` of this operation's source, spelt as in its `instances`."""
        return self.backend.module(self.source, self.instances)(name)


def launchers() -> dict[str, ModuleType]:
    """The launcher module `cuda.py` of every operation that has one."""
    room = importlib.import_module("..", __name__)
    return {
        operation: importlib.import_module(f"..{operation}.cuda", __name__)
        for operation in room.OPERATIONS
        if (FOLDER.parent / operation / "cuda.py").exists()
    }


def forms(backend: Backend) -> dict[str, Launchers]:
    """Every operation's CUDA form on `backend`."""
    return {operation: module.Form(backend) for operation, module in launchers().items()}


def ceil_div(a: int, b: int) -> int:
    """⌈a / b⌉."""
    return -(-a // b)


def column_sums(form: Launchers, x: Any, out: Any, threads: int, pieces: int = 1) -> Any:
    """Sums over the first axis of x into `out`, those of each piece of rows apart; returns `out`.

    By the kernel of common.cuh; the form lists `column_sums<T, threads>` among its instances.
    """
    columns = out.size // pieces
    form.kernel(f"column_sums<{C_TYPES[x.dtype]}, {threads}>")(
        (ceil_div(columns, 32), pieces),
        (threads,),
        (x, out, np.int32(len(x)), np.int32(columns)),
    )
    return out


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?P<what>"(?P<path>[^"]+)"|\S.*)$')


def source_text(source: Path) -> str:
    """The text of a .cu file with its own includes pasted in, each once, with #line marks."""
    return "\n".join(_pasted(Path(source).resolve(), set())) + "\n"


def _pasted(path: Path, seen: set[Path]) -> Iterator[str]:
    seen.add(path)
    yield f'#line 1 "{path.name}"'
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = _INCLUDE.match(line)
        if match is None:
            yield line
            continue
        if match["path"] is None:
            raise ValueError(f"{path.name}:{number}: {match['what']} is no file of this package.")
        other = (path.parent / match["path"]).resolve()
        if other not in seen:
            yield from _pasted(other, seen)
            yield f'#line {number + 1} "{path.name}"'
        else:
            yield ""
