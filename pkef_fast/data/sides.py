"""How many users and items a folder of pair files has, and whether it counts them from 0 or 1."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import checks
from .dataset import Array
from .pair_files import Pairs
from .sparse import MAX_USED

FILES = ("data_size.txt", "count.txt", "statistics.json", "count.json", "statistics.txt")
_LONGEST = 10_000  # bytes of such a file
_KEY = r"(n|num|number)?_?(of_)?{}s?(_?(num|count|number))?"
_NAMES = ("users", "items")


class Sizes(NamedTuple):
    """What a file of sizes says: users and items."""

    path: Path
    users: int
    items: int


class Sides(NamedTuple):
    """The sides of a data set, and the first number of each in the files: 0 or 1.

    users, items : int
    firsts : (int, int)
    """

    users: int
    items: int
    firsts: tuple[int, int]

    def moved(self, pairs: Pairs) -> tuple[Array, Array]:
        """Pairs in numbers from 0."""
        return pairs.users - self.firsts[0], pairs.items - self.firsts[1]

    def ids(self) -> dict[str, Array | None]:
        """The fields `user_ids` and `item_ids` of a data set."""
        counts = (self.users, self.items)
        return {
            f"{name[:-1]}_ids": np.arange(first, count + first) if first else None
            for name, count, first in zip(_NAMES, counts, self.firsts, strict=True)
        }


def sizes_in(folder: Path) -> Sizes | None:
    """What the folder's own file says about its sides; None without one that can be read."""
    for name in FILES:
        path = folder / name
        if path.is_file() and path.stat().st_size <= _LONGEST:
            found = _two_numbers(path.read_bytes())
            if found is not None:
                return Sizes(path, *found)
    return None


def _two_numbers(content: bytes) -> tuple[int, int] | None:
    if re.fullmatch(rb"\s*\d{1,9}\s+\d{1,9}\s*", content):
        users, items = map(int, content.split())
        return users, items
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(facts, dict):
        return None
    found = []
    for side in ("user", "item"):
        key = _KEY.format(side)
        values = [one for name, one in facts.items() if re.fullmatch(key, name, re.IGNORECASE)]
        if len(values) != 1 or type(values[0]) is not int or not 0 <= values[0] < 10**9:
            return None
        found += values
    return found[0], found[1]


def sides_of(
    files: Mapping[Path, Pairs], sizes: Sizes | None = None
) -> tuple[Sides, tuple[str, ...]]:
    """The sides of a data set from all its files, with what was assumed as sentences.

    Numbers count from 1 where no file has a 0 on either side; on one side alone, only where its
    largest number is the size that the folder's own file says.

    Raises
    ------
    InputError
        When a number is so large that its side could not be held.
    """
    values = [[pairs[side] for pairs in files.values()] for side in (0, 1)]
    least = [min((int(one.min()) for one in side if len(one)), default=0) for side in values]
    largest = [max((int(one.max()) for one in side if len(one)), default=-1) for side in values]
    notes: list[str] = []
    firsts, counts = [], []
    for side, name in enumerate(_NAMES):
        said = None if sizes is None else sizes[1 + side]
        first = int(min(least) > 0 or (least[side] > 0 and said == largest[side]))
        count = largest[side] + 1 - first
        if said is not None and said < count:
            notes.append(
                f"{sizes.path.name} says {said} {name}, but the files have numbers up to "
                f"{largest[side]}: {count} {name} were taken."
            )
        firsts.append(first)
        counts.append(max(count, said or 0))
        if count > MAX_USED:
            path = next(path for path, one in files.items() if largest[side] in one[side])
            checks.side_in_reach(count, name, path)
    if any(firsts):
        which = " and ".join(name for name, first in zip(_NAMES, firsts, strict=True) if first)
        notes.append(
            f"No file has a 0 for {which}: they were taken to be numbered from 1, and their "
            "numbers are kept as ids."
        )
    return Sides(*counts, (firsts[0], firsts[1])), tuple(notes)
