"""What cells say: ids and names without blanks, whole numbers however they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from ...errors import InputError
from ..dataset import Array

MISSING = ("", "nan", "null", "none", "<na>", "nat")
PIECE = 2**18  # cells that are worked on together: each step makes a copy
_WHOLE = r"^-?(0|[1-9][0-9]{0,17})(\.0+)?$"  # within int64; 007 is text


def ids(cells: pl.Series) -> pl.Series:
    """Ids (E,): Int64 where all are whole numbers, else String; null where a cell is missing.

    Blanks around a cell do not count, 101.0 is 101, and bytes are text in UTF-8.
    """
    kind = cells.dtype
    if kind.is_integer():
        low, high = cells.min() or 0, cells.max() or 0
        fits = low >= -(2**63) and high < 2**63
        return cells.cast(pl.Int64 if fits else pl.String)
    if kind.is_float():
        cells = cells.fill_nan(None)
        there = cells.drop_nulls()
        if (there == there.floor()).all() and (there.abs() < 2**53).all():
            return cells.cast(pl.Int64)
        return _as_written(cells.cast(pl.String))
    return _whole(cells) if cells.dtype == pl.String else _whole(text(cells))


def _whole(cells: pl.Series) -> pl.Series:
    """Text as Int64 where all of it, and some, are whole numbers; else as it is."""
    numbers, any_there = [], False
    for piece in _pieces(cells):
        texts = _stripped(piece)
        there = texts.drop_nulls()
        any_there = any_there or len(there) > 0
        if not there.str.contains(_WHOLE).all():
            return _as_written(text(cells))
        numbers.append(texts.str.replace(r"\.0+$", "").cast(pl.Int64))
    return pl.concat(numbers) if any_there else text(cells)


def _as_written(texts: pl.Series) -> pl.Series:
    """Text ids; 101.0 among them is 101, as a gap in a column of numbers makes it."""
    return texts.str.replace(r"^(-?(?:0|[1-9][0-9]{0,17}))\.0+$", "$1")


def text(cells: pl.Series) -> pl.Series:
    """Cells as String, without blanks around them; null where one is missing."""
    if cells.dtype == pl.Binary:
        cells = pl.Series(cells.name, [_decoded(one) for one in cells], pl.String)
    if cells.dtype.is_nested() or cells.dtype in (pl.Duration, pl.Object):
        raise InputError(
            f"column {cells.name!r} holds {cells.dtype}; wanted numbers, text or times."
        )
    if not len(cells):
        return cells.cast(pl.String)
    return pl.concat([_stripped(piece.cast(pl.String)) for piece in _pieces(cells)])


def _decoded(one: bytes | None) -> str | None:
    """Bytes as text; as hexadecimal digits where they are none, so that they stay distinct."""
    try:
        return None if one is None else one.decode()
    except UnicodeDecodeError:
        return one.hex()


def _pieces(cells: pl.Series) -> Iterator[pl.Series]:
    return (cells.slice(start, PIECE) for start in range(0, len(cells), PIECE))


def _stripped(cells: pl.Series) -> pl.Series:
    texts = cells.str.strip_chars()
    return texts.set(texts.str.to_lowercase().is_in(MISSING), None)


def named(names: pl.Series) -> pl.Series:
    """Names as an Enum (E,), whose categories rise: a few bytes each, however long they are."""
    names = names.cast(pl.String)
    return names.cast(pl.Enum(names.drop_nulls().unique().sort()))


def numbers(cells: pl.Series) -> pl.Series:
    """Cells as Float64; null where one is no number, or not finite."""
    if not cells.dtype.is_numeric():
        cells = text(cells)
    found = cells.cast(pl.Float64, strict=False)
    return found.set(~found.is_finite(), None)


def coded(cells: pl.Series) -> tuple[Array, Sequence]:
    """Codes (E,) int32 of cells that are all there, and the distinct ones, rising.

    Numbers rise as numbers, text by its characters.
    """
    if cells.dtype == pl.Int64:
        values = cells.to_numpy()
        distinct = cells.unique().sort().to_numpy()
        if len(distinct) and int(distinct[-1]) - int(distinct[0]) < 8 * len(values) + 1024:
            table = np.zeros(int(distinct[-1] - distinct[0]) + 1, np.int32)
            table[distinct - distinct[0]] = np.arange(len(distinct), dtype=np.int32)
            return table[values - distinct[0]], distinct
        return np.searchsorted(distinct, values).astype(np.int32), distinct
    if not isinstance(cells.dtype, pl.Enum):
        cells = named(cells)
    codes, names = cells.to_physical().to_numpy(), cells.dtype.categories.to_list()
    there = np.bincount(codes, minlength=len(names)) > 0  # rows may have been left out since
    number = np.cumsum(there, dtype=np.int32) - np.int32(1)
    return number[codes], [name for name, one in zip(names, there.tolist(), strict=True) if one]
