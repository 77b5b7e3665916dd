"""JSON lines: an object a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ...errors import InputError
from . import lines
from .forms import is_glob
from .lines import collected, scan_lines
from .sources import SAMPLE, Rows, no_names


class JsonFile:
    """A file of them; cells become text."""

    headed = False

    def __init__(self, path: Path, names: Sequence[str] | None):
        self.path, self.where, self.notes = path, str(path), []
        no_names(path, names, "JSON lines")
        first = lines.first_line(path)
        if first.lstrip().startswith("["):
            raise InputError(
                f"{path}, line 1: found a list; wanted JSON lines, an object with the user, the "
                "item and the behaviour on each line."
            )
        texts = collected(scan_lines(path).head(SAMPLE), path)["line"]
        keys: dict[str, None] = {}
        for text in texts:
            keys.update(dict.fromkeys(_object(text) or ()))
        if not keys:
            raise InputError(f"{path}, line 1: found {first[:60]!r}, wanted an object a line.")
        self.header = list(keys)

    def place(self, row: int) -> str:
        """Where a row is, for a sentence."""
        return f"line {row + 1}"

    def found(self, row: int) -> str:
        """What is wrong with a row that could not be taken apart, for a sentence."""
        (text,) = collected(scan_lines(self.path).slice(row, 1), self.path)["line"]
        return f"found {text[:60]!r}, wanted an object in JSON"

    def sample(self) -> pl.DataFrame:
        """The first rows, as text."""
        return self._slowly(self.header, collected(scan_lines(self.path).head(SAMPLE), self.path))

    def read(self, columns: Sequence[str]) -> Rows:
        """Some columns, as text."""
        rows = self._all
        return rows._replace(frame=rows.frame.select(columns))

    @cached_property
    def _all(self) -> Rows:
        columns = self.header
        frame = collected(scan_lines(self.path), self.path)
        text = frame["line"]
        blank = text.is_null() | (text.str.strip_chars() == "")
        blank = blank.fill_null(True).to_numpy()
        schema = dict.fromkeys(columns, pl.String)
        try:
            if blank.any() or is_glob(str(self.path)):  # which polars would expand
                raise pl.exceptions.ComputeError("rows would not be lines")
            found = pl.scan_ndjson(self.path, schema=schema).collect(engine="streaming")
            if found.height == frame.height:
                return Rows(found, blank, np.zeros(len(blank), bool))
        except pl.exceptions.PolarsError:
            pass
        broken = np.fromiter((_object(one) is None for one in text), bool, len(text))
        return Rows(self._slowly(columns, frame), blank, broken & ~blank)

    @staticmethod
    def _slowly(columns: Sequence[str], frame: pl.DataFrame) -> pl.DataFrame:
        """Each line by itself, so that one that is no JSON spoils no other."""
        rows = [_object(text) or {} for text in frame["line"]]
        cells = {name: [_text(row.get(name)) for row in rows] for name in columns}
        return pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String))


def _object(text: str | None) -> dict | None:
    """The object that a line is; None if it is none."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _text(value: Any) -> str | None:
    """A JSON value as a cell."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
