"""How many threads the CPU kernels use, and what a fork does to them; `waiting` is how they wait.

`settle` runs when the kernels' package is imported, before Numba is, which it tells how many
through an environment variable; it leaves the user's own alone.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

from ..errors import DeviceError
from . import waiting

_parallel: list[Any] = []  # kernels that start threads


def settle() -> None:
    """Let Numba use as many threads as this process has cores."""
    if "numba" not in sys.modules and cores() < _affinity():  # Numba counts the latter itself
        os.environ.setdefault("NUMBA_NUM_THREADS", str(cores()))


def cores() -> int:
    """The cores that this process may use: its affinity, and its control group's quota."""
    return max(1, min(_affinity(), math.ceil(min(quota(), _affinity()))))


def quota(mount: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> float:
    """How many cores' time the control groups grant (cgroup v1 or v2); inf where unbounded."""
    least = math.inf
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return least
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        hierarchy = mount / "cpu" if controllers else mount
        own = hierarchy / path.lstrip("/")
        # A container may see its group as the whole hierarchy: then its path is not there.
        for group in (own, *own.parents):
            least = min(least, _granted(group))
            if group == hierarchy:
                break
    return least


def guard(kernel: Any) -> Any:
    """Note that a kernel starts threads: these learn to wait, and are lost where a process forks.

    Numba's dispatcher asks for a compiled form at the first call alone, so later ones cost nothing.
    """
    compile_for = kernel._compile_for_args

    def first_call(*arguments: Any, **named: Any) -> Any:
        result = compile_for(*arguments, **named)
        waiting.watch()
        return result

    kernel._compile_for_args = first_call
    _parallel.append(kernel)
    return kernel


def _affinity() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _granted(group: Path) -> float:
    """Cores' time that one control group grants."""
    try:
        if (group / "cpu.max").exists():
            time, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        else:
            time = (group / "cpu.cfs_quota_us").read_text(encoding="utf-8")
            period = (group / "cpu.cfs_period_us").read_text(encoding="utf-8")
        return float(time) / float(period) if float(time) > 0 else math.inf
    except (OSError, ValueError):  # "max" is no number
        return math.inf


def _forked() -> None:
    """In a child of a fork: kernels whose threads stayed with the parent raise when called.

    libgomp would end the process. Nothing is asked at a call: Numba's dispatcher finds no compiled
    form any more, and asks for one.
    """
    numba = sys.modules.get("numba")
    if numba is None:
        return
    try:
        layer = numba.threading_layer()
    except ValueError:  # no kernel was called before: the child starts threads of its own
        return
    if layer == "omp":
        for kernel in _parallel:
            kernel._clear()
            kernel._compile_for_args = _refuse


def _refuse(*arguments: Any, **named: Any) -> None:
    raise DeviceError(
        "this process was forked from one that had called a CPU kernel, whose threads did not "
        "come along; start it with multiprocessing's 'spawn' or 'forkserver' method."
    )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
