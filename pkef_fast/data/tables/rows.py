"""The rows of a table, checked: who, what, which behaviour, when; and what is wrong with others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from ...errors import InputError
from ..dataset import Array
from . import cells, roles, times
from .faults import FIELDS, Faults, Places
from .files import PARTS, TRAIN, File
from .options import TableOptions
from .questions import ask_for_behaviors, ask_for_times
from .roles import Roles

ONE_BEHAVIOR = "interaction"  # the name of a table's only behaviour


@dataclass
class Read:
    """Rows that can be used.

    Attributes
    ----------
    users, items : Series (E,) Int64 or String
    behaviors : Series (E,) Enum, or None: all rows are of one
    times : times.Times or None
    ratings : Series (E,) Float64 or None
    parts : (E,) of TRAIN, VALIDATION, TEST as text, or None: the table is not split
    roles : Roles
        Of the first file.
    count : int
        Rows that are no blank lines.
    skipped : dict of reason → rows
    notes : list of str
    """

    users: pl.Series
    items: pl.Series
    behaviors: pl.Series | None
    times: times.Times | None
    ratings: pl.Series | None
    parts: Array | None
    roles: Roles
    count: int
    skipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def forget(self) -> None:
        """Let go of the columns: they are most of what a large table takes."""
        self.users = self.items = self.behaviors = self.times = self.ratings = None

    def at(self, rows: Array) -> Read:
        """Those at these places."""
        behaviors, times, ratings = self.behaviors, self.times, self.ratings
        return replace(
            self,
            users=self.users[rows],
            items=self.items[rows],
            behaviors=None if behaviors is None else behaviors[rows],
            times=None if times is None else times._replace(values=times.values[rows]),
            ratings=None if ratings is None else ratings[rows],
            parts=None if self.parts is None else self.parts[rows],
        )


def read(sources: Sequence, files: Sequence[File], options: TableOptions) -> Read:
    """The rows of all sources, one after the other.

    Raises
    ------
    InputError
        For a row that cannot be used where none may be skipped, or too many of them; for columns
        that are not there, or of which nobody can know what they are.
    """
    first = sources[0]
    needs = ["rating"] if options.rated else []
    where = f"{first.where}, line 1" if first.headed else first.where
    found = roles.find(where, first.header, options.roles, needs)
    named = [one.behavior for one in files]
    if "behavior" not in found.columns and None in named and not options.rated:
        ask_for_behaviors(first, found)
    if "time" not in found.columns:
        ask_for_times(first, found, options)
    used = {role: name for role, name in found.columns.items() if role != "rating" or needs}
    for source in sources[1:]:
        _same_columns(source, first, used)
    # A column at a time: as text they take several times the place of what they say.
    column, blanks, brokens = _column(sources, next(iter(used.values())))
    sizes = [len(one) for one in blanks]
    places = Places(sources, sizes)
    kept = ~np.concatenate(blanks)
    count = int(kept.sum())
    if not count:
        raise InputError(f"{first.where} has no rows below its header; wanted interactions.")
    faults = Faults(options, places, used, count)
    broken = np.concatenate(brokens) & kept
    if broken.any():
        faults.wrong(FIELDS, np.flatnonzero(broken), lambda row: (FIELDS, None))
        faults.now()  # what such rows hold says nothing of a column's kind
        kept &= ~broken
    at = faults.at = None if kept.all() else np.flatnonzero(kept)
    columns: dict[str, Any] = {}
    for role, name in used.items():
        if columns:  # the first one is there
            column, *_ = _column(sources, name)
        column = column if at is None else column[at]
        columns[role] = _meant(role, column, options)
        faults.column(role, columns[role], column)
    notes = [note for source in sources for note in source.notes]
    bad = faults.now()
    parts = _parts(columns.get("split"), files, sizes, at)
    result = Read(
        users=columns["user"],
        items=columns["item"],
        behaviors=_behaviors(columns.get("behavior"), files, sizes, at),
        times=columns.get("time"),
        ratings=columns.get("rating"),
        parts=parts,
        roles=found,
        count=count,
        skipped=faults.counts,
        notes=notes,
    )
    return result if bad is None else result.at(np.flatnonzero(~bad))


def _meant(role: str, column: pl.Series, options: TableOptions):
    """What a column's cells say; null where one says nothing."""
    if role in ("user", "item"):
        return cells.ids(column)
    if role == "behavior":
        return cells.named(cells.ids(column))
    if role == "rating":
        return cells.numbers(column)
    if role == "time":
        return times.parsed(column, options.time_format)
    words = cells.text(column).str.to_lowercase()
    return words.replace_strict(PARTS, default=None, return_dtype=pl.String)


def _column(sources: Sequence, name: str) -> tuple[pl.Series, list[Array], list[Array]]:
    """A column of all sources, and the blank and broken rows of each."""
    rows = [source.read([name]) for source in sources]
    found = [one.frame for one in rows]
    frame = pl.concat(found, how="vertical_relaxed") if len(found) > 1 else found[0]
    return frame[name], [one.blank for one in rows], [one.broken for one in rows]


def _same_columns(source, first, used: dict[str, str]) -> None:
    missing = [name for name in used.values() if name not in source.header]
    if missing:
        raise InputError(
            f"{source.where} has no column {missing[0]!r}, which {first.where} has; wanted files "
            "of one table, with the same columns."
        )


def _behaviors(
    column: pl.Series | None, files: Sequence[File], sizes: Sequence[int], at: Array | None
) -> pl.Series | None:
    if column is not None or files[0].behavior is None:
        return column
    names = np.repeat([one.behavior for one in files], sizes)
    return cells.named(pl.Series("behavior", names if at is None else names[at], pl.String))


def _parts(
    column: pl.Series | None, files: Sequence[File], sizes: Sequence[int], at: Array | None
) -> Array | None:
    if files[0].part is not None:
        parts = np.repeat([one.part for one in files], sizes)
        return parts if at is None else parts[at]
    return None if column is None else column.fill_null(TRAIN).to_numpy().astype(str)
