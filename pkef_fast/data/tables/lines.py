"""Text tables line by line: what separates cells, which lines are odd, what quotes mean.

Every line of a file has a place in `Lines`, blank ones too, so that a row's line number is known
without a search. Quotes are quotes only in files whose every cell ends on its own line: four stray
ones would otherwise swallow all rows between them.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ...errors import InputError
from ..dataset import Array

SEPARATORS = ("\t", ",", ";", "|", "\x01", "::")
NEVER = "\x1e"  # a separator that no line has, so that a line is a cell
QUOTE = '"'
BOM = "\ufeff"
LONGEST = 2**20  # bytes of a first line
BLOCK = 2**22  # bytes that are looked at together
WHITE = 80  # bytes of a line of blanks, at most


@dataclass(frozen=True)
class Lines:
    """What a pass over a file's lines found.

    Attributes
    ----------
    count : int
        Lines, the header's too.
    blank : (count,) bool
        Lines without anything but blanks.
    odd : (count,) bool
        Lines with another number of cells than the first.
    quoted : bool
        Whether quotes enclose cells; else they are characters like others.
    stray : int
        Lines whose quotes do not enclose whole cells; all quotes are then read as text.
    """

    count: int
    blank: Array
    odd: Array
    quoted: bool
    stray: int


def first_line(path: Path) -> str:
    """The first line of a text file, packed or not, without its end.

    Raises
    ------
    InputError
        When it cannot be read, is no UTF-8, or has no end.
    """
    try:
        with _opened(path) as file:
            raw = file.readline(LONGEST)
    except (OSError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read: {said}; wanted a table.") from error
    try:
        text = raw.decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line 1: found byte {error.start} that is no UTF-8; wanted a text table in "
            "UTF-8."
        ) from error
    if "\0" in text or len(raw) == LONGEST:
        raise InputError(f"{path} is not a text table; wanted CSV in UTF-8, or Parquet.")
    return text.rstrip("\r\n")


def separator_of(line: str) -> str:
    """The separator that a first line has most of; of blanks, where there is no other."""
    counts = {one: line.count(one) for one in SEPARATORS}
    best = max(SEPARATORS, key=counts.get)
    return best if counts[best] else " "


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of one line."""
    if separator == " ":
        return line.split()
    if by_lines(separator):
        return line.split(separator)
    if QUOTE not in line:
        return line.split(separator) if line else []
    if separator == "\t":  # as R writes names
        return [re.sub(r'^"(.*)"$', r"\1", cell) for cell in line.split(separator)]
    return _unquoted(line, separator)


def _unquoted(line: str, separator: str) -> list[str]:
    """The cells of a line in which quotes may enclose some."""
    try:  # Python's reader takes a carriage return within a line for another line
        return next(csv.reader([line.replace("\r", " ")], delimiter=separator), [])
    except csv.Error:  # a cell beyond its limit
        return line.split(separator)


def looked_over(path: Path, separator: str, width: int) -> Lines:
    """One pass over a file's lines, a few megabytes at a time."""
    parts = [_part(block, separator, width) for block in blocks(path)]
    parts = parts or [(np.empty(0, bool),) * 3]
    odd, blank, quotes = (np.concatenate(part) for part in zip(*parts, strict=True))
    if by_lines(separator) or separator == "\t" or not quotes.any():
        return Lines(len(blank), blank, odd, False, 0)
    texts = collected(scan_lines(path), path)["line"].gather(np.flatnonzero(quotes))
    cell = rf'(?:[^"{re.escape(separator)}]*|"(?:[^"]|"")*")'
    whole = texts.str.contains(f"^{cell}(?:{re.escape(separator)}{cell})*$")
    if not whole.all():
        return Lines(len(blank), blank, odd, False, int((~whole).sum()))
    # A separator inside quotes is none.
    inside = texts.str.contains(rf'"[^"]*{re.escape(separator)}[^"]*"')
    at = np.flatnonzero(quotes)[inside.to_numpy()]
    wrong = (len(_unquoted(text, separator)) != width for text in texts.filter(inside))
    odd[at] = np.fromiter(wrong, bool, len(at))
    return Lines(len(blank), blank, odd, True, 0)


def by_lines(separator: str) -> bool:
    """Whether lines are taken apart here, since polars wants separators of one byte."""
    return separator == " " or len(separator.encode()) > 1


def blocks(path: Path) -> Iterator[bytes]:
    """A file's bytes in pieces of whole lines."""
    try:
        with _opened(path) as file:
            while block := file.read(BLOCK):
                yield block + file.readline()
    except (OSError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read: {said}; wanted a whole table.") from error


def _part(block: bytes, separator: str, width: int) -> tuple[Array, Array, Array]:
    """Of each line of a piece: whether it is odd, and blank, and has quotes; (L,) bool each."""
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.append(0, ends[:-1] + 1)
    if by_lines(separator):
        lines = [block[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        mark = None if separator == " " else separator.encode()
        cells = np.fromiter((len(line.split(mark)) for line in lines), np.int64, len(lines))
    else:
        cells = _count(data, ord(separator), ends) + 1
    blank = np.zeros(len(ends), bool)
    for n in np.flatnonzero(ends - starts <= WHITE):
        blank[n] = not block[starts[n] : ends[n]].strip()
    quotes = np.zeros(len(ends), bool)
    if QUOTE.encode() in block:
        quotes = _count(data, ord(QUOTE), ends) > 0
    return (cells != width) & ~blank, blank, quotes


def _count(data: Array, byte: int, ends: Array) -> Array:
    """How often a byte is in each line; lines end at `ends`."""
    return np.diff(np.searchsorted(np.flatnonzero(data == byte), ends), prepend=0)


def scan_lines(path: Path) -> pl.LazyFrame:
    """A file's lines as the column `line`; a line without anything is null."""
    schema = {"line": pl.String}
    return pl.scan_csv(
        path, has_header=False, separator=NEVER, quote_char=None, schema=schema, glob=False
    )


def collected(plan: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """A plan's frame; InputError where the file is no text."""
    try:
        return plan.collect(engine="streaming")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        said = str(error).partition("\n")[0]
        line = _not_utf8(path)
        where = f"{path}, line {line}" if line else str(path)
        raise InputError(
            f"{where}: cannot be read as text ({said}); wanted a table in UTF-8."
        ) from error


def _not_utf8(path: Path) -> int | None:
    """The first line that is no UTF-8, if that is what is wrong and can be found out."""
    if path.suffix.lower() == ".zst":  # polars unpacks these, and has said what it can
        return None
    try:
        with _opened(path) as file:
            for number, raw in enumerate(file, 1):
                try:
                    raw.decode("utf-8")
                except UnicodeDecodeError:
                    return number
    except (OSError, EOFError):
        pass
    return None


def _opened(path: Path):
    """A binary stream of a file's own bytes."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    if path.suffix.lower() == ".zst":
        return _Zst(path)
    return open(path, "rb")


class _Zst:
    """What a .zst file holds, by polars, which unpacks it: the first line, or all at once."""

    def __init__(self, path: Path):
        self._path, self._left = path, None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def readline(self, most: int = -1) -> bytes:
        if self._left is None:
            return self._lines(scan_lines(self._path).head(1))[:most]
        return b""

    def read(self, most: int) -> bytes:
        if self._left is None:
            self._left = self._lines(scan_lines(self._path))
            return self._left
        return b""

    def _lines(self, plan: pl.LazyFrame) -> bytes:
        frame = collected(plan, self._path)
        return b"".join((text or "").encode() + b"\n" for text in frame["line"])
