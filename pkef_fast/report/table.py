"""A table of results: the CSV that is kept, and the text that is shown of it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..store.files import write_text


@dataclass(frozen=True)
class Table:
    """Rows of values under named columns.

    Attributes
    ----------
    columns : tuple of str
    rows : list of tuple
        Strings, whole numbers, floats, and None where there is no value.
    """

    columns: tuple[str, ...]
    rows: list[tuple]

    def column(self, name: str) -> list[Any]:
        """The values of a column, from first row to last."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def records(self) -> Iterator[dict[str, Any]]:
        """Each row by column."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def write(self, path: str | os.PathLike[str]) -> None:
        """As CSV with a header row, dot decimals, and nothing in a cell for None."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if value is None else value for value in row] for row in self.rows)
        write_text(path, text.getvalue())

    @classmethod
    def read(cls, path: str | os.PathLike[str], columns: Mapping[str, type]) -> Table:
        """What `write` wrote.

        Parameters
        ----------
        columns : mapping of str → {str, int, float}
            What the header must name, and what each column holds.

        Raises
        ------
        InputError
            Naming the file, and the line and column of what is not as wanted.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}.") from error
        lines = csv.reader(io.StringIO(text))
        found = next(lines, [])
        if found != list(columns):
            raise InputError(
                f"{path} has the columns {', '.join(found) or 'of no header'}; wanted "
                f"{', '.join(columns)}."
            )
        rows = []
        for line in lines:
            where = f"{path}, line {lines.line_num}"
            if len(line) != len(found):
                raise InputError(f"{where}: {len(line)} fields; wanted {len(found)}.")
            cells = zip(columns.items(), line, strict=True)
            rows.append(
                tuple(_value(cell, kind, f"{where}, {name}") for (name, kind), cell in cells)
            )
        return cls(tuple(found), rows)

    def markdown(self) -> str:
        """As a Markdown table; floats with four decimals."""
        lines = [self.columns, ("---",) * len(self.columns), *map(_cells, self.rows)]
        return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _value(cell: str, kind: type, where: str) -> Any:
    """A cell as its column's kind; None where it is empty."""
    if not cell:
        return None
    try:
        return kind(cell)
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}[kind]
        raise InputError(f"{where}: {cell!r}; wanted {wanted}.") from None


def _cells(row: tuple) -> list[str]:
    shown = ((f"{value:.4f}" if isinstance(value, float) else value) for value in row)
    return ["–" if value is None else str(value).replace("|", "\\|") for value in shown]
