"""The data set of a folder whose files are lists of user–item pairs, whatever they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import checks, names, pair_files, sides
from .dataset import Dataset
from .order import ordered, usual_target
from .pair_files import Pairs
from .patterns import pattern


class Files(NamedTuple):
    """Which file of a folder is what.

    behaviors : dict of behaviour → path
        What is read unless other behaviours are asked for.
    asked_for : dict of behaviour → path
        What is read as a behaviour only where it is asked for.
    test : path
    validation : path, optional
    target : str, optional
        The behaviour that test and validation are of, where a name says so.
    train : path, optional
        A `train.txt`: the train part of the target, whichever that is.
    mixed : tuple of path
        Mixtures of behaviours, of which `notes` speak.
    notes : tuple of str
    """

    behaviors: Mapping[str, Path]
    asked_for: Mapping[str, Path]
    test: Path
    validation: Path | None = None
    target: str | None = None
    train: Path | None = None
    mixed: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def read(
    folder: Path,
    files: Files,
    behaviors: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
    leave_out: str | None = None,
) -> Dataset:
    """The data set of these files.

    All files that may be behaviours number the users and items, whichever are chosen.

    Parameters
    ----------
    folder : path
        Its name is the data set's, and its file of sizes is heeded.
    files : Files
    behaviors : sequence of str, optional
        Behaviours to use, in order; all, in the funnel's order, when left out.
    expected : sequence of str, optional
        Behaviours that must all be there when any of them is.
    leave_out : {"target"}, optional
        As of `Dataset`.

    Raises
    ------
    InputError
        When a file or behaviour is missing, or holds anything else than pairs.
    """
    contents = {path: pair_files.read(path) for path in files.behaviors.values()}
    found = {name: contents[path] for name, path in files.behaviors.items()}
    notes = list(files.notes)
    asked = {name: path for name, path in files.asked_for.items() if name in (behaviors or ())}
    target = files.target
    if files.train in asked.values():  # called by its file's name
        target = next(name for name, path in asked.items() if path == files.train)
    elif files.train is not None:
        contents[files.train] = train = pair_files.read(files.train)
        target, more = _with_train(found, train, files.train.name)
        notes += more
    usual = target or usual_target(tuple(found))
    wanted = behaviors
    if behaviors is not None:
        checks.known_behaviors(behaviors, (*found, *asked), folder)
        for name, path in asked.items():
            found[name] = contents[path] = pair_files.read(path)
    elif checks.all_wanted(expected, tuple(found)):
        paths = {f"{name}.txt": name if name in found else None for name in expected}
        checks.existing_files(folder, paths, [*paths, files.test.name])
        wanted = tuple(expected)
    contents[files.test] = test = pair_files.read(files.test)
    validation = None
    if files.validation is not None:
        contents[files.validation] = validation = pair_files.read(files.validation)
    size = sides.sizes_in(folder)
    side, more = sides.sides_of(contents, size)
    notes += more
    if wanted is None:
        wanted, more = _in_order({name: len(one.users) for name, one in found.items()}, target)
        notes += more
    moved = {name: side.moved(found[name]) for name in wanted}
    test_users, test_items = side.moved(test)
    read_files = [*contents, *files.mixed, *([] if size is None else [size.path])]
    return checks.finished(
        name=folder.name,
        behaviors=wanted,
        n_users=side.users,
        n_items=side.items,
        interactions=[pattern(*moved[name], side.users, side.items) for name in wanted],
        test_users=test_users,
        test_items=test_items,
        validation=None if validation is None else side.moved(validation),
        notes=(*notes, *names.unread_note(folder, read_files)),
        all_behaviors=tuple(found),
        held_out_of=usual,
        leave_out=leave_out,
        **side.ids(),
    )


def _with_train(found: dict[str, Pairs], train: Pairs, file: str) -> tuple[str, tuple[str, ...]]:
    """The target whose train part a `train.txt` holds, set in `found`; and what was assumed."""
    pairs = train.distinct()
    others = {name: one.distinct() for name, one in found.items()}
    for name, one in others.items():
        if np.array_equal(one, pairs):
            return name, ()
    last = [name for name in found if names.is_target(name)]
    if not last:
        found["buy"] = train
        return "buy", (f"{file} was taken for the train part of the target, called 'buy'.",)
    target = usual_target(last) or last[-1]
    if np.array_equal(pairs, np.unique(np.concatenate([*others.values()]))):
        return target, (f"{file} holds the pairs of all behaviours together and was left aside.",)
    found[target] = train
    added, lost = (
        len(np.setdiff1d(one, other, assume_unique=True))
        for one, other in ((pairs, others[target]), (others[target], pairs))
    )
    return target, (
        f"{file} and the file of {target!r} differ ({added} pairs are in the first alone, {lost} "
        f"in the second): the train part of {target!r} is {file}.",
    )


def _in_order(
    counts: Mapping[str, int], target: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Behaviours in order, with the target last where it is known."""
    order, notes = ordered(counts)
    if target is None or order[-1] == target:
        return order, notes
    order = (*(name for name in order if name != target), target)
    return order, (
        f"Behaviours were put in the order {' → '.join(order)}: {order[-1]!r} is what is held "
        f"out; change it with --behaviors {','.join(order)}.",
    )
