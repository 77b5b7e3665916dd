"""Which target pairs of a table are held out, and until when is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ...errors import InputError
from .. import split as splits
from ..dataset import Array
from ..epochs import EARLIEST, UNITS
from ..split import Events
from . import times
from .numbered import Numbered
from .options import TableOptions
from .times import DATES, Unit

SECOND = {**UNITS, DATES: 10**6}  # of each unit


class HeldOut(NamedTuple):
    """Target pairs of the test.

    said : how they were chosen, for people
    kind : of Dataset.split
    taken_out : whether they are among the events, and must be taken out of train
    until : what is learned from is earlier; None: there is no such time
    validation : users and items of the target pairs that the table holds out to choose by
    """

    users: Array
    items: Array
    said: str
    kind: str | None
    taken_out: bool
    until: float | None = None
    validation: tuple[Array, Array] | None = None


def held_out(
    numbered: Numbered,
    events: Mapping[str, Events],
    behaviors: Sequence[str],
    options: TableOptions,
    where: str,
) -> HeldOut:
    """What the options hold out of distinct events.

    Raises
    ------
    InputError
        When a split by time is asked for and there are no times.
    """
    kind, value = options.split_by
    target = behaviors[-1]
    found = events[target]
    if kind in ("time", "global-time") and found.time is None:
        raise InputError(
            f"{where} has no column of times, which --split {kind} needs; wanted "
            "--columns time=NAME, or --split random."
        )
    kind = kind or ("random" if found.time is None else "time")
    if kind == "none":
        none = np.empty(0, np.int32)
        return HeldOut(none, none, "nothing, all is learned from", "none", taken_out=False)
    if kind == "random":
        at = splits.random(found, options.seed)
        said = f"a random {target} of each user with two or more"
        if numbered.time is None:
            said += ", for there is no column of times"
        return HeldOut(found.users[at], found.items[at], said, "random", taken_out=True)
    if kind == "time":
        at, ties = splits.latest(found, options.seed)
        said = f"the latest {target} of each user with two or more"
        if ties:
            said += f" (of {len(at)}, {ties} drawn among equal times)"
        return HeldOut(found.users[at], found.items[at], said, "time", taken_out=True)
    until = _until(found, value, numbered.unit, where)
    late = found.chosen(found.time >= until)
    known = np.zeros(len(numbered.user_ids), bool)
    for name in behaviors:
        one = events[name]
        known[one.users[one.time < until]] = True
    test = late.chosen(known[late.users])
    said = f"every {target} from {value} on of users that are known before"
    said += f" ({len(late.users) - len(test.users)} of others were left out)"
    return HeldOut(test.users, test.items, said, "global-time", taken_out=False, until=until)


def _until(found: Events, value: str, unit: Unit | None, where: str) -> float:
    """The time from which on nothing is learned from, in the table's unit."""
    try:
        share = float(value)
    except ValueError:
        share = None
    if share is not None and 0 < share < 1:
        return float(np.quantile(found.time, 1 - share))
    return moment("--split global-time", value, unit, where)


def moment(option: str, value: str, unit: Unit | None, where: str) -> float:
    """A date, or a number in the table's unit, as a number in this unit."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        number = None
    if number is not None:
        least = 0 if unit is None or unit.name is None else EARLIEST * SECOND[unit.name]
        if not least <= number < float("inf"):
            raise InputError(
                f"{option} cannot be {value!r}: in the unit of the times that is no time of these "
                "days; wanted a date as 2017-12-03."
            )
        return number
    parsed = times.parsed(pl.Series([text]), None)
    if not parsed.dates or parsed.values.null_count():
        raise InputError(
            f"{option} cannot be {value!r}; wanted a date as 2017-12-03, a number in the unit of "
            "the times, or, to split, a share as 0.1."
        )
    if unit is None or unit.name is None:
        raise InputError(
            f"{option} cannot be the date {value!r}: the times of {where} are numbers of an "
            "unknown unit; wanted a number in their unit."
        )
    return parsed.values[0] / 10**6 * SECOND[unit.name]
