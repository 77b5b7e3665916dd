"""Rows that cannot be used: how many there are, why, and where the first one is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from ...errors import InputError
from ..dataset import Array
from . import times
from .options import TableOptions

FIELDS = "fields"  # the reason that a row could not be taken apart
WANTED = {
    "user": "a name or number of the user",
    "item": "a name or number of the item",
    "behavior": "a name or number of the behavior",
    "time": times.WANTED,
    "rating": "a number",
    "split": "train, valid or test",
}


class Places:
    """Where rows of several sources are."""

    def __init__(self, sources: Sequence, sizes: Sequence[int]):
        self._sources, self._starts = sources, np.cumsum([0, *sizes])

    def source(self, row: int):
        """The source of a row, and the row's number in it."""
        n = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._sources[n], row - int(self._starts[n])


class Faults:
    """What is wrong with rows, and whether that may be."""

    def __init__(self, options: TableOptions, places: Places, used: dict[str, str], count: int):
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
