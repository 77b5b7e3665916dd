"""The layout of one text file a behaviour: `<behaviour>.txt` and `test.txt`.

Each line is a user number and one or more item numbers, with blanks or tabs between. Numbers are
used as they are: a data set has as many users and items as its largest numbers say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import checks
from .dataset import Array, Dataset
from .order import ordered
from .patterns import pattern
from .sparse import MAX_SIDE

TEST = "test.txt"
OTHER_FILES = ("test", "validation", "valid", "train", "readme", "count", "license")


def holds(folder: Path) -> bool:
    """Whether a folder looks like this layout."""
    return (folder / TEST).is_file() and bool(_behaviors_in(folder))


def _behaviors_in(folder: Path) -> tuple[str, ...]:
    names = (path.stem for path in folder.glob("*.txt") if path.is_file())
    return tuple(sorted(name for name in names if name.lower() not in OTHER_FILES))


def read(
    folder: Path,
    behaviors: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
) -> Dataset:
    """The data set of a folder in this layout."""
    found = _behaviors_in(folder)
    if behaviors is not None:
        checks.known_behaviors(behaviors, found, folder)
    elif expected is not None and set(expected) & set(found):
        files = {f"{name}.txt": _existing(folder / f"{name}.txt") for name in expected}
        checks.existing_files(folder, files, [*files, TEST])
        found = tuple(expected)
    names = tuple(dict.fromkeys((*found, *(behaviors or ()))))  # all files number users and items
    pairs = {name: _pairs(folder / f"{name}.txt") for name in names}
    test_users, test_items = _pairs(folder / TEST)
    everything = [*pairs.values(), (test_users, test_items)]
    n_users, n_items = (
        max(int(p[side].max(initial=-1)) + 1 for p in everything) for side in (0, 1)
    )
    notes: tuple[str, ...] = ()
    if behaviors is None:
        behaviors, notes = ordered({name: len(pairs[name][0]) for name in names})
    return checks.finished(
        name=folder.name,
        behaviors=behaviors,
        n_users=n_users,
        n_items=n_items,
        interactions=[pattern(*pairs[name], n_users, n_items) for name in behaviors],
        test_users=test_users,
        test_items=test_items,
        notes=notes,
        all_behaviors=found,
    )


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _pairs(path: Path) -> tuple[Array, Array]:
    """Users and items of a file's pairs, in its order."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text ({error}); wanted lines of numbers.") from error
    rows = [line.split() for line in lines]
    flat = [word for row in rows for word in row]
    try:
        numbers = np.array(flat, dtype=np.str_).astype(np.int64) if flat else np.empty(0, np.int64)
    except (ValueError, OverflowError):
        numbers = None
    if numbers is None or np.any((numbers < 0) | (numbers > MAX_SIDE)):
        raise _bad_number(path, rows)
    lengths = np.array([len(row) for row in rows if row], np.int64)
    first = np.zeros(len(numbers), bool)
    first[np.cumsum(lengths) - lengths] = True
    return np.repeat(numbers[first], lengths - 1), numbers[~first]


def _bad_number(path: Path, rows: Sequence[Sequence[str]]) -> InputError:
    wanted = f"a user number and item numbers, each a whole number from 0 to {MAX_SIDE}"
    for line, row in enumerate(rows, 1):
        for place, word in enumerate(row):
            if not (word.isascii() and word.isdigit() and int(word) <= MAX_SIDE):
                field = "item" if place else "user"
                return InputError(
                    f"{path}, line {line}, field {field}: found {word!r}, wanted {wanted}."
                )
    return InputError(f"{path} holds something else than numbers; wanted {wanted}.")
