"""`pkef-fast doctor`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from pathlib import Path

import click

from .. import __version__, kernels
from .options import json_option
from .output import print_json, print_table

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "click", "rich", "pyarrow", "cupy")


@click.command()
@json_option
def doctor(as_json):
    """Show versions, threads, devices and caches."""
    facts = _facts()
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
        "cores": str(os.cpu_count()),
        "threads": str(numba.get_num_threads()),
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


def _version(name: str) -> str:
    wanted = {name, f"{name}-cuda12x", f"{name}-cuda13x"}
    for candidate in sorted(wanted):
        try:
            return importlib.metadata.version(candidate)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def _cache() -> str:
    """Where Numba keeps compiled kernels, and how many files are there."""
    import numba

    folder = Path(numba.config.CACHE_DIR or Path(kernels.__file__).parent)
    count = sum(1 for _ in folder.rglob("*.nbc"))
    how = "NUMBA_CACHE_DIR" if numba.config.CACHE_DIR else "beside the kernels"
    return f"{folder} ({how}), {count} compiled kernels"
