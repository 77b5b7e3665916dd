"""`pkef-fast doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import click

from .. import __version__, kernels
from ..device import set_threads
from ..kernels import threads, waiting
from .options import json_option
from .output import print_json, print_table

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "click", "rich", "pyarrow", "cupy")


MIB = 2**20


@click.command()
@click.option(
    "--clear-cache",
    is_flag=True,
    help="Remove the compiled CPU kernels of all versions; they are compiled again when needed.",
)
@json_option
def doctor(clear_cache, as_json):
    """Show versions, threads, devices and caches."""
    from ..kernels import compiled  # imports Numba

    freed = compiled.clear() if clear_cache else None
    facts = _facts()
    if freed is not None:
        facts["removed"] = f"{freed / MIB:.1f} MiB of compiled kernels"
    if as_json:
        print_json(facts)
    else:
        print_table(["what", "found"], list(facts.items()))


def _facts() -> dict[str, str]:
    import numba

    facts = {
        "pkef-fast": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": f"{os.cpu_count()}, {threads.cores()} of them for this process",
        "threads": f"{set_threads(None)}, by Numba's layer {numba.threading_layer()!r}",
        "waiting threads": _waiting(),
    }
    for name in PACKAGES:
        facts[name] = _version(name)
    for device in ("cpu", "cuda:0"):
        try:
            kernels.load(device)
            facts[f"device {device}"] = "ready"
        except kernels.NoSuchDevice as error:
            facts[f"device {device}"] = str(error)
    facts["kernel cache"] = _cache()
    return facts


def _waiting() -> str:
    """What decides how the kernels' threads wait for each other."""
    chosen = [f"{name}={os.environ[name]}" for name in waiting.SETTINGS if name in os.environ]
    return ", ".join(chosen) or "spinning where cores are free, else asleep"


def _version(name: str) -> str:
    wanted = {name, f"{name}-cuda12x", f"{name}-cuda13x"}
    for candidate in sorted(wanted):
        try:
            return importlib.metadata.version(candidate)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def _cache() -> str:
    """Where compiled CPU kernels are kept, how many, and what all versions' take."""
    from ..kernels import compiled

    folder = compiled.folder()
    if folder is None:
        return f"none: {compiled.root()} cannot be written"
    count, size = compiled.kept()
    how = " (NUMBA_CACHE_DIR)" if os.environ.get("NUMBA_CACHE_DIR") else ""
    return f"{folder}{how}, {count} compiled kernels; all versions' take {size / MIB:.1f} MiB"
