"""A file of user–item pairs: lines of numbers, or a JSON object of users and their items.

A line is a user number and one or more item numbers, with blanks or tabs between. An object is
`{"1": [4, 18], …}`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .dataset import Array
from .sparse import MAX_SIDE

_WANTED = f"a user number and item numbers, each a whole number from 0 to {MAX_SIDE}"


class Pairs(NamedTuple):
    """Users and items (E,) int64 of a file's pairs, in its order."""

    users: Array
    items: Array

    def distinct(self) -> Array:
        """One int64 a distinct pair, rising: equal for files of equal pairs."""
        return np.unique(self.users * (MAX_SIDE + 1) + self.items)


def is_text(path: Path) -> bool:
    """Whether a file begins as lines of numbers do, which no pickle and no archive does."""
    with open(path, "rb") as file:
        head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    return re.match(rb"-?\d", head) is not None


def holds_pairs(path: Path) -> bool:
    """Whether a file begins with a line of two whole numbers or more, or as a JSON object."""
    with open(path, "rb") as file:
        head = file.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
    return re.match(rb'\d+[ \t]+\d+[ \t\d]*(\r?\n|$)|\{\s*("\d|\})', head) is not None


def read(path: Path) -> Pairs:
    """The pairs of a file.

    Raises
    ------
    InputError
        When it is no text, or holds anything else, with the line and field.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text ({error}); wanted lines of numbers.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; wanted {_WANTED}.") from error
    return _of_object(path, text) if text.lstrip().startswith("{") else _of_lines(path, text)


def _of_lines(path: Path, text: str) -> Pairs:
    rows = [line.split() for line in text.splitlines()]
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
    return Pairs(np.repeat(numbers[first], lengths - 1), numbers[~first])


def _bad_number(path: Path, rows: Sequence[Sequence[str]]) -> InputError:
    for line, row in enumerate(rows, 1):
        for place, word in enumerate(row):
            if not _is_number(word):
                field = "item" if place else "user"
                return InputError(
                    f"{path}, line {line}, field {field}: found {word!r}, wanted {_WANTED}."
                )
    return InputError(f"{path} holds something else than numbers; wanted {_WANTED}.")


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 20 and int(word) <= MAX_SIDE


def _of_object(path: Path, text: str) -> Pairs:
    wanted = 'a JSON object of user numbers and lists of item numbers, as {"1": [4, 18]}'
    try:
        rows = json.loads(text, object_pairs_hook=tuple)  # a user may stand in it twice
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is no JSON ({reason}); wanted {wanted}.") from error
    for user, items in rows:
        if not _is_number(user):
            raise InputError(f"{path}: found user {user!r}, wanted {_WANTED}.")
        if not isinstance(items, list):
            raise InputError(f"{path}, user {user}: found {items!r:.40}, wanted {wanted}.")
        for item in items:
            if type(item) is not int or not 0 <= item <= MAX_SIDE:
                raise InputError(f"{path}, user {user}: found {item!r:.40}, wanted {_WANTED}.")
    users = np.array([int(user) for user, _ in rows], np.int64)
    flat = list(itertools.chain.from_iterable(items for _, items in rows))
    return Pairs(np.repeat(users, [len(items) for _, items in rows]), np.array(flat, np.int64))
