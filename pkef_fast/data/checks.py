"""What every reader checks, and the sentences about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, did_you_mean
from .dataset import Array, Csr, Dataset
from .epochs import unit_of, whole
from .held_out import about_validation, distinct
from .order import usual_target
from .patterns import contains, earliest, pattern
from .sparse import MAX_USED, Entries, dense_entries


def as_entries(content: Any, path: Path, wanted: str) -> Entries:
    """The U × I matrix that a file holds."""
    if isinstance(content, Entries):
        return content
    if isinstance(content, np.ndarray) and content.ndim == 2 and content.dtype != object:
        return dense_entries(content)
    kind = type(content).__name__
    if isinstance(content, np.ndarray):
        kind = f"array of shape {content.shape} and type {content.dtype}"
    article = "an" if kind[0] in "aeiou" else "a"
    raise InputError(f"{path} holds {article} {kind}; wanted {wanted}.")


def interactions_of(matrix: Entries, path: object) -> tuple[Csr, Array | None]:
    """Pattern of a matrix: any value above zero is an interaction, zero is none. And its times.

    The values are taken for times where `epochs.unit_of` knows their unit; of a repeated pair the
    earliest counts.

    Raises
    ------
    InputError
        When a value is negative or not a number, with its row and column.
    """
    wrong = np.flatnonzero(~(matrix.values >= 0))
    if len(wrong):
        first = wrong[0]
        raise InputError(
            f"{path}, row {matrix.rows[first]}, column {matrix.columns[first]}: found "
            f"{matrix.values[first]}, wanted a value of 0 (no interaction) or more"
            + (f"; {len(wrong)} values are wrong in all." if len(wrong) > 1 else ".")
        )
    for count, name in zip(matrix.shape, ("users", "items"), strict=True):
        side_in_reach(count, name, path)
    kept = matrix.values > 0
    rows, columns, values = (part[kept] for part in matrix[1:])
    csr = pattern(rows, columns, *matrix.shape)
    if unit_of(values) is None:
        return csr, None
    return csr, earliest(csr, rows, columns, whole(values, 1), matrix.shape[1])


def side_in_reach(count: int, name: str, path: object) -> None:
    """InputError when a file asks for more users or items than can be held."""
    if count > MAX_USED:
        raise InputError(
            f"{path} asks for {count} {name}, as numbers are used as they are; wanted at most "
            f"{MAX_USED}: number {name} from 0, or give a table of user, item and behavior, whose "
            "ids may be anything."
        )


def same_shape(shapes: Mapping[Any, tuple[int, int]]) -> tuple[int, int]:
    """The one shape (U, I) of all matrices.

    Raises
    ------
    InputError
        When two differ, naming both files and shapes.
    """
    (first, wanted), *others = shapes.items()
    for path, shape in others:
        if shape != wanted:
            raise InputError(
                f"{path} is {shape[0]} × {shape[1]} but {first} is {wanted[0]} × {wanted[1]}; "
                "all behaviours share one numbering of users and items, so their matrices must "
                "have one shape."
            )
    return wanted


def existing_files(folder: Path, files: Mapping[str, Path | None], expected: Sequence[str]) -> None:
    """InputError when one of a layout's files is missing (None), naming it and all expected."""
    missing = [name for name, path in files.items() if path is None]
    if missing:
        raise InputError(
            f"{folder / missing[0]} does not exist; wanted in {folder}: {', '.join(expected)}."
        )


def all_wanted(expected: Sequence[str] | None, found: Sequence[str]) -> bool:
    """Whether all of a registered data set's behaviours are to be read from a folder.

    So it is where nothing else is there: then a missing file is an error. A folder with other
    behaviours is another data set, and is read as it is.
    """
    if expected is None or not set(expected) & set(found):
        return False
    return set(expected) <= set(found) or set(found) <= set(expected)


def known_behaviors(names: Sequence[str], found: Sequence[str], where: object) -> None:
    """InputError unless all wanted behaviours are among those found, each named once."""
    if not names:
        raise InputError("no behaviours were named; wanted at least one, the target last.")
    for place, name in enumerate(names):
        if name not in found:
            raise InputError(f"behaviour {name!r} is not in {where}{did_you_mean(name, found)}")
        if name in names[:place]:
            raise InputError(f"behaviour {name!r} was named twice; wanted each behaviour once.")


def finished(
    *,
    name: str,
    behaviors: Sequence[str],
    n_users: int,
    n_items: int,
    interactions: Sequence[Csr],
    test_users: Array,
    test_items: Array,
    user_ids: Array | None = None,
    item_ids: Array | None = None,
    source: dict[str, Any] | None = None,
    notes: Sequence[str] = (),
    all_behaviors: Sequence[str] | None = None,
    leave_out: str | None = None,
    split: str | None = None,
    times: Sequence[Array | None] | None = None,
    validation: tuple[Array, Array] | None = None,
    held_out_of: str | None = None,
    reading: dict[str, Any] | None = None,
) -> Dataset:
    """The data set of what a reader found, after the checks that all layouts share.

    Test and validation pairs may come in any order and more than once. `held_out_of` is the
    behaviour that they are of, where the reader knows; validation pairs are left aside where the
    target is another. `all_behaviors` are the names that the data have besides those chosen: where
    their usual target is not the chosen one, a note says so.

    Raises
    ------
    InputError
        When a behaviour has no interactions.
    """
    notes = list(notes)
    for behavior, csr in zip(behaviors, interactions, strict=True):
        if not len(csr.indices):
            others = ",".join(other for other in behaviors if other != behavior)
            advice = f"leave it out with --behaviors {others}" if others else "choose another"
            raise InputError(
                f"behaviour {behavior!r} of data set {name!r} has no interactions; wanted at least "
                f"one: {advice}."
            )
    usual = held_out_of or usual_target(all_behaviors or behaviors)
    if usual is not None and usual != behaviors[-1]:
        notes.append(
            f"The target is {behaviors[-1]!r}, the last behaviour; held-out items of this data set "
            f"are usually of {usual!r}."
        )
    test_users, test_items = distinct((test_users, test_items), n_items)
    trained = int(contains(interactions[-1], test_users, test_items, n_items).sum())
    if trained:
        notes.append(
            f"{trained} of {len(test_users)} held-out items are also train {behaviors[-1]!r} "
            "interactions of their user: they were seen in training, so figures flatter the model."
        )
    if validation is not None:
        validation = distinct(validation, n_items)
        if usual is not None and usual != behaviors[-1]:
            notes.append(
                f"{len(validation[0])} validation pairs are of {usual!r} and are left aside."
            )
            validation = None
        else:
            tested = pattern(test_users, test_items, n_users, n_items)
            notes += about_validation(validation, interactions[-1], tested, behaviors[-1], n_items)
    if not len(test_users):
        notes.append("There are no held-out items, so nothing can be evaluated.")
    return Dataset(
        name=name,
        behaviors=tuple(behaviors),
        n_users=int(n_users),
        n_items=int(n_items),
        interactions=tuple(interactions),
        test_users=test_users,
        test_items=test_items,
        user_ids=user_ids,
        item_ids=item_ids,
        source=source or {},
        notes=tuple(notes),
        leave_out=leave_out,
        split=split,
        times=None if times is None else tuple(times),
        validation=validation,
        reading=reading or {},
    )


def chosen(data: Dataset, behaviors: Sequence[str]) -> Dataset:
    """A data set with some of its behaviours alone, in this order; the last is the target."""
    known_behaviors(behaviors, data.behaviors, f"data set {data.name!r}")
    places = [data.behaviors.index(name) for name in behaviors]
    notes = data.notes
    if behaviors[-1] != data.target:
        left = "" if data.validation is None else ", and its validation pairs are left aside"
        notes += (
            f"The target is {behaviors[-1]!r}, the last behaviour; the held-out items are of "
            f"{data.target!r}{left}.",
        )
    return replace(
        data,
        validation=data.validation if behaviors[-1] == data.target else None,
        behaviors=tuple(behaviors),
        interactions=tuple(data.interactions[k] for k in places),
        times=data.times and tuple(data.times[k] for k in places),
        notes=notes,
    )
