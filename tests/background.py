"""Long work of other processes that starts with the first test and is asked for by the last.

A test marked `late(work=…)` is run after all others, and calls `result(work)`. What `work` returns
or raises, a skip too, is what every such test gets. It runs in a thread of low priority, which its
processes inherit: they take what the tests leave of the processors.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

NICE = 10

_begun: dict[Callable[[], Any], Future] = {}


def begin(work: Callable[[], Any]) -> None:
    """Start `work`, once."""
    if work not in _begun:
        _begun[work] = Future()
        threading.Thread(target=_run, args=(work, _begun[work]), daemon=True).start()


def result(work: Callable[[], Any]) -> Any:
    """What `work` returns; whatever it raises is raised."""
    begin(work)
    return _begun[work].result()


def _run(work: Callable[[], Any], future: Future) -> None:
    if sys.platform == "linux":  # there each thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    try:
        future.set_result(work())
    except BaseException as error:  # a skip is no Exception
        future.set_exception(error)


def stop() -> None:
    """End the processes of work that nobody waits for any more."""
    if any(not one.done() for one in _begun.values()):
        for child in multiprocessing.active_children():
            child.terminate()
