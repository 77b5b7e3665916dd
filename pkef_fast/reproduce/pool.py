"""Making the runs of a plan, each in a process of its own, some at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field

from . import worker
from .plan import Planned
from .runs import Store, Task

AGAIN = 2.0  # seconds until a run that another process makes is asked for again


@dataclass
class Made:
    """What became of the runs: made here, failed with a sentence, and no time left for."""

    runs: list[Task] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: list[Planned] = field(default_factory=list)
    stopped: bool = False


class Pool:
    """Starts workers and listens to them.

    Parameters
    ----------
    store : Store
    order : callable
        The line that orders a task of a worker.
    jobs : int
    finished : callable
        Told each run that is done and its seconds.
    """

    def __init__(
        self,
        store: Store,
        order: Callable[[Task], str],
        jobs: int,
        finished: Callable[[Task, float], None],
    ):
        self.store, self.order, self.jobs, self.finished = store, order, jobs, finished
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._stopping = False

    def make(self, runs: list[Planned], budget: float | None = None) -> Made:
        """Make them in order; none is begun once `budget` seconds are over. Ctrl-C ends them all,
        each with a checkpoint."""
        start, result, left = time.monotonic(), Made(), list(runs)
        with ThreadPoolExecutor(self.jobs) as threads:
            waiting: dict[Future, Planned] = {}
            try:
                while left or waiting:
                    over = budget is not None and time.monotonic() - start > budget
                    if over:
                        result.left_out += left
                        left = []
                    while left and len(waiting) < self.jobs:
                        one = left.pop(0)
                        waiting[threads.submit(self._run, one.task)] = one
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        one = waiting.pop(future)
                        self._take(one, *future.result(), result, left)
            except KeyboardInterrupt:
                self._stop()
                result.stopped = True
        return result

    def _take(self, one, code, said, seconds, result, left) -> None:
        if code == worker.DONE:
            result.runs.append(one.task)
            self.finished(one.task, seconds)
        elif code == worker.BUSY:
            if not self.store.done(one.task):
                left.append(one)
        else:
            result.failed[one.task.name] = said or f"its process ended with code {code}"

    def _run(self, task: Task) -> tuple[int, str, float]:
        """A worker's exit code, what it said last on stderr, and its seconds."""
        if self.store.done(task):  # made by another process meanwhile
            return worker.BUSY, "", 0.0
        start = time.monotonic()
        with self._lock:
            if self._stopping:
                return worker.STOPPED, "stopped", 0.0
            process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.worker"],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            )
            self._running.add(process)
        try:
            with suppress(BrokenPipeError):  # it ended at once; stderr says why
                process.stdin.write(self.order(task))
                process.stdin.flush()
            lines = process.stderr.read().strip().splitlines()  # stdin stays open: see `worker`
            code = process.wait()
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.stderr.close()
            with self._lock:
                self._running.discard(process)
        if code == worker.BUSY:
            time.sleep(AGAIN)
        return code, lines[-1] if lines else "", time.monotonic() - start

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            for process in self._running:
                process.send_signal(signal.SIGINT)
