"""Tables wherever they lie: text, JSON lines, Parquet, or a frame in memory.

Each source has a `header`, a `sample` of its first rows, and `read`, which gives some columns and
which rows could not be taken apart. Text cells stay text here: what they mean is said later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ...errors import InputError
from ..dataset import Array
from . import lines
from .forms import JSON, PARQUET, ending
from .lines import Lines, collected, scan_lines
from .roles import looks_like_header

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


def source_of(path: Path, names: Sequence[str] | None, separator: str | None):
    """The source that a file is; `names` of its columns, if it has no header."""
    kind = ending(path)
    if kind in PARQUET:
        return ParquetFile(path, names)
    if kind in JSON:
        return JsonFile(path, names)
    return TextFile(path, names, separator)


class TextFile:
    """A text table: CSV, TSV, RecBole's atomic files, or cells between any other separator."""

    def __init__(self, path: Path, names: Sequence[str] | None, separator: str | None):
        self.path, self.where = path, str(path)
        first = lines.first_line(path)
        self.separator = _separator(separator) or lines.separator_of(first)
        cells = lines.cells_of(first, self.separator)
        self.width = len(cells)
        self.headed = names is None
        if names is not None and len(names) != self.width:
            raise InputError(
                f"{path}, line 1: found {self.width} cells, wanted {len(names)}, as --columns "
                f"names ({', '.join(names)})."
            )
        if names is not None and looks_like_header(cells):
            raise InputError(
                f"{path}, line 1: found names of columns ({', '.join(cells)}), but --columns names "
                "them in order, as of a file without header; wanted --columns role=name,…."
            )
        self.header = _distinct(cells if names is None else names)

    @cached_property
    def lines(self) -> Lines:
        """What a pass over all lines found."""
        return lines.looked_over(self.path, self.separator, self.width)

    @property
    def notes(self) -> list[str]:
        """What a user should know."""
        if not self.lines.stray:
            return []
        return [
            f"{self.path}: {self.lines.stray} lines have a quote that is not closed; quotes were "
            "read as text."
        ]

    def place(self, row: int) -> str:
        """Where a row is, for a sentence."""
        return f"line {row + 1 + self.headed}"

    def found(self, row: int) -> str:
        """What is wrong with a row that could not be taken apart, for a sentence."""
        plan = scan_lines(self.path).slice(row + self.headed, 1)
        (text,) = collected(plan, self.path)["line"]
        count = len(lines.cells_of(text, self.separator))
        return f"found {count} fields, wanted {self.width} as in the " + (
            "header" if self.headed else "first line"
        )

    def sample(self) -> pl.DataFrame:
        """The first rows, as text."""
        return collected(self._plan(self.header, self.lines.quoted).head(SAMPLE), self.path)

    def read(self, columns: Sequence[str]) -> Rows:
        """Some columns, as text."""
        found = self.lines
        frame = collected(self._plan(columns, found.quoted), self.path)
        blank, odd = found.blank[self.headed :], found.odd[self.headed :]
        return Rows(frame, blank, odd)

    def _plan(self, columns: Sequence[str], quoted: bool) -> pl.LazyFrame:
        if len(self.separator) > 1 or self.separator == " ":
            line = pl.col("line").fill_null("")
            if self.separator == " ":
                line = line.str.strip_chars().str.replace_all(r"\s+", " ")
            at = [self.header.index(name) for name in columns]
            cells = line.str.split(self.separator)
            chosen = [cells.list.get(n, null_on_oob=True).alias(self.header[n]) for n in at]
            return scan_lines(self.path).slice(self.headed).select(chosen)
        plan = pl.scan_csv(
            self.path,
            has_header=False,
            separator=self.separator,
            quote_char=lines.QUOTE if quoted and self.separator != "\t" else None,
            schema=dict.fromkeys(self.header, pl.String),
            truncate_ragged_lines=True,
        )
        return plan.slice(self.headed).select(columns)


class JsonFile:
    """JSON lines: an object a line."""

    headed = False

    def __init__(self, path: Path, names: Sequence[str] | None):
        self.path, self.where, self.notes = path, str(path), []
        _no_names(path, names, "JSON lines")
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
            if blank.any():
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


class ParquetFile:
    """A Parquet file, by polars; by pyarrow where that knows a type that polars does not."""

    headed = False

    def __init__(self, path: Path, names: Sequence[str] | None):
        self.path, self.where, self.notes = path, str(path), []
        _no_names(path, names, "Parquet")
        self.header = self._first_of(
            lambda: list(pl.read_parquet_schema(path)), lambda file: list(file.schema_arrow.names)
        )

    def place(self, row: int) -> str:
        """Where a row is, for a sentence."""
        return f"row {row}"

    def sample(self) -> pl.DataFrame:
        """The first rows."""
        return self._frame(self.header, SAMPLE)

    def read(self, columns: Sequence[str]) -> Rows:
        """Some columns."""
        frame = self._frame(columns)
        none = np.zeros(frame.height, bool)
        return Rows(frame, none, none)

    def _frame(self, columns: Sequence[str], rows: int | None = None) -> pl.DataFrame:
        plan = pl.scan_parquet(self.path).select(columns)
        plan = plan if rows is None else plan.head(rows)
        return self._first_of(
            lambda: plan.collect(engine="streaming"),
            lambda file: pl.from_arrow(file.read(columns=list(columns)).slice(0, rows)),
        )

    def _first_of(self, by_polars: Callable[[], Any], by_pyarrow: Callable[[Any], Any]) -> Any:
        """What polars reads; what pyarrow does where polars cannot; else InputError."""
        try:
            return by_polars()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            first, said = error, str(error).partition("\n")[0]
        try:
            import pyarrow.parquet

            return by_pyarrow(pyarrow.parquet.ParquetFile(self.path))
        except ImportError:
            pass
        except (ValueError, TypeError, OSError, RuntimeError, MemoryError) as error:
            said = str(error).partition("\n")[0]
        except pl.exceptions.PolarsError as error:
            said = str(error).partition("\n")[0]
        raise InputError(f"{self.path} cannot be read as Parquet: {said}.") from first


class Frame:
    """A table in memory: a polars or pandas DataFrame, or whatever has the Arrow interface."""

    headed, path = False, None

    def __init__(self, frame: Any, name: str = "the frame"):
        self.where, self.notes = name, []
        try:
            self._frame = _polars(frame)
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            kind = type(frame).__name__
            raise InputError(
                f"{name} is of type {kind}, which cannot be read as a table ({error}); wanted a "
                "pandas or polars DataFrame, or another table with the Arrow interface."
            ) from error
        if not self._frame.columns:
            raise InputError(f"{name} has no columns; wanted a user, an item and a behavior.")
        self.header = self._frame.columns

    def place(self, row: int) -> str:
        """Where a row is, for a sentence."""
        return f"row {row}"

    def sample(self) -> pl.DataFrame:
        """The first rows."""
        return self._frame.head(SAMPLE)

    def read(self, columns: Sequence[str]) -> Rows:
        """Some columns."""
        none = np.zeros(self._frame.height, bool)
        return Rows(self._frame.select(columns), none, none)


def _polars(frame: Any) -> pl.DataFrame:
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    arrow = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__", "iloc")
    if not isinstance(frame, Mapping) and not any(hasattr(frame, name) for name in arrow):
        raise TypeError("it has no Arrow interface")
    try:
        return pl.DataFrame(frame, strict=False)
    except ImportError:  # a pandas frame, which polars reads by pyarrow
        return pl.DataFrame({str(name): frame[name].tolist() for name in frame.columns})


def _separator(given: str | None) -> str | None:
    """A separator as a user types it: \\t is a tab."""
    if given is None:
        return None
    text = {"tab": "\t", "\\t": "\t", "space": " ", "\\x01": "\x01"}.get(given, given)
    if not text or lines.QUOTE in text or "\n" in text:
        raise InputError(f"--separator cannot be {given!r}; wanted what stands between cells.")
    return text


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of columns; a repeated one gets its place behind it, so that each can be named."""
    seen: set[str] = set()
    result = []
    for place, name in enumerate(names, 1):
        result.append(name if name not in seen else f"{name} ({place})")
        seen.add(name)
    return result


def _no_names(path: Path, names: Sequence[str] | None, kind: str) -> None:
    if names is not None:
        raise InputError(
            f"{path} is {kind}, whose columns have names; wanted --columns role=name,…, and no "
            "list of names in order."
        )


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
