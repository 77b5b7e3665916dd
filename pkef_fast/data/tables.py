"""Plain interaction tables: one CSV, TSV or Parquet file with a row an interaction.

Columns `user`, `item`, `behavior` and, optionally, `timestamp` and a `rating`, `value` or `count`
above zero; `columns.NAMES` lists other names they may have. Ids may be numbers or text. A user's
held-out item comes from the target behaviour; repeated rows count as the earliest of them, whose
time the data set keeps (times with a fraction in millionths of their unit).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, did_you_mean
from . import checks
from . import split as splits
from .columns import Table, bad_cell, ids_of
from .csvs import read_csv
from .dataset import Array, Csr, Dataset
from .epochs import parts_of, whole
from .order import ordered
from .parquet import read_parquet
from .patterns import earliest, less, pattern

READERS = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".tab": read_csv,
    ".parquet": read_parquet,
    ".pq": read_parquet,
}
SPLITS = ("time", "random")
LEAVE_OUT = ("target", "all")


def is_table(path: Path) -> bool:
    """Whether a file has the ending of a table."""
    return path.suffix.lower() in READERS


def _tables_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and is_table(path))


def holds(folder: Path) -> bool:
    """Whether a folder has a table in it."""
    return bool(_tables_in(folder))


def read(
    path: Path,
    behaviors: Sequence[str] | None = None,
    seed: int = 0,
    split: str | None = None,
    leave_out: str = "target",
) -> tuple[Dataset, dict[str, Any]]:
    """The data set of a table, split leave-one-out, and the options it depends on.

    Rows of behaviours that were not chosen are left out, but their users and items are numbered
    all the same, so that all choices share one numbering.
    """
    _one_of("split", split, SPLITS, optional=True)
    _one_of("leave_out", leave_out, LEAVE_OUT)
    file = path if path.is_file() else _only_table(path)
    table = READERS[file.suffix.lower()](file)
    if not len(table.users):
        raise InputError(f"{file} has no rows below its header; wanted interactions.")
    if split == "time" and table.time is None:
        raise InputError(
            f"{file} has no timestamp column, which the split by time needs; wanted one named "
            "timestamp or time, or the split 'random'."
        )
    split = split or ("random" if table.time is None else "time")
    users, user_ids = _numbered(table, "user", table.users, table.user_labels)
    items, item_ids = _numbered(table, "item", table.items, table.item_labels)
    events = _events(table, users, items)
    names = tuple(events)
    notes: tuple[str, ...] = ()
    if behaviors is None:
        behaviors, notes = ordered({name: len(one.users) for name, one in events.items()})
    else:
        checks.known_behaviors(behaviors, names, file)
        notes = tuple(
            f"{len(events[name].users)} interactions of behaviour {name!r} were left out."
            for name in names
            if name not in behaviors
        )
    target = events[behaviors[-1]]
    held_out = splits.random(target, seed) if split == "random" else splits.latest(target)
    test_users, test_items = target.users[held_out], target.items[held_out]
    n_users, n_items = len(user_ids), len(item_ids)
    parts = 1 if table.time is None else parts_of(table.time)
    patterns, times = [], []
    for name in behaviors:
        csr, time = _pattern(events[name], parts, n_users, n_items)
        if name == behaviors[-1] or leave_out == "all":
            csr, time = less(csr, time, test_users, test_items, n_items)
        patterns.append(csr)
        times.append(time)
    data = checks.finished(
        name=path.stem,
        behaviors=behaviors,
        n_users=n_users,
        n_items=n_items,
        interactions=patterns,
        test_users=test_users,
        test_items=test_items,
        user_ids=_or_none(user_ids),
        item_ids=_or_none(item_ids),
        notes=notes,
        all_behaviors=names,
        leave_out=leave_out,
        split=split,
        times=times,
    )
    used = {"split": split, "leave_out": leave_out, **({"seed": seed} if split == "random" else {})}
    return data, used


def _one_of(name: str, value: str | None, choices: Sequence[str], optional: bool = False) -> None:
    if not (optional and value is None) and value not in choices:
        raise InputError(f"{name} cannot be {value!r}{did_you_mean(value, choices)}")


def _only_table(folder: Path) -> Path:
    found = _tables_in(folder)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(f"{folder} holds {len(found)} tables ({names}); name one of these files.")
    return found[0]


def _numbered(table: Table, field: str, codes: Array, labels: Sequence) -> tuple[Array, Array]:
    """Numbers of a column's cells, and the ids in the order of the numbers."""
    try:
        ids, numbers = ids_of(labels)
    except ValueError as error:
        code = error.args[0]
        place = table.place(int(np.argmax(codes == code)))
        raise bad_cell(
            table.path, place, field, labels[code], "a whole number of 0 or more, or a name"
        ) from None
    return numbers[codes], ids


def _events(table: Table, users: Array, items: Array) -> dict[str, splits.Events]:
    """Distinct events of each behaviour."""
    result = {}
    for code, name in enumerate(table.behavior_labels):
        rows = np.flatnonzero(table.behaviors == code)
        time = None if table.time is None else table.time[rows]
        result[name] = splits.distinct(splits.Events(users[rows], items[rows], time))
    return result


def _pattern(
    events: splits.Events, parts: int, n_users: int, n_items: int
) -> tuple[Csr, Array | None]:
    """Pattern of distinct events, and their times in its order, in parts of the table's unit."""
    users, items, time = events
    csr = pattern(users, items, n_users, n_items)
    return csr, None if time is None else earliest(csr, users, items, whole(time, parts), n_items)


def _or_none(ids: Array) -> Array | None:
    """Ids, or None where they are 0, 1, 2…"""
    plain = ids.dtype.kind == "i" and np.array_equal(ids, np.arange(len(ids)))
    return None if plain else ids
