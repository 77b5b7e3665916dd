"""Interaction tables: a row an interaction of a user with an item, in whatever form.

`files` says which files make a table, `opened` takes them apart (`text_file`, `json_file` …),
`roles` finds the columns, `rows` checks what is in them (with `cells` and `times`), `behaviors`
gives names to what happened, and `build` numbers, splits and makes the data set. `options` is all
that a user may say about it.

A user's held-out item comes from the target behaviour; repeated rows count as the earliest of them,
whose time the data set keeps (times with a fraction in millionths of their unit).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..dataset import Dataset
from .files import File, files_of, holds
from .forms import is_glob, is_table
from .options import LEAVE_OUT, SPLITS, TableOptions

__all__ = [
    "LEAVE_OUT",
    "SPLITS",
    "TableOptions",
    "holds",
    "is_glob",
    "is_table",
    "of_frame",
    "read",
]


def read(
    path: Path, behaviors: Sequence[str] | None = None, options: TableOptions | None = None
) -> Dataset:
    """The data set of a table file, a folder of them or a glob.

    Raises
    ------
    InputError
        With file, line, field, what was found and what was wanted.
    """
    _give_memory_back()
    from .opened import source_of  # polars takes a third of a second to import

    options = options or TableOptions()
    files = files_of(path)
    sources = [source_of(one.path, options.in_order, options.separator) for one in files]
    name = path.name.partition(".")[0] if path.is_file() else path.name
    return _made(sources, files, name or "table", str(path), behaviors, options)


def of_frame(
    frame: Any,
    name: str = "frame",
    behaviors: Sequence[str] | None = None,
    options: TableOptions | None = None,
) -> Dataset:
    """The data set of a table in memory: pandas, polars, or anything with the Arrow interface."""
    from .frame import Frame

    where = f"the table {name!r}"
    source = Frame(frame, where)
    return _made([source], [File(Path(name))], name, where, behaviors, options or TableOptions())


def _give_memory_back() -> None:
    """Let polars' allocator keep no freed memory, if polars is not there yet.

    A table's columns are read one after the other; what each took as text would stay for ten
    seconds, beside the next one's.
    """
    if "polars" not in sys.modules:
        os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")


def _made(
    sources: Sequence,
    files: Sequence[File],
    name: str,
    where: str,
    behaviors: Sequence[str] | None,
    options: TableOptions,
) -> Dataset:
    from polars.exceptions import PanicException, PolarsError

    from .build import dataset_of
    from .rows import read as read_rows

    try:
        return dataset_of(read_rows(sources, files, options), name, where, behaviors, options)
    except (PanicException, PolarsError) as error:  # a file that promises what it does not hold
        said = str(error).partition("\n")[0]
        raise InputError(
            f"{where} is damaged ({said}); wanted a table as it was written."
        ) from None
