"""Reading interaction tables from CSV and TSV files, with line numbers for what is wrong."""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from .columns import Table, bad_cell, find_columns, is_missing, parse_times, require_columns
from .dataset import Array

DELIMITERS = ",\t;|"
CHUNK_ROWS = 100_000  # rows held as Python text at a time
_FIELDS = {"user": "user", "item": "item", "behavior": "behavior"}


def read_csv(path: Path) -> Table:
    """The table of a CSV or TSV file with a header line.

    Raises
    ------
    InputError
        With file, line, field, what was found and what was wanted.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _read(path, file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; wanted a table.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a text table: {error}; wanted CSV in UTF-8.") from error


def _read(path: Path, file) -> Table:
    first = file.readline()
    delimiter = max(DELIMITERS, key=first.count)
    header = next(csv.reader([first], delimiter=delimiter), [])
    columns = find_columns(header)
    require_columns(path, columns, header)
    lines = _Lines(path, delimiter)
    codes = {name: defaultdict(itertools.count().__next__) for name in _FIELDS}
    parts: dict[str, list[Array]] = {name: [] for name in _FIELDS}
    times: list[str] = []
    rows = csv.reader(file, delimiter=delimiter)
    for start, chunk in _chunks(rows):
        _check_widths(chunk, start, len(header), path, lines)
        cells = {name: [row[at] for row in chunk] for name, at in columns.items()}
        if "value" in cells:
            _check_values(cells["value"], start, header[columns["value"]], path, lines)
        for name in _FIELDS:
            number = codes[name].__getitem__
            parts[name].append(np.fromiter(map(number, cells[name]), np.int64, len(chunk)))
        times += cells.get("time", ())
    users, items, behaviors = (np.concatenate([np.empty(0, np.int64), *parts[n]]) for n in _FIELDS)
    for name, column in zip(_FIELDS, (users, items, behaviors), strict=True):
        _check_labels(codes[name], column, header[columns[name]], path, lines)
    return Table(
        path=path,
        users=users,
        items=items,
        behaviors=behaviors,
        user_labels=list(codes["user"]),
        item_labels=list(codes["item"]),
        behavior_labels=list(codes["behavior"]),
        time=_times(times, header[columns["time"]], path, lines) if "time" in columns else None,
        place=lines.place,
    )


def _chunks(rows) -> Iterator[tuple[int, list[list[str]]]]:
    """Rows that are not blank, many at a time, with the number of the first."""
    rows = filter(None, rows)
    start = 0
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        yield start, chunk
        start += len(chunk)


class _Lines:
    """Where a row is in the file; looked up only to report an error."""

    def __init__(self, path: Path, delimiter: str):
        self._path, self._delimiter = path, delimiter

    def place(self, row: int) -> str:
        with open(self._path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            next(reader)
            begin = reader.line_num + 1
            for cells in reader:
                if cells:
                    if row == 0:
                        return f"line {begin}"
                    row -= 1
                begin = reader.line_num + 1
        return f"row {row}"


def _check_widths(chunk, start: int, width: int, path: Path, lines: _Lines) -> None:
    if set(map(len, chunk)) == {width}:
        return
    row, cells = next((r, cells) for r, cells in enumerate(chunk) if len(cells) != width)
    raise InputError(
        f"{path}, {lines.place(start + row)}: found {len(cells)} fields, wanted {width} as in the "
        "header."
    )


def _check_values(cells: Sequence[str], start: int, field: str, path: Path, lines: _Lines) -> None:
    wanted = "a number above 0"
    values = _numbers(cells)
    if values is None:
        values = np.array([_number(cell) for cell in cells])
    wrong = np.flatnonzero(~(values > 0))
    if len(wrong):
        row = int(wrong[0])
        raise bad_cell(path, lines.place(start + row), field, cells[row], wanted)


def _numbers(cells: Sequence[str]) -> Array | None:
    try:
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def _check_labels(codes: dict[str, int], column: Array, field: str, path: Path, lines) -> None:
    for label, code in codes.items():
        if is_missing(label):
            row = int(np.argmax(column == code))
            raise bad_cell(path, lines.place(row), field, label, f"a name or number of the {field}")


def _times(cells: Sequence[str], field: str, path: Path, lines: _Lines) -> Array:
    wanted = "a time: a number of 0 or more, or a date as 2024-05-31 12:00:00"
    try:
        times = parse_times(cells)
    except ValueError:
        row = _first_odd(cells)
        raise bad_cell(path, lines.place(row), field, cells[row], wanted) from None
    is_number = times.dtype.kind == "f" or _numbers(cells[:1]) is not None
    wrong = np.flatnonzero(~(times >= 0)) if is_number else ()
    if len(wrong):
        row = int(wrong[0])
        raise bad_cell(path, lines.place(row), field, cells[row], wanted)
    return times


def _first_odd(cells: Sequence[str]) -> int:
    """The first cell that is not of the first good cell's kind, number or date."""

    def kind(cell: str) -> Callable | None:
        for parse in (_numbers, parse_times):
            try:
                if parse([cell]) is not None:
                    return parse
            except ValueError:
                continue
        return None

    usual = next((k for k in map(kind, cells) if k is not None), None)
    return next(row for row, cell in enumerate(cells) if kind(cell) is None or kind(cell) != usual)
