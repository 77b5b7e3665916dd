"""Where compiled CPU kernels are kept: never beside the package, never a stale one.

Numba asks only whether the file of a function has changed. A kernel holds the code of helpers from
other files too, so the folder is named after all sources of the kernels, and after everything else
that decides what the machine code is:

    ~/.cache/pkef-fast/pkef-fast-0.1.0-py3.11-numba0.68.1-llvmlite0.50.0-skylake-1f0c…/

`NUMBA_CACHE_DIR` puts the same folder in another place. Where neither can be written, kernels are
kept in a temporary folder of the user's own; where that fails as well, they are compiled in every
process. A cache never stops a run.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import platformdirs
from llvmlite import binding as llvm

from .. import __version__

NAME = "pkef-fast"
FOLDERS_KEPT = 8  # of all versions and machines that share a home, those used last
SOURCES = Path(__file__).parent
# Sources that no CPU kernel holds.
NOT_COMPILED = ("cuda", "cuda.py", "compiled.py", "threads.py", "waiting.py")

log = logging.getLogger(__name__)


def root() -> Path:
    """The folder of all folders of compiled kernels, and nothing is made here."""
    chosen = numba.config.CACHE_DIR  # NUMBA_CACHE_DIR, or what Numba's file of settings says
    return Path(chosen or platformdirs.user_cache_dir(NAME, appauthor=False))


@cache
def folder() -> Path | None:
    """This process's folder, made and written to; None where nothing can be kept."""
    wanted = root()
    try:
        return _usable(wanted)
    except OSError as error:
        reason = f"{wanted} cannot be written ({error.strerror or error})"
    try:
        found = _usable(_temporary())
    except OSError:
        log.warning("note: compiled kernels are not kept: %s", reason)
        return None
    log.warning("note: compiled kernels are kept in %s: %s", found.parent, reason)
    return found


def keep(kernel: Any) -> Any:
    """Let a Numba dispatcher look for compiled code in `folder`, and keep it there."""
    place = folder()
    if place is None:
        return kernel
    nothing = kernel._cache
    with _cache_dir(place), suppress(RuntimeError):  # Numba finds no place at all
        kernel.enable_caching()
    found = kernel._cache
    if found is nothing or not Path(found.cache_path).is_relative_to(place):
        # Numba's next choice would be beside the source.
        kernel._cache = nothing
        return kernel
    _forgive(found)
    return kernel


def kept() -> tuple[int, int]:
    """How many compiled kernels this process's folder has, and the bytes of all folders."""
    place = folder()
    count = sum(1 for _ in place.rglob("*.nbc")) if place else 0
    return count, sum(_size(one) for one in _folders(place.parent if place else root()))


def clear() -> int:
    """Remove all folders of compiled kernels, those of other versions too; returns the bytes."""
    freed = 0
    for place in {root(), _temporary_path()}:
        for one in _folders(place):
            freed += _size(one)
            shutil.rmtree(one, ignore_errors=True)
    return freed


def _usable(place: Path) -> Path:
    """This process's folder in `place`, made and written to; OSError where that fails."""
    found = place / _key()
    new = not found.exists()
    found.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=found).close()
    os.utime(found)  # the time of last use, by which old folders go
    if new:
        for old in sorted(_folders(place), key=_used, reverse=True)[FOLDERS_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
    return found


def _temporary_path() -> Path:
    """Where the folder for temporary files is, if it is there."""
    return Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}"


def _temporary() -> Path:
    """A folder for temporary files that nobody else can write to; compiled code is trusted."""
    place = _temporary_path()
    place.mkdir(mode=0o700, exist_ok=True)
    facts = place.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o022:
        raise OSError(f"{place} is not this user's own")
    return place


def _key() -> str:
    """The folder's name: what decides the machine code."""
    cpu = numba.config.CPU_NAME or llvm.get_host_cpu_name()
    features = numba.config.CPU_FEATURES
    if features is None:
        features = llvm.get_host_cpu_features().flatten()
    digest = hashlib.blake2b(features.encode(), digest_size=6)
    for path in sorted(SOURCES.rglob("*.py")):
        parts = path.relative_to(SOURCES).parts
        if not set(parts) & set(NOT_COMPILED):
            digest.update("/".join(parts).encode() + b"\0" + path.read_bytes() + b"\0")
    python = platform.python_version_tuple()
    return "-".join(
        (
            f"{NAME}-{__version__}",
            f"py{python[0]}.{python[1]}{getattr(sys, 'abiflags', '')}",
            f"numba{numba.__version__}",
            f"llvmlite{llvmlite.__version__}",
            cpu,
            digest.hexdigest(),
        )
    )


def _folders(place: Path) -> Iterator[Path]:
    """The folders of compiled kernels in `place`; whatever else lies there is not ours."""
    return (one for one in place.glob(f"{NAME}-*-py*-numba*") if one.is_dir())


def _used(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:  # another process has removed it
        return 0.0


def _size(place: Path) -> int:
    total = 0
    for path in place.rglob("*"):
        with suppress(OSError):  # another process has removed it
            total += path.stat().st_size if path.is_file() else 0
    return total


@contextmanager
def _cache_dir(place: Path) -> Iterator[None]:
    """Numba's cache folder for the functions decorated meanwhile; others' stay where they are."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(place)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def _forgive(kernel_cache: Any) -> None:
    """Let a damaged file or a full disk cost compiling again, and not the run."""
    load, save = kernel_cache.load_overload, kernel_cache.save_overload

    def load_or_compile(*arguments: Any) -> Any:
        try:
            return load(*arguments)
        except Exception as error:  # whatever unpickling a damaged file may raise
            log.info("compiled kernels: %s cannot be read: %s", kernel_cache, error)
            with suppress(OSError):
                kernel_cache.flush()

    def save_if_possible(*arguments: Any) -> None:
        try:
            save(*arguments)
        except OSError as error:
            log.info("compiled kernels: %s cannot be kept: %s", kernel_cache, error)

    kernel_cache.load_overload, kernel_cache.save_overload = load_or_compile, save_if_possible
