"""How many threads the CPU kernels use, how these wait, and what a fork does to them.

`settle` runs when the kernels' package is imported, before Numba and its OpenMP library are. It
speaks to both through environment variables, and leaves those alone that the user has set.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

from ..errors import DeviceError

# How often a thread of libgomp looks for work before it sleeps (bench/results/busy.md). Its own
# 300,000 looks are milliseconds, in which whoever could bring the work may be kept from running.
SPINS = 10_000
WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # a user's word on how threads wait

_parallel: list[Any] = []  # kernels that start threads


def settle() -> None:
    """Let Numba use as many threads as this process has cores, and let them wait briefly."""
    if not any(name in os.environ for name in WAITING):
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
    if "numba" not in sys.modules and cores() < _affinity():  # Numba counts the latter itself
        os.environ.setdefault("NUMBA_NUM_THREADS", str(cores()))


def cores() -> int:
    """The cores that this process may use: its affinity, and its control group's quota."""
    return max(1, min(_affinity(), math.ceil(min(quota(), _affinity()))))


def quota(mount: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> float:
    """How many cores' time the control groups grant (cgroup v1 or v2); inf where unbounded."""
    least = math.inf
    try:
        lines = groups.read_text().splitlines()
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
    """Note that a kernel starts threads, which are lost where the process forks."""
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
            time, period = (group / "cpu.max").read_text().split()
        else:
            time = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return float(time) / float(period) if float(time) > 0 else math.inf
    except (OSError, ValueError):  # "max" is no number
        return math.inf


def _forked() -> None:
    """In a child of a fork: kernels whose threads stayed with the parent raise when called.

    libgomp would end the process. Nothing is asked at a call: Numba's dispatcher finds no compiled
    form any more, and asks for one.
    """
    import numba

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
