"""When interactions happened: numbers, dates with and without a zone, and their unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ...errors import InputError
from ..dataset import Array
from ..epochs import EARLIEST, LATEST, UNITS
from . import cells

WANTED = "a time: a number of 0 or more, a date as 2024-05-31 12:00:00, or one of --time-format"
DATES = "dates"
_DATE = (
    r"^(?<day>\d{4}[-/]\d{1,2}[-/]\d{1,2})"
    r"(?:[T ]+(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2})(?<part>[.,]\d+)?)?)?"
    r"\s*(?<zone>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$"
)
_SECOND = 10**6  # dates are counted in microseconds


class Times(NamedTuple):
    """Times of rows.

    values : Series (E,) Int64 or Float64
        Rising with time, in one unit; null where a cell is no time. Dates are microseconds.
    dates : bool
        Whether the cells were dates.
    """

    values: pl.Series
    dates: bool


def parsed(column: pl.Series, time_format: str | None) -> Times:
    """The times of a column's cells; null for those that are none."""
    kind = column.dtype
    if kind == pl.Date:
        return Times(column.cast(pl.Datetime("us")).cast(pl.Int64), True)
    if isinstance(kind, pl.Datetime):
        if kind.time_unit == "ns":  # a cast would round to the wrong side before 1970
            return Times(column.cast(pl.Int64) // 1000, True)
        return Times(column.cast(pl.Datetime("us", kind.time_zone)).cast(pl.Int64), True)
    if kind.is_numeric() and time_format is None:
        return Times(_numbers(column), False)
    whole = cells.ids(column)
    if whole.dtype == pl.Int64 and time_format is None:
        return Times(_numbers(whole), False)
    texts = cells.text(column)
    if time_format is not None:
        return Times(_formatted(texts, time_format), True)
    found = texts.cast(pl.Float64, strict=False)
    if found.null_count() <= (texts.len() + texts.null_count()) // 2:
        whole = texts.str.replace(r"\.0+$", "").cast(pl.Int64, strict=False)
        fits = whole.null_count() == found.null_count()
        return Times(_numbers(whole if fits else found), False)
    return Times(_dates(texts), True)


def joined(each: Sequence[Times], where: str) -> Times:
    """Times of several files; dates beside numbers are turned to dates if the unit is known."""
    if len({one.dates for one in each}) > 1:
        turned = []
        for one in each:
            unit = in_one_unit(Times(one.values.drop_nulls(), one.dates))
            if unit.name is None:
                raise InputError(
                    f"{where}: some files have dates and others numbers of an unknown unit; wanted "
                    "times of one kind."
                )
            scale = 1.0 if one.dates else _SECOND / UNITS[unit.name]
            turned.append(Times((one.values * scale).cast(pl.Int64), True))
        each = turned
    if len({one.values.dtype for one in each}) > 1:
        each = [one._replace(values=one.values.cast(pl.Float64)) for one in each]
    return (
        each[0] if len(each) == 1 else Times(pl.concat([one.values for one in each]), each[0].dates)
    )


def _numbers(values: pl.Series) -> pl.Series:
    """Numbers of 0 or more; whole ones as Int64."""
    if values.dtype.is_float():
        values = values.set(~values.is_finite(), None)
        there = values.drop_nulls()
        if (there == there.floor()).all() and (there.abs() < 2**62).all():
            values = values.cast(pl.Int64)
    else:
        values = values.cast(pl.Int64, strict=False)
    return values.set(values < 0, None)


def _formatted(texts: pl.Series, time_format: str) -> pl.Series:
    try:
        found = texts.str.to_datetime(time_format, time_unit="us", strict=False, exact=True)
        if found.null_count() == texts.len():
            found = texts.str.to_date(time_format, strict=False).cast(pl.Datetime("us"))
    except (pl.exceptions.PolarsError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise InputError(
            f"--time-format {time_format!r} cannot be used ({said}); wanted one of strptime, as "
            "%d.%m.%Y %H:%M."
        ) from error
    if len(texts) and found.null_count() == len(texts):
        raise InputError(
            f"--time-format {time_format!r} fits no time of the column {texts.name!r}, such as "
            f"{texts[0]!r}; wanted a format of strptime, as %d.%m.%Y %H:%M."
        )
    return found.cast(pl.Int64)


def _dates(texts: pl.Series) -> pl.Series:
    """Microseconds since 1970 of ISO dates; those without a zone are taken for UTC."""
    groups = texts.str.extract_groups(_DATE).struct.unnest()
    day = groups["day"].str.replace_all("/", "-").str.to_date("%Y-%m-%d", strict=False)
    hour, minute, second = (
        groups[name].cast(pl.Int64, strict=False).fill_null(0)
        for name in ("hour", "minute", "second")
    )
    part = groups["part"].str.replace(",", ".", literal=True)
    part = ("0" + part).cast(pl.Float64, strict=False).fill_null(0.0)
    zone = groups["zone"].str.replace(":", "", literal=True)
    sign = pl.Series([None] * 0, dtype=pl.Int64) if not len(zone) else _sign(zone)
    digits = zone.str.extract(r"(\d{2,4})$")
    hours = digits.str.slice(0, 2).cast(pl.Int64, strict=False).fill_null(0)
    minutes = digits.str.slice(2, 2).cast(pl.Int64, strict=False).fill_null(0)
    seconds = (hour - sign * hours) * 3600 + (minute - sign * minutes) * 60 + second
    found = day.cast(pl.Datetime("us")).cast(pl.Int64) + seconds * _SECOND
    found = found + (part * _SECOND).round().cast(pl.Int64)
    return found.set((hour > 23) | (minute > 59) | (second > 60), None)


def _sign(zone: pl.Series) -> pl.Series:
    return zone.str.starts_with("-").fill_null(False).cast(pl.Int64) * -2 + 1


class Unit(NamedTuple):
    """What numbers are counted in.

    values : (E,) int64 or float64
        In one unit.
    name : str or None
        One of seconds, milliseconds, microseconds, nanoseconds, dates; None: not known.
    mixed : dict of unit → rows, if there were several
    """

    values: Array
    name: str | None
    mixed: dict[str, int]


def in_one_unit(times: Times) -> Unit:
    """Numbers since 1970 in one unit; those of a finer unit are kept, those of a coarser turned.

    Numbers are times since 1970 if all lie between 1990 and 2100 in one of the units.
    """
    values = times.values.to_numpy()
    if times.dates:
        return Unit(values, DATES, {})
    masks = {unit: (values >= EARLIEST * n) & (values < LATEST * n) for unit, n in UNITS.items()}
    counts = {unit: int(np.count_nonzero(mask)) for unit, mask in masks.items()}
    there = {unit: count for unit, count in counts.items() if count}
    zeros = int(np.count_nonzero(values == 0))  # written where nobody knows when
    if not there or sum(there.values()) + zeros < len(values):
        return Unit(values, None, {})
    if len(there) == 1:
        return Unit(values, next(iter(there)), {})
    finest = max(there, key=UNITS.get)
    values = values.copy()
    for unit in there:
        values[masks[unit]] *= UNITS[finest] // UNITS[unit]
    return Unit(values, finest, there)
