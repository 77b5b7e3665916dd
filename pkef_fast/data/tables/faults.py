"""Rows that cannot be used: how many there are, why, and where the first one is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
    "split": "train, valid or test, or --columns split=none",
}


class Places:
    """Where rows of several sources are, and what they hold.

    Parameters
    ----------
    sources : sequence
    columns : a dict of role → column's name for each
    sizes : rows of each
    """

    def __init__(self, sources: Sequence, columns: Sequence[dict[str, str]], sizes: Sequence[int]):
        self._sources, self._columns = sources, columns
        self._starts = np.cumsum([0, *sizes])

    def sentence(self, row: int, reason: str) -> str:
        """What is wrong with a row."""
        n = int(np.searchsorted(self._starts, row, side="right")) - 1
        source, inside = self._sources[n], row - int(self._starts[n])
        where = f"{source.where}, {source.place(inside)}"
        if reason == FIELDS:
            return f"{where}: {source.found(inside)}"
        name = self._columns[n][reason]
        cell = source.read([name]).frame[name][inside]
        found = "" if cell is None else cell  # which an empty cell was in most forms
        return f"{where}, field {name}: found {found!r}, wanted {WANTED[reason]}"


class Faults:
    """What is wrong with rows, and whether that may be."""

    def __init__(self, options: TableOptions, places: Places, count: int):
        self.options, self.places, self.count = options, places, count
        self.at: Array | None = None  # row numbers in the sources of the rows that are looked at
        self.counts: dict[str, int] = {}
        self._first: tuple[int, str] | None = None
        self._bad: Array | None = None

    def column(self, role: str, meant) -> None:
        """Rows whose cell of this role says nothing."""
        values = meant.values if isinstance(meant, times.Times) else meant
        if not values.null_count():
            return
        wrong = values.is_null().to_numpy()
        self._bad = wrong if self._bad is None else self._bad | wrong
        rows = np.flatnonzero(wrong)
        self.wrong(role, rows if self.at is None else self.at[rows])

    def wrong(self, reason: str, rows: Array) -> None:
        """Rows (their numbers in the sources) that are wrong for a reason."""
        self.counts[reason] = len(rows)
        if self._first is None or rows[0] < self._first[0]:
            self._first = int(rows[0]), reason

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
        return self.places.sentence(*self._first)
