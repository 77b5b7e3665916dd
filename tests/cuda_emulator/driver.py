"""The emulator's backend: what launchers see, and how a launch reaches the C++ runtime."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from pkef_fast.kernels.cuda import Instance, Pointers, source_text

from . import build

PATIENCE = 120.0  # seconds a launch may take before it counts as one that never ends


class EmulatorError(Exception):
    """A kernel or a launch that is wrong; the message names kernel, block, thread and fault."""


@dataclass(frozen=True)
class Order:
    """In which order the blocks and threads of a launch run."""

    name: str
    kind: int  # of runtime.cpp: 0 ascending, 1 descending, 2 random
    seed: int = 0
    workers: int = 1


ASCENDING = Order("ascending", 0)
ORDERS = (
    ASCENDING,
    Order("descending", 1),
    Order("random 1", 2, seed=1),
    Order("random 2", 2, seed=2),
    Order("two threads", 2, seed=3, workers=2),
)


class EmulatorBackend:
    """A CUDA device that is a CPU.

    Every launch runs once in each of `orders`, from the same inputs, and all must give the same
    bits. `sanitizer` is "undefined" or "thread"; the latter needs a process with ThreadSanitizer
    in it (see `tsan.py`) and runs one order on one OS thread.
    """

    capability = 80

    def __init__(
        self,
        orders: tuple[Order, ...] = ORDERS,
        *,
        sanitizer: str | None = None,
        patience: float = PATIENCE,
        portable: bool = False,
    ):
        self.sanitizer = sanitizer or os.environ.get("PKEF_EMULATOR_SANITIZER", "undefined")
        self.orders = (ASCENDING,) if self.sanitizer == "thread" else orders
        self.patience = patience
        self.portable = portable
        self.xp = _Numpy()
        self.launches = 0
        self._modules: dict = {}
        self._recording: list | None = None

    def module(self, source: Path, instances: tuple[Instance, ...]):
        key = (source, instances)
        if key not in self._modules:
            if self._recording is not None:
                raise EmulatorError(f"{source.name} would be compiled inside of a capture.")
            self._modules[key] = _Module(self, Path(source), instances)
        return self._modules[key]

    def capture(self, function):
        if self._recording is not None:
            raise EmulatorError("a capture inside of a capture")
        self._recording = recorded = []
        try:
            kept = function()
        finally:
            self._recording = None

        def replay():
            for kernel, *launch in recorded:
                kernel.run(*launch)

        replay.kept = kept
        return replay

    def to_host(self, array) -> np.ndarray:
        if self._recording is not None:
            raise EmulatorError("a copy to the host inside of a capture")
        return np.array(array)

    def synchronize(self) -> None:
        if self._recording is not None:
            raise EmulatorError("a synchronisation inside of a capture")

    def active(self):
        return contextlib.nullcontext()

    def memory(self) -> None:
        return None

    def explain(self, error: Exception) -> None:
        return None


class _Numpy(ModuleType):
    """NumPy, but new memory is full of NaN and −1 instead of what happens to be there."""

    def __init__(self):
        super().__init__("numpy")

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def empty(shape, dtype=float, order="C"):
        return _poisoned(np.empty(shape, dtype, order))

    @staticmethod
    def empty_like(prototype, dtype=None):
        return _poisoned(np.empty_like(prototype, dtype))


def _poisoned(array):
    array.reshape(-1).view(np.uint8)[:] = 1 if array.dtype == bool else 0xFF
    return array


# ---- the runtime's structures: keep in step with runtime.cpp -------------------------------------


class _Parameter(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("constant", ctypes.c_int),
        ("size", ctypes.c_size_t),
        ("alignment", ctypes.c_size_t),
    )


class _Kernel(ctypes.Structure):
    _fields_ = (
        ("run", ctypes.c_void_p),
        ("parameters", ctypes.POINTER(_Parameter)),
        ("count", ctypes.c_int),
    )


class _Region(ctypes.Structure):
    _fields_ = (
        ("host", ctypes.c_void_p),
        ("bytes", ctypes.c_size_t),
        ("phase", ctypes.c_size_t),
        ("item", ctypes.c_size_t),
        ("writable", ctypes.c_int),
        ("unused", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("map", ctypes.c_void_p),
        ("map_bytes", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
    )


class _Patch(ctypes.Structure):
    _fields_ = (
        ("where", ctypes.c_void_p),
        ("region", ctypes.c_int),
        ("unused", ctypes.c_int),
        ("offset", ctypes.c_size_t),
    )


class _Launch(ctypes.Structure):
    _fields_ = (
        ("kernel", ctypes.POINTER(_Kernel)),
        ("name", ctypes.c_char_p),
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("dynamic_bytes", ctypes.c_size_t),
        ("arguments", ctypes.c_void_p),
        ("regions", ctypes.c_void_p),
        ("patches", ctypes.c_void_p),
        ("n_regions", ctypes.c_int),
        ("n_patches", ctypes.c_int),
        ("order", ctypes.c_int),
        ("seed", ctypes.c_uint),
        ("workers", ctypes.c_int),
        ("watched", ctypes.c_int),
        ("patience", ctypes.c_double),
        ("report", ctypes.c_char_p),
        ("report_bytes", ctypes.c_size_t),
        ("fault", ctypes.c_void_p),
    )


REPORT_BYTES = 4096
POINTER, POINTERS = 1, 2  # Parameter.kind; 0 is a value


class _Module:
    def __init__(self, backend: EmulatorBackend, source: Path, instances: tuple[Instance, ...]):
        library = build.kernel_library(source, instances, backend.sanitizer, backend.portable)
        table = (ctypes.POINTER(_Kernel) * len(instances)).in_dll(library, "emu_kernels")
        text = source_text(source)
        self._library = library  # keeps the functions loaded
        self._kernels = {
            one.name: _Function(backend, one, entry, text)
            for one, entry in zip(instances, table, strict=True)
        }

    def __call__(self, name: str):
        if name not in self._kernels:
            raise EmulatorError(f"{name} is no declared instance: {list(self._kernels)}")
        return self._kernels[name]


@dataclass
class _Piece:
    """Arrays that share memory, as one stretch of it."""

    start: int
    end: int
    phase: int
    item: int
    writable: bool
    names: list[str]
    arrays: list[np.ndarray]


class _Function:
    """One kernel: checks and marshals its arguments as the driver would."""

    _lock = threading.Lock()  # the runtime runs one launch at a time

    def __init__(self, backend, instance: Instance, entry, text: str):
        self.backend, self.instance, self.entry = backend, instance, entry
        kernel = entry.contents
        self.parameters = [kernel.parameters[i] for i in range(kernel.count)]
        function = re.match(r"[\w:]+", instance.name)[0].split("::")[-1]
        names = build.parameter_names(text, function)
        if len(names) != len(self.parameters):
            names = [f"argument {i}" for i in range(len(self.parameters))]
        self.names = names
        self._runtime = ctypes.CDLL(str(build.runtime(backend.portable)))

    def __call__(self, grid, block, args, shared_mem=0):
        try:
            self.instance.check_launch(grid, block, shared_mem)
        except ValueError as error:
            raise EmulatorError(str(error)) from error
        self._check(args)
        if 0 in grid:
            return
        if self.backend._recording is not None:
            self.backend._recording.append((self, grid, block, args, shared_mem))
        else:
            self.run(grid, block, args, shared_mem)

    def _check(self, args) -> None:
        kernel = self.instance.name
        if not isinstance(args, tuple):
            raise EmulatorError(f"{kernel}: its arguments are {type(args).__name__}, not a tuple")
        if len(args) != len(self.parameters):
            raise EmulatorError(
                f"{kernel}: {len(args)} arguments; it takes {len(self.parameters)} "
                f"({', '.join(self.names)})"
            )
        for name, parameter, value in zip(self.names, self.parameters, args, strict=True):
            wrong = _mismatch(parameter, value)
            if wrong:
                raise EmulatorError(f"{kernel}: {name} {wrong}")

    def run(self, grid, block, args, shared_mem) -> None:
        pieces = _pieces(self.names, self.parameters, args)
        before = [_bytes(piece).copy() for piece in pieces]
        first = None
        for order in self.backend.orders:
            after = [one.copy() for one in before]
            self._launch(grid, block, args, shared_mem, order, pieces, after)
            if first is None:
                first = after
            elif not self.instance.unordered:
                self._compare(pieces, first, after, order)
        for piece, result in zip(pieces, first, strict=True):
            if piece.writable:
                _bytes(piece)[:] = result
        self.backend.launches += 1

    def _launch(self, grid, block, args, shared_mem, order, pieces, memory) -> None:
        regions = (_Region * max(len(pieces), 1))()
        for region, piece, host in zip(regions, pieces, memory, strict=False):
            region.host, region.bytes = host.ctypes.data, len(host)
            region.phase, region.item = piece.phase, piece.item
            region.writable = piece.writable
            region.name = " = ".join(dict.fromkeys(piece.names)).encode()
        values = [ctypes.create_string_buffer(max(one.size, 8)) for one in self.parameters]
        patches = []
        for value, storage in zip(args, values, strict=True):
            address = ctypes.addressof(storage)
            if isinstance(value, np.generic):
                storage[: value.nbytes] = value.tobytes()
            else:
                arrays = value.arrays if isinstance(value, Pointers) else [value]
                for i, array in enumerate(arrays):
                    if array is None or array.size == 0:
                        continue  # a null pointer: nothing there may be touched
                    start = array.ctypes.data
                    number = next(
                        j for j, piece in enumerate(pieces) if piece.start <= start < piece.end
                    )
                    offset = start - pieces[number].start
                    patches.append(_Patch(address + 8 * i, number, 0, offset))
        table = (_Patch * max(len(patches), 1))(*patches)
        pointers = (ctypes.c_void_p * max(len(values), 1))(*map(ctypes.addressof, values))
        report = ctypes.create_string_buffer(REPORT_BYTES)
        launch = _Launch(
            kernel=self.entry,
            name=self.instance.name.encode(),
            grid=(*grid, 1, 1)[:3],
            block=(*block, 1, 1)[:3],
            dynamic_bytes=shared_mem,
            arguments=ctypes.addressof(pointers),
            regions=ctypes.addressof(regions),
            patches=ctypes.addressof(table),
            n_regions=len(pieces),
            n_patches=len(patches),
            order=order.kind,
            seed=order.seed,
            workers=order.workers,
            watched=self.backend.sanitizer == "thread",
            patience=self.backend.patience,
            report=ctypes.cast(report, ctypes.c_char_p),
            report_bytes=REPORT_BYTES,
        )
        with self._lock:
            self._runtime.emu_launch(ctypes.byref(launch))
        if report.value:
            where = _line_of(launch.fault) if launch.fault else ""
            raise EmulatorError(f"{report.value.decode()}{where} [{order.name}]")
        if self.backend.sanitizer == "thread":
            from .tsan import new_race

            race = new_race()
            if race:
                sentence, address = race
                spans = ((r.data, r.data + r.bytes, r) for r in regions[: len(pieces)])
                hit = next((r for low, high, r in spans if low <= address < high), None)
                array = "shared memory"
                if hit:
                    array = f"{hit.name.decode()}[{(address - hit.data) // hit.item}]"
                raise EmulatorError(f"{self.instance.name}: data race on {array}: {sentence}")

    def _compare(self, pieces, first, after, order) -> None:
        for piece, a, b in zip(pieces, first, after, strict=True):
            different = np.flatnonzero(a != b)
            if len(different):
                name, array = piece.names[0], piece.arrays[0]
                index = different[0] // array.itemsize
                here = slice(index * array.itemsize, (index + 1) * array.itemsize)
                seen = [one[here].view(array.dtype) for one in (a, b)]
                shown = [one[0] if len(one) else "?" for one in seen]
                raise EmulatorError(
                    f"{self.instance.name}: the result depends on the order of threads: "
                    f"{name}[{index}] is {shown[0]} {self.backend.orders[0].name} and {shown[1]} "
                    f"{order.name}: a barrier is missing, or threads race"
                )


def _mismatch(parameter: _Parameter, value) -> str | None:
    """What is wrong with `value` for a parameter, or None."""
    wanted = parameter.type.decode()
    if parameter.kind == POINTERS:
        if not isinstance(value, Pointers):
            return f"is {_kind(value)}; wanted Pointers"
        wrong = (_wrong_array(parameter, wanted, one) for one in value.arrays)
        return next((f"holds one that {one}" for one in wrong if one), None)
    if parameter.kind == POINTER:
        if value is None:
            return None
        if not isinstance(value, np.ndarray):
            return f"is {_kind(value)}; wanted an array of {wanted}"
        return _wrong_array(parameter, wanted, value)
    if not isinstance(value, np.generic) or value.dtype.name != wanted:
        return f"is {_kind(value)}; wanted a NumPy scalar of type {wanted}"
    return None


def _wrong_array(parameter: _Parameter, wanted: str, array) -> str | None:
    if wanted not in ("any", array.dtype.name):
        return f"is {_kind(array)}; wanted an array of {wanted}"
    if not array.flags.c_contiguous:
        return "is an array that is not in C order"
    if not parameter.constant and not array.flags.writeable:
        return "is a read-only array, and the parameter is not const"
    return None


def _kind(value) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype.name}"
    if isinstance(value, np.generic):
        return f"a NumPy scalar of type {value.dtype.name}"
    return f"a Python {type(value).__name__}" if value is not None else "None"


def _pieces(names, parameters, args) -> list[_Piece]:
    """Memory of all arrays among `args`; those that overlap are one piece."""
    found = []
    for name, parameter, value in zip(names, parameters, args, strict=True):
        arrays = value.arrays if isinstance(value, Pointers) else [value]
        for i, array in enumerate(arrays):
            if not isinstance(array, np.ndarray) or array.size == 0:
                continue
            start = array.ctypes.data
            owner = array
            while isinstance(owner.base, np.ndarray):
                owner = owner.base
            found.append(
                _Piece(
                    start=start,
                    end=start + array.nbytes,
                    phase=(start - owner.ctypes.data) % 256,
                    item=array.itemsize,
                    writable=not parameter.constant,
                    names=[f"{name}.at[{i}]" if isinstance(value, Pointers) else name],
                    arrays=[array],
                )
            )
    merged: list[_Piece] = []
    for piece in sorted(found, key=lambda one: (one.start, one.end)):
        if merged and piece.start < merged[-1].end:
            last = merged[-1]
            last.end = max(last.end, piece.end)
            last.writable |= piece.writable
            last.names += piece.names
            last.arrays += piece.arrays
        else:
            merged.append(piece)
    return merged


def _bytes(piece: _Piece) -> np.ndarray:
    """A piece's memory on the host."""
    buffer = (ctypes.c_uint8 * (piece.end - piece.start)).from_address(piece.start)
    return np.ctypeslib.as_array(buffer)


def _line_of(address: int) -> str:
    """at file:line` of machine code, from its debug information."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span, *_, path = line.split()
        low, high = (int(word, 16) for word in span.split("-"))
        if low <= address < high and path.endswith(".so"):
            starts = [
                int(other.split("-")[0], 16)
                for other in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
                if other.endswith(path)
            ]
            tool = ["addr2line", "-e", path, hex(address - min(starts))]
            try:
                found = subprocess.run(tool, capture_output=True, text=True, check=True)
            except (OSError, subprocess.CalledProcessError):
                return ""
            where = found.stdout.split(" ")[0].strip()
            return "" if where.startswith("?") else f" at {Path(where).name}"
    return ""
