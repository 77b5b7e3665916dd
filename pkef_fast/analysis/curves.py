"""Learning curves: what runs noted epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import InputError
from ..report.table import Table
from ..store.runs import Run

COLUMNS = ("run", "epoch", "metric", "value")
COUNTERS = ("epoch", "step")


def curves(runs: Sequence[Run]) -> Table:
    """Every number of every metrics.jsonl, in the order of the files.

    Runs are named by their folders, or by their whole paths where two folders have one name.

    Raises
    ------
    InputError
        When a record has no epoch.
    """
    names = [run.path.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in runs]
    rows = []
    for name, run in zip(names, runs, strict=True):
        for line, record in enumerate(run.records(), 1):
            if not isinstance(record, dict) or not isinstance(record.get("epoch"), int):
                raise InputError(
                    f"{run.metrics_file}, line {line}: no whole number 'epoch'; wanted one."
                )
            rows += [
                (name, record["epoch"], metric, value)
                for metric, value in record.items()
                if metric not in COUNTERS and _is_number(value)
            ]
    return Table(COLUMNS, rows)


def _is_number(value) -> bool:
    is_bool = isinstance(value, bool)
    return isinstance(value, (int, float)) and not is_bool and math.isfinite(value)
