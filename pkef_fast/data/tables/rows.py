"""The rows of a table, checked: who, what, which behaviour, when; and what is wrong with others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from ...errors import InputError
from ..dataset import Array
from . import cells, roles, times
from .files import PARTS, TRAIN, File
from .options import TableOptions
from .roles import Roles
from .sources import SAMPLE

FIELDS = "fields"  # the reason that a row could not be taken apart
ONE_BEHAVIOR = "interaction"  # the name of a table's only behaviour
FEW = 12  # distinct values that a column of behaviours may have
WANTED = {
    "user": "a name or number of the user",
    "item": "a name or number of the item",
    "behavior": "a name or number of the behavior",
    "time": times.WANTED,
    "rating": "a number",
    "split": "train, valid or test",
}


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
        _ask_for_behaviors(first, found)
    if "time" not in found.columns:
        _ask_for_times(first, found, options)
    used = {role: name for role, name in found.columns.items() if role != "rating" or needs}
    for source in sources[1:]:
        _same_columns(source, first, used)
    # A column at a time: as text they take several times the place of what they say.
    role, *rest = used
    column, blanks, brokens = _column(sources, used[role])
    sizes = [len(one) for one in blanks]
    places = _Places(sources, sizes)
    kept = ~np.concatenate(blanks)
    count = int(kept.sum())
    if not count:
        raise InputError(f"{first.where} has no rows below its header; wanted interactions.")
    check = _Check(options, places, used, count)
    broken = np.concatenate(brokens) & kept
    if broken.any():
        check.wrong(FIELDS, np.flatnonzero(broken), lambda row: (FIELDS, None))
        check.now()  # what such rows hold says nothing of a column's kind
        kept &= ~broken
    at = check.at = None if kept.all() else np.flatnonzero(kept)
    columns = {}
    while True:
        column = column if at is None else column[at]
        columns[role] = _meant(role, column, options)
        check.column(role, columns[role], column)
        if not rest:
            break
        role, *rest = rest
        column, *_ = _column(sources, used[role])
    notes = [note for source in sources for note in source.notes]
    bad = check.now()
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
        skipped=check.counts,
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


class _Places:
    """Where rows of several sources are."""

    def __init__(self, sources: Sequence, sizes: Sequence[int]):
        self._sources, self._starts = sources, np.cumsum([0, *sizes])

    def source(self, row: int):
        """The source of a row, and the row's number in it."""
        n = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._sources[n], row - int(self._starts[n])


class _Check:
    """What is wrong with rows, and whether that may be."""

    def __init__(self, options: TableOptions, places: _Places, used: dict[str, str], count: int):
        self.options, self.places, self.used, self.count = options, places, used, count
        self.at: Array | None = None  # row numbers in the sources of the rows that are looked at
        self.counts: dict[str, int] = {}
        self._first: tuple[int, Callable[[int], tuple[str, object]]] | None = None
        self._bad: Array | None = None

    def column(self, role: str, meant, column: pl.Series) -> None:
        """Rows whose cell of this role says nothing."""
        values = meant.values if isinstance(meant, times.Times) else meant
        if not values.null_count():
            return
        wrong = values.is_null().to_numpy()
        self._bad = wrong if self._bad is None else self._bad | wrong
        rows = np.flatnonzero(wrong)
        cell = _shown(column[int(rows[0])])
        self.wrong(role, rows if self.at is None else self.at[rows], lambda row: (role, cell))

    def wrong(self, reason: str, rows: Array, said: Callable[[int], tuple[str, object]]) -> None:
        """Rows (their numbers in the sources) that are wrong for a reason."""
        self.counts[reason] = len(rows)
        if self._first is None or rows[0] < self._first[0]:
            self._first = int(rows[0]), said

    def now(self) -> Array | None:
        """The mask of the rows to leave out; InputError where that is not allowed."""
        total = self.counts.get(FIELDS, 0)
        total += 0 if self._bad is None else int(self._bad.sum())
        allowed = self.options.allowed
        if total and allowed is None:
            raise InputError(f"{self._sentence()}; --bad-rows skip leaves such rows out.")
        if total and allowed != (None, None):
            most, share = allowed
            if total > (most if most is not None else share * self.count):
                listed = ", ".join(f"{reason} {n}" for reason, n in self.counts.items())
                raise InputError(
                    f"{total} of {self.count} rows cannot be used ({listed}), more than --bad-rows "
                    f"{self.options.bad_rows} allows; the first is {self._sentence()}."
                )
        if total == self.count:
            raise InputError(f"no row can be used; the first is {self._sentence()}.")
        return self._bad

    def _sentence(self) -> str:
        row, said = self._first
        role, cell = said(row)
        source, inside = self.places.source(row)
        where = f"{source.where}, {source.place(inside)}"
        if role == FIELDS:
            return f"{where}: {source.found(inside)}"
        return f"{where}, field {self.used[role]}: found {cell!r}, wanted {WANTED[role]}"


def _shown(cell: object) -> object:
    """An empty cell as text, which it was in most forms."""
    return "" if cell is None else cell


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


def _ask_for_behaviors(source, found: Roles) -> None:
    """InputError where another column may hold the behaviour."""
    if "behavior" in found.declined:
        return
    sample = source.sample()
    for name in _unread(sample, found):
        texts = cells.text(sample[name]).drop_nulls()
        if texts.cast(pl.Float64, strict=False).null_count() < texts.len():
            continue  # numbers
        if 2 <= texts.n_unique() <= FEW:
            values = ", ".join(sorted(texts.unique().to_list())[:5])
            raise InputError(
                f"{source.where} has no column that is known as the behavior, and {name!r} "
                f"({values}) may be it; wanted --columns behavior={name}, or --columns "
                "behavior=none if all rows are of one behavior."
            )


def _ask_for_times(source, found: Roles, options: TableOptions) -> None:
    """InputError where another column holds times: without them the split would be a random one."""
    if "time" in found.declined or options.split_by[0] in ("random", "none"):
        return
    sample = source.sample()
    for name in _unread(sample, found):
        column = sample[name]
        if column.dtype.is_float() or column.dtype.is_nested():
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
    return [name for name in sample.columns if name not in taken and len(sample) <= SAMPLE]
