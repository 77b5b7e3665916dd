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
from .files import PARTS, TRAIN, File, told_apart
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
    found = [
        roles.find(
            f"{one.where}, line 1" if one.headed else one.where, one.header, options.roles, needs
        )
        for one in sources
    ]
    columns = [_used(one, needs) for one in found]
    _same_roles(sources, columns)
    used = columns[0]
    if "behavior" not in used and files[0].behavior is None and not options.rated:
        ask_for_behaviors(first, found[0], told_apart(files))
    if "time" not in used:
        ask_for_times(first, found[0], options)
    # A column at a time: as text they take several times the place of what they say.
    taken = [
        one.read([next(iter(names.values()))]) for one, names in zip(sources, columns, strict=True)
    ]
    sizes = [len(one.blank) for one in taken]
    kept = [~one.blank for one in taken]
    count = int(sum(one.sum() for one in kept))
    if not count:
        raise InputError(f"{first.where} has no rows below its header; wanted interactions.")
    faults = Faults(options, Places(sources, columns, sizes), count)
    broken = np.concatenate([one.broken & good for one, good in zip(taken, kept, strict=True)])
    if broken.any():
        faults.wrong(FIELDS, np.flatnonzero(broken))
        faults.now()  # what such rows hold says nothing of a column's kind
        kept = [good & ~one.broken for one, good in zip(taken, kept, strict=True)]
    del taken
    whole = all(good.all() for good in kept)
    at = faults.at = None if whole else np.flatnonzero(np.concatenate(kept))
    meant: dict[str, Any] = {}
    for role in used:
        each = []
        for source, names, good in zip(sources, columns, kept, strict=True):
            column = source.read([names[role]]).frame[names[role]]
            each.append(_meant(role, column if whole else column.filter(good), options))
        meant[role] = _joined(role, each, first.where)
        faults.column(role, meant[role])
    bad = faults.now()
    own = "split" not in found[0].declined
    result = Read(
        users=meant["user"],
        items=meant["item"],
        behaviors=_behaviors(meant.get("behavior"), files, sizes, at),
        times=meant.get("time"),
        ratings=meant.get("rating"),
        parts=_parts(meant.get("split"), files, sizes, at) if own else None,
        roles=replace(
            found[0],
            columns=used,
            guessed=tuple(role for role in found[0].guessed if role in used),
        ),
        count=count,
        skipped=faults.counts,
        notes=[*_read_together(files), *(note for source in sources for note in source.notes)],
    )
    return result if bad is None else result.at(np.flatnonzero(~bad))


def _read_together(files: Sequence[File]) -> list[str]:
    if len(files) < 2:
        return []
    names = [one.path.name for one in files]
    listed = ", ".join(names if len(names) <= 5 else [*names[:4], "…", names[-1]])
    return [f"{len(names)} files were read as one table: {listed}."]


def _used(found: Roles, needs: Sequence[str]) -> dict[str, str]:
    """Columns that are read: ratings only where they are asked for."""
    return {role: name for role, name in found.columns.items() if role != "rating" or needs}


def _same_roles(sources: Sequence, columns: Sequence[dict[str, str]]) -> None:
    """InputError where files of one table do not say the same of their rows."""
    for source, names in zip(sources[1:], columns[1:], strict=True):
        for one, other, its, others in (
            (source, sources[0], names, columns[0]),
            (sources[0], source, columns[0], names),
        ):
            lacking = [role for role in others if role not in its]
            if lacking:
                raise InputError(
                    f"{one.where} has no column {others[lacking[0]]!r} for the {lacking[0]}, which "
                    f"{other.where} has; wanted files of one table, with the same columns."
                )


def _joined(role: str, each: Sequence, where: str):
    """What the columns of all files say together."""
    if role == "time":
        return times.joined(each, where)
    if len({one.dtype for one in each}) > 1:
        each = [one.cast(pl.String) for one in each]
    column = pl.concat(each) if len(each) > 1 else each[0]
    return cells.named(column) if role == "behavior" else column


def _meant(role: str, column: pl.Series, options: TableOptions):
    """What a column's cells say; null where one says nothing."""
    if role in ("user", "item"):
        return cells.ids(column)
    if role == "behavior":
        return cells.ids(column).cast(pl.String)
    if role == "rating":
        return cells.numbers(column)
    if role == "time":
        return times.parsed(column, options.time_format)
    words = cells.text(column).str.to_lowercase()
    return words.replace_strict(PARTS, default=None, return_dtype=pl.String)


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
