"""Text tables: CSV, TSV, RecBole's files, or cells between any other separator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import polars as pl

from ...errors import InputError
from . import lines
from .lines import Lines, collected, scan_lines
from .roles import looks_like_header
from .sources import SAMPLE, Rows


class TextFile:
    """A text table, with a header or with names that are given."""

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
            f"{self.path}: {self.lines.stray} lines have quotes that enclose no whole cell; quotes "
            "were read as text."
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
        if found.stray or self.separator == "\t":  # quotes around a whole cell are no part of it
            frame = frame.with_columns(pl.all().str.replace(r'^\s*"(.*)"\s*$', "$1"))
        blank, odd = found.blank[self.headed :], found.odd[self.headed :]
        return Rows(frame, blank, odd)

    def _plan(self, columns: Sequence[str], quoted: bool) -> pl.LazyFrame:
        if lines.by_lines(self.separator):
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
            glob=False,
        )
        return plan.slice(self.headed).select(columns)


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
