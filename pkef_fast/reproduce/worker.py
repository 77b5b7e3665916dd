"""One run in a process of its own: `python -m pkef_fast.reproduce.worker`, told on stdin which.

The first line of stdin is the order, as JSON. When stdin ends the process ends too: whoever ordered
the run is gone, perhaps killed, and the run would be made behind the back of the next one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from ..data import load_dataset
from ..device import device as make_device
from ..device import set_threads
from ..errors import InputError, PkefError
from .experiments import Configuration
from .runs import Busy, Store, Task

DONE, WRONG, BUSY, STOPPED = 0, 2, 75, 130


def order(task: Task, store: Store, source: dict[str, Any], device: str, threads: int) -> str:
    """The line that orders a run."""
    one = task.configuration
    found = {
        "configuration": [one.model, one.preset, one.fields, one.keeps_model],
        "seed": task.seed,
        "epochs": getattr(task.config, "epochs", None),
        "select": task.select,
        "data": task.data,
        "source": source,
        "store": str(store.folder),
        "device": device,
        "threads": threads,
    }
    return json.dumps(found) + "\n"


def main() -> int:
    """Make the run that stdin orders; the exit code."""
    wanted = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    stop: list[bool] = []
    signal.signal(signal.SIGINT, lambda number, frame: stop.append(True))
    try:
        set_threads(wanted["threads"])
        data = load_dataset(**wanted["source"])
        if data.fingerprint() != wanted["data"]:
            raise InputError(f"data set {data.name!r} has changed since the runs were planned.")
        model, preset, fields, keeps_model = wanted["configuration"]
        changes = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in fields)
        task = Task.of(
            Configuration(model, preset, changes, keeps_model),
            data,
            wanted["data"],
            wanted["select"],
            wanted["seed"] or 0,
            wanted["epochs"],
        )
        place = make_device(wanted["device"])
        done = Store(wanted["store"]).make(task, data, place, lambda: bool(stop))
    except Busy:
        return BUSY
    except PkefError as error:
        print(error, file=sys.stderr)
        return WRONG
    return DONE if done else STOPPED


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(WRONG)


if __name__ == "__main__":
    sys.exit(main())
