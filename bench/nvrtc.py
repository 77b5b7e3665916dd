"""The compile gate: CUDA sources to machine code of every architecture, without a GPU.

NVIDIA's compiler comes as Python wheels (extra `cuda-compile`), one of CUDA 12, one of CUDA 13. It
is called by ctypes: CuPy's own wrapper asks the driver first and fails where there is none. What
the assembler says of each kernel (registers, spills, stack, shared memory) becomes a row; limits of
each architecture turn it into the occupancy. Tests import it from here too.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.metadata
import json
import math
import multiprocessing
import os
import re
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from pkef_fast.kernels.cuda import CUPY_OPTIONS, OPTIONS, Instance, source_text

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
WHEELS = {12: "nvidia-cuda-nvrtc-cu12", 13: "nvidia-cuda-nvrtc"}

# (CUDA version, architecture) → why that compiler need not know it. Both know all of them today.
NOT_KNOWN: dict[tuple[int, int], str] = {}


@dataclass(frozen=True)
class Limits:
    """What one multiprocessor holds. CUDA C++ Programming Guide, "Technical Specifications"."""

    warps: int
    blocks: int
    shared: int  # bytes, of which each block takes `reserved` for the system
    reserved: int


LIMITS = {
    75: Limits(32, 16, 64 * 1024, 0),
    80: Limits(64, 32, 164 * 1024, 1024),
    86: Limits(48, 16, 100 * 1024, 1024),
    89: Limits(48, 24, 100 * 1024, 1024),
    90: Limits(64, 32, 228 * 1024, 1024),
    100: Limits(64, 32, 228 * 1024, 1024),
    120: Limits(48, 24, 100 * 1024, 1024),
}
REGISTERS = 64 * 1024  # of a multiprocessor, in four parts, handed out by 256 to a warp
REGISTER_PARTS, REGISTER_UNIT = 4, 256
SHARED_LIMIT = 64 * 1024  # the least that any of these lets a block have, static and dynamic
STATIC_SHARED_LIMIT = 48 * 1024


class CompileError(Exception):
    """A source that does not compile; the message is the compiler's."""


@dataclass(frozen=True)
class Usage:
    """What one kernel takes on one architecture, as one compiler makes it."""

    name: str
    architecture: int
    cuda: str  # the compiler's version
    registers: int
    stack: int  # bytes a thread
    spill_stores: int  # bytes
    spill_loads: int
    shared: int  # bytes of static shared memory a block
    max_threads: int  # of __launch_bounds__; 0 without

    def problems(self, instance: Instance) -> list[str]:
        """Sentences about what must not be."""
        where = f"{self.name} on sm_{self.architecture} (CUDA {self.cuda})"
        shared, found = self.shared + instance.shared, []
        if self.spill_stores or self.spill_loads:
            found.append(f"{where} spills {self.spill_stores} + {self.spill_loads} bytes.")
        if self.registers > instance.registers:
            found.append(f"{where} takes {self.registers} registers; {instance.registers} allowed.")
        if 0 < self.max_threads < instance.threads:
            found.append(
                f"{where} is launched with up to {instance.threads} threads; "
                f"its __launch_bounds__ allow {self.max_threads}."
            )
        if self.shared > STATIC_SHARED_LIMIT or shared > SHARED_LIMIT:
            found.append(f"{where} takes {shared} bytes of shared memory.")
        if not found and not self.blocks(instance):
            found.append(f"{where} does not fit on a multiprocessor.")
        return found

    def blocks(self, instance: Instance) -> int:
        """Blocks of the instance's size that one multiprocessor holds at once."""
        limits, warps = LIMITS[self.architecture], -(-instance.threads // 32)
        per_warp = -(-self.registers * 32 // REGISTER_UNIT) * REGISTER_UNIT
        by_registers = REGISTER_PARTS * (REGISTERS // REGISTER_PARTS // max(per_warp, 1))
        shared = self.shared + instance.shared + limits.reserved
        return min(
            limits.blocks,
            limits.warps // warps,
            by_registers // warps,
            limits.shared // shared if shared else limits.blocks,
        )

    def occupancy(self, instance: Instance) -> float:
        """Share of a multiprocessor's warps that can be resident, 0 to 1."""
        warps = -(-instance.threads // 32)
        return self.blocks(instance) * warps / LIMITS[self.architecture].warps


class Compiler:
    """One NVRTC library."""

    def __init__(self, path: Path):
        self._library = ctypes.CDLL(str(path))
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.major, self.version = major.value, f"{major.value}.{minor.value}"
        count = ctypes.c_int()
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        known = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", known)
        self.architectures = tuple(known)

    def _call(self, name: str, *arguments) -> None:
        result = getattr(self._library, name)(*arguments)
        if result:
            explain = self._library.nvrtcGetErrorString
            explain.restype = ctypes.c_char_p
            raise CompileError(f"{name}: {explain(result).decode()}")

    def _text(self, program, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{what}", program, text)
        return text.raw[: size.value]

    def usage(self, text: str, names: Iterable[str], architecture: int) -> list[Usage]:
        """Compile `text` to machine code; what each of the instances `names` takes."""
        names = list(names)
        program = ctypes.c_void_p()
        source = ctypes.c_char_p(text.encode())
        create = ctypes.byref(program), source, b"source.cu", 0, None, None
        self._call("nvrtcCreateProgram", *create)
        try:
            for name in names:
                self._call("nvrtcAddNameExpression", program, name.encode())
            words = [*OPTIONS, *CUPY_OPTIONS, f"-arch=sm_{architecture}", "--ptxas-options=-v"]
            options = (ctypes.c_char_p * len(words))(*(word.encode() for word in words))
            try:
                self._call("nvrtcCompileProgram", program, len(words), options)
            except CompileError as error:
                log = self._text(program, "ProgramLog").rstrip(b"\0").decode()
                raise CompileError(f"sm_{architecture}, CUDA {self.version}: {log}") from error
            log = self._text(program, "ProgramLog").rstrip(b"\0").decode()
            ptx = self._text(program, "PTX").rstrip(b"\0").decode()
            if not self._text(program, "CUBIN"):
                raise CompileError(f"sm_{architecture}, CUDA {self.version}: no machine code")
            found = []
            for name in names:
                lowered = ctypes.c_char_p()
                word = ctypes.c_char_p(name.encode())
                self._call("nvrtcGetLoweredName", program, word, ctypes.byref(lowered))
                numbers = _numbers(log, ptx, lowered.value.decode())
                found.append(Usage(name, architecture, self.version, **numbers))
            return found
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))


def _numbers(log: str, ptx: str, lowered: str) -> dict[str, int]:
    """What the assembler's log says of one entry function."""
    start = log.find(f"Compiling entry function '{lowered}'")
    if start < 0:
        raise CompileError(f"the assembler's log has no entry {lowered}:\n{log}")
    part = log[start:].split("Compiling entry function", 2)[1]
    frame = re.search(
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part
    )
    registers, shared = (
        re.search(r"Used (\d+) registers", part),
        re.search(r"(\d+) bytes smem", part),
    )
    if not frame or not registers:
        raise CompileError(f"the assembler's log says too little of {lowered}:\n{part}")
    bounds = re.search(rf"\.entry {re.escape(lowered)}\([^)]*\)\s*\.maxntid ([\d, ]+)", ptx)
    threads = math.prod(map(int, bounds[1].split(","))) if bounds else 0
    return {
        "registers": int(registers[1]),
        "stack": int(frame[1]),
        "spill_stores": int(frame[2]),
        "spill_loads": int(frame[3]),
        "shared": int(shared[1]) if shared else 0,
        "max_threads": threads,
    }


@functools.cache
def compilers() -> tuple[Compiler, ...]:
    """Both compilers; RuntimeError that names the wheel which is missing."""
    return tuple(Compiler(_library(major)) for major in WHEELS)


def _library(major: int) -> Path:
    wheel = WHEELS[major]
    try:
        files = importlib.metadata.files(wheel) or ()
    except importlib.metadata.PackageNotFoundError:
        files = ()
    wanted = re.compile(rf"libnvrtc\.so\.{major}(\.\d+)*|nvrtc64_{major}\d*_0\.dll")
    for file in files:  # wheels differ in the folder: nvidia/cuda_nvrtc/lib, nvidia/cu13/lib
        if wanted.fullmatch(file.name):
            return Path(file.locate())
    raise RuntimeError(f"{wheel} is not installed; pip install 'pkef-fast[cuda-compile]'")


def usages(
    sources: Iterable[tuple[Path, tuple[Instance, ...]]], cache: Path | None = None
) -> dict[Path, list[Usage]]:
    """Every instance on every architecture by both compilers, a few at a time.

    `cache` is a folder that keeps what was compiled, by a hash of all that enters.
    """
    jobs = [
        (source, (cache, source_text(source), [one.name for one in instances], major, architecture))
        for source, instances in sources
        for major in WHEELS
        for architecture in ARCHITECTURES
        if (major, architecture) not in NOT_KNOWN
    ]
    known = [_recalled(*job) for _, job in jobs]
    missing = [job for (_, job), rows in zip(jobs, known, strict=True) if rows is None]
    if missing:
        compilers()  # a wheel that is not there is named here, not in a worker
        # Processes, not threads: two compilations by the library of CUDA 12 hold each other up.
        context, workers = multiprocessing.get_context("spawn"), len(os.sched_getaffinity(0))
        with ProcessPoolExecutor(min(workers, len(missing)), mp_context=context) as pool:
            new = pool.map(_compiled, *zip(*missing, strict=True))
            known = [next(new) if rows is None else rows for rows in known]
    found: dict[Path, list[Usage]] = {source: [] for source, _ in jobs}
    for (source, _), rows in zip(jobs, known, strict=True):
        found[source] += rows
    return found


def _place(cache, text, names, major, architecture) -> Path:
    """The file that keeps what was compiled; its name tells the compiler's release and all else."""
    wheel = importlib.metadata.version(WHEELS[major])
    words = [wheel, str(architecture), *OPTIONS, *CUPY_OPTIONS, *names, text]
    words.append(Path(__file__).read_text(encoding="utf-8"))  # what reads the log
    return cache / f"{hashlib.sha256(chr(0).join(words).encode()).hexdigest()[:24]}.json"


def _recalled(cache, text, names, major, architecture) -> list[Usage] | None:
    """What was compiled before, or None."""
    if cache is None:
        return None
    try:
        path = _place(cache, text, names, major, architecture)
        return [Usage(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (importlib.metadata.PackageNotFoundError, FileNotFoundError):
        return None


def _compiled(cache, text, names, major, architecture) -> list[Usage]:
    compiler = next(one for one in compilers() if one.major == major)
    rows = compiler.usage(text, names, architecture)
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=cache)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump([asdict(row) for row in rows], file)
        os.replace(beside, _place(cache, text, names, major, architecture))
    return rows
