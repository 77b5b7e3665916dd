"""Text tables in which quoted cells span lines, such as exports with what customers wrote.

They are read by Python's reader, slowly and as a whole, and only if all of a file follows the
rules: any stray quote would swallow rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from . import lines
from .sources import Held
from .text_file import TextFile


class SpannedFile(Held):
    """The rows of such a file; each has as many cells as the first."""

    headed = True

    def __init__(self, path: Path, header: Sequence[str], rows: list[list[str]], starts: list[int]):
        self.path, self.where, self.header = path, str(path), list(header)
        self._starts = starts
        self._frame = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row")
        self.notes = [f"{path}: some cells span several lines; it was read slowly."]

    def place(self, row: int) -> str:
        """Where a row begins, for a sentence."""
        return f"line {self._starts[row]}"


def spanned(source: TextFile) -> SpannedFile | None:
    """A file's rows if quoted cells span its lines; None if it is a table of other kind."""
    found = source.lines
    if not (source.headed and found.stray and found.odd.any()):
        return None
    text = b"".join(lines.blocks(source.path)).decode("utf-8", "replace").removeprefix(lines.BOM)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=source.separator, strict=True)
    rows, starts, begin = [], [], 1
    try:
        for row in reader:
            if row and (len(row) != source.width or _swallowed(row, source)):
                return None
            if row:
                rows.append(row)
                starts.append(begin)
            begin = reader.line_num + 1
    except csv.Error:
        return None
    return SpannedFile(source.path, source.header, rows[1:], starts[1:])


def _swallowed(row: list[str], source: TextFile) -> bool:
    """Whether a cell holds a line that may be a row of its own."""
    parts = (part for cell in row if "\n" in cell for part in cell.splitlines())
    return any(part.count(source.separator) >= source.width - 1 for part in parts)
