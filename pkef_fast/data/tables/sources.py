"""What a source of rows is, wherever they lie: text, JSON lines, Parquet, or a frame in memory.

Each has a `header`, a `sample` of its first rows, `read`, which gives some columns and which rows
could not be taken apart, `place` and, where rows may be broken, `found`, for sentences about a row.
Text cells stay text here: what they mean is said later.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from ...errors import InputError
from ..dataset import Array

SAMPLE = 10_000  # rows that are looked at to find out what a column holds


class Rows(NamedTuple):
    """Columns of a source, and which rows are none.

    frame : DataFrame
        The columns that were asked for, one row for each of the source's.
    blank : (E,) bool
        Rows that are no rows: blank lines.
    broken : (E,) bool
        Rows that could not be taken apart.
    """

    frame: pl.DataFrame
    blank: Array
    broken: Array


class Held:
    """A source whose rows are all in memory, whole, as `_frame`."""

    _frame: pl.DataFrame

    def sample(self) -> pl.DataFrame:
        """The first rows."""
        return self._frame.head(SAMPLE)

    def read(self, columns: Sequence[str]) -> Rows:
        """Some columns."""
        none = np.zeros(self._frame.height, bool)
        return Rows(self._frame.select(columns), none, none)


def no_names(path: Path, names: Sequence[str] | None, kind: str) -> None:
    """InputError for a list of names in order where columns have names."""
    if names is not None:
        raise InputError(
            f"{path} is {kind}, whose columns have names; wanted --columns role=name,…, and no "
            "list of names in order."
        )
