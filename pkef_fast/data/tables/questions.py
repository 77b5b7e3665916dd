"""Questions about columns: what names do not tell, and a guess would get wrong unsaid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ...errors import InputError
from . import cells, roles, times
from .options import TableOptions
from .roles import Roles

FEW = 12  # distinct values that a column of behaviours may have


def ask_for_behaviors(source, found: Roles, files: Sequence[str]) -> None:
    """InputError where another column may hold the behaviour, or the names of files."""
    if "behavior" in found.declined:
        return
    if files:
        raise InputError(
            f"{source.where} has no column that is known as the behavior, and the names of the "
            f"files may say it ({', '.join(files[:5])}); wanted --columns behavior=none if all "
            "rows are of one behavior, or files named after known behaviors."
        )
    sample = source.sample()
    for name in _unread(sample, found):
        if not _plain(sample[name]) or sample[name].dtype.is_float():
            continue
        if roles.fits(name, ("time", "rating", "split")):
            continue
        # A log may be sorted by what happened: the first rows do not tell.
        texts = cells.text(source.read([name]).frame[name]).drop_nulls()
        if 2 <= texts.n_unique() <= FEW:
            values = ", ".join(sorted(texts.unique().to_list())[:5])
            raise InputError(
                f"{source.where} has no column that is known as the behavior, and {name!r} "
                f"({values}) may be it; wanted --columns behavior={name}, or --columns "
                "behavior=none if all rows are of one behavior."
            )


def ask_for_times(source, found: Roles, options: TableOptions) -> None:
    """InputError where another column holds times: without them the split would be a random one."""
    if "time" in found.declined or options.split_by[0] in ("random", "none"):
        return
    sample = source.sample()
    for name in _unread(sample, found):
        column = sample[name]
        if not _plain(column):
            continue
        column = column.drop_nulls()
        parsed = times.parsed(column, options.time_format) if len(column) else None
        if parsed is None or parsed.values.null_count():
            continue
        unit = times.in_one_unit(parsed)
        if unit.name is not None and len(np.unique(unit.values)) > 1:
            raise InputError(
                f"{source.where} has no column that is known as the time, and {name!r} (such as "
                f"{column[0]}) looks like it; wanted --columns time={name}, or --columns time=none "
                "if it is not when the interaction happened."
            )


def _unread(sample: pl.DataFrame, found: Roles) -> list[str]:
    taken = set(found.columns.values())
    return [name for name in sample.columns if name not in taken]


def _plain(column: pl.Series) -> bool:
    return not column.dtype.is_nested() and column.dtype not in (pl.Duration, pl.Object, pl.Boolean)
