"""How the kernels' threads wait for each other: spinning where cores are free, else asleep.

At the end of a parallel region libgomp's threads spin for milliseconds before they sleep. Where
each has a core of its own that is right: waking a thread takes longer than most regions. Beside
other programs it is ruinous: a thread spins away the time in which the one it waits for could run.
Neither fits both, and a shorter spin fits neither (bench/results/busy.md).

So a thread of this module looks ten times a second how long the process's threads have been ready
to run without a core (Linux counts it), and lets them sleep at once while that is much. libgomp has
no function for it, but a rule: with more threads than cores it hardly spins. A second team of
threads that do nothing, the `_Crowd`, makes it so, and when they end, threads spin again.

Whoever sets GOMP_SPINCOUNT or OMP_WAIT_POLICY decides alone, and nothing here runs. Results do not
depend on any of this.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from typing import Any

SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # a user's word on how threads wait
LOOK_SECONDS = 0.1
REST_SECONDS = 1.0  # between looks while the process computes nothing
LATE = 0.1  # share of a look's time that threads were kept waiting: above it the machine is busy
CALM_SECONDS = 1.0  # threads spin again after so long without being late

_watcher: threading.Thread | None = None
_lock = threading.Lock()


def watch() -> None:
    """Begin to adapt, once and in the background, if threads are libgomp's and nobody chose."""
    global _watcher
    if any(name in os.environ for name in SETTINGS) or sys.platform != "linux":
        return
    with _lock:
        if _watcher is None:
            _watcher = threading.Thread(target=_watch, name="pkef-fast waiting", daemon=True)
            _watcher.start()


class _Crowd:
    """Idle threads, as many as make libgomp's more than there are cores."""

    def __init__(self, libgomp: Any) -> None:
        self._leave = threading.Event()
        self._libgomp = libgomp
        threading.Thread(target=self._gather, name="pkef-fast crowd", daemon=True).start()

    def _gather(self) -> None:
        # libgomp counts its threads, those of the kernels too, against the process's cores.
        count = max(2, len(os.sched_getaffinity(0)) + 1)
        nothing = ctypes.cast(self._libgomp.omp_get_num_threads, ctypes.c_void_p)
        self._libgomp.GOMP_parallel(nothing, None, count, 0)
        self._leave.wait()  # the team ends with its first thread

    def leave(self) -> None:
        """Let the threads end."""
        self._leave.set()


class _Delays:
    """How long this process's other threads were ready to run, and did not."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._own = str(threading.get_native_id())
        self._looks = 0

    def seconds(self) -> float:
        """Since they started; of threads that are there now."""
        if self._looks % 10 == 0:
            self._find()
        self._looks += 1
        total = 0
        for thread, file in list(self._files.items()):
            try:
                total += int(os.pread(file, 64, 0).split()[1])
            except (OSError, IndexError, ValueError):  # it has ended
                os.close(self._files.pop(thread))
        return total / 1e9

    def _find(self) -> None:
        threads = set(os.listdir("/proc/self/task")) - {self._own}
        for ended in set(self._files) - threads:
            os.close(self._files.pop(ended))
        for thread in threads - set(self._files):
            try:
                path = f"/proc/self/task/{thread}/schedstat"
                self._files[thread] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # it has ended, or no file can be opened now
                continue


def _watch() -> None:
    """Look and act until the process ends."""
    libgomp = _libgomp()
    if libgomp is None:
        return
    delays, crowd = _Delays(), None
    before, used, at = delays.seconds(), time.process_time(), time.monotonic()
    late_at = at
    pause = LOOK_SECONDS
    while True:
        time.sleep(pause)
        delayed, using, now = delays.seconds(), time.process_time(), time.monotonic()
        if delayed - before > LATE * (now - at):
            late_at = now
            crowd = crowd or _Crowd(libgomp)
        elif crowd and now - late_at > CALM_SECONDS:
            crowd.leave()
            crowd = None
        computing = using - used > LATE * (now - at)
        pause = LOOK_SECONDS if computing else REST_SECONDS
        before, used, at = delayed, using, now


def _libgomp() -> Any:
    """The OpenMP library that the kernels' threads belong to, if it is GNU's; else None."""
    import numba

    try:
        if numba.threading_layer() != "omp":
            return None
        from numba.np.ufunc import omppool
    except (ValueError, ImportError):
        return None
    library = ctypes.CDLL(omppool.__file__)  # finds the functions of what it is linked with too
    counted = os.path.exists("/proc/self/schedstat")  # not by every Linux
    return library if counted and hasattr(library, "GOMP_parallel") else None
