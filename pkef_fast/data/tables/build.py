"""From a table's rows to a data set: behaviours in order, patterns, what is held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from .. import checks
from ..dataset import Dataset
from ..epochs import parts_of, whole
from ..order import ordered
from ..patterns import less, pattern
from ..reading import left_out
from . import behaviors as named
from . import times
from .files import TEST, TRAIN, VALIDATION
from .held_out import HeldOut, held_out, moment
from .numbered import Numbered, core, ids_or_none, numbered
from .options import TableOptions
from .rows import Read
from .times import Unit


def dataset_of(
    read: Read,
    name: str,
    where: str,
    behaviors: Sequence[str] | None,
    options: TableOptions,
) -> Dataset:
    """The data set of rows that were read.

    Rows of behaviours that were not chosen are left out, but their users and items are numbered
    all the same, so that all choices share one numbering.
    """
    notes = list(read.notes)
    unit = None if read.times is None else times.in_one_unit(read.times)
    if unit is not None and unit.mixed:
        listed = " and ".join(f"{count} in {one}" for one, count in unit.mixed.items())
        notes.append(f"Times are of several units ({listed}); all were turned to {unit.name}.")
    if options.since is not None:
        read, unit, said = _since(read, unit, options.since, where)
        notes.append(said)
    rows, said = named.rows_of_each(read, options.renamed, options.rated, where)
    notes += said
    found = numbered(read, unit)
    parts = (
        None if read.parts is None else {one: read.parts == one for one in np.unique(read.parts)}
    )
    n_rows = len(read.users)
    read.forget()
    train = None if parts is None else parts.get(TRAIN, np.zeros(n_rows, bool))
    events = {one: found.events(at, train) for one, at in rows.items()}
    order_guessed = behaviors is None and len(rows) > 1
    behaviors, said = _chosen(behaviors, {one: len(e.users) for one, e in events.items()}, where)
    notes += said
    target = behaviors[-1]
    if parts is None:
        if options.k_core is not None:
            found, events, said = core(found, events, target, options.k_core)
            notes.append(said)
        held = held_out(found, events, behaviors, options, where)
    else:
        held, said = _own_split(found, rows, target, parts, options, where)
        notes += said
    stamps, patterns = [], []
    n_users, n_items = len(found.user_ids), len(found.item_ids)
    per_unit = 1 if found.time is None else parts_of(found.time)
    for one in behaviors:
        those = events[one]
        if held.until is not None:
            those = those.chosen(those.time < held.until)
        csr = pattern(those.users, those.items, n_users, n_items)
        time = None if those.time is None else whole(those.time, per_unit)
        if held.taken_out and (one == target or options.leave_out == "all"):
            csr, time = less(csr, time, held.users, held.items, n_items)
        patterns.append(csr)
        stamps.append(time)
    guessed = [*read.roles.guessed]
    guessed += ["order"] * order_guessed + ["split"] * (options.split is None and parts is None)
    return checks.finished(
        name=name,
        behaviors=behaviors,
        n_users=n_users,
        n_items=n_items,
        interactions=patterns,
        test_users=held.users,
        test_items=held.items,
        user_ids=ids_or_none(found.user_ids),
        item_ids=ids_or_none(found.item_ids),
        notes=notes,
        all_behaviors=tuple(rows),
        leave_out=options.leave_out if held.taken_out else None,
        split=held.kind,
        times=stamps,
        validation=held.validation,
        reading=_reading(read, unit, held, guessed),
    )


def _chosen(
    behaviors: Sequence[str] | None, counts: dict[str, int], where: str
) -> tuple[Sequence[str], Sequence[str]]:
    """The behaviours to use, in order, and sentences about it."""
    if behaviors is None:
        return ordered(counts)
    checks.known_behaviors(behaviors, tuple(counts), where)
    return behaviors, [
        left_out(count, f"of behaviour {one!r}", "interaction")
        for one, count in counts.items()
        if one not in behaviors
    ]


def _own_split(
    found: Numbered, rows: dict, target: str, parts: dict, options: TableOptions, where: str
) -> tuple[HeldOut, list[str]]:
    """The split that the table comes with: the target rows of its test part are held out."""
    if options.split is not None or options.k_core is not None:
        raise InputError(
            f"{where} comes with its own split, so --split and --k-core cannot be used; name one "
            "of its tables, or --columns split=none, to split it anew."
        )
    notes = []
    for part in parts:
        other = sum(
            int(np.count_nonzero(parts[part][at])) for one, at in rows.items() if one != target
        )
        if part != TRAIN and other:
            notes.append(left_out(other, f"of other behaviours in the {part} part"))
    if TEST not in parts:
        raise InputError(f"{where} has no row of a test part, though it comes with a split.")
    test = found.events(rows[target], parts[TEST])
    validation = found.events(rows[target], parts[VALIDATION]) if VALIDATION in parts else None
    held = HeldOut(
        test.users,
        test.items,
        f"the {target} rows of the table's own test part",
        None,
        taken_out=False,
        validation=validation and (validation.users, validation.items),
    )
    return held, notes


def _since(read: Read, unit: Unit | None, since: str, where: str) -> tuple[Read, Unit, str]:
    if unit is None:
        raise InputError(f"{where} has no column of times, which --since needs.")
    kept = unit.values >= moment("--since", since, unit, where)
    if not kept.any():
        raise InputError(f"{where} has no row from {since} on.")
    at = np.flatnonzero(kept)
    said = left_out(len(kept) - len(at), f"before {since}")
    return read.at(at), unit._replace(values=unit.values[at]), said


def _reading(
    read: Read, unit: Unit | None, held: HeldOut, guessed: Sequence[str]
) -> dict[str, Any]:
    reading = {
        "roles": {role: column.strip() for role, column in read.roles.columns.items()},
        "held_out": held.said,
        "rows": read.count,
        "skipped": read.skipped,
        "guessed": list(guessed),
    }
    return reading if unit is None else {**reading, "time": unit.name}
