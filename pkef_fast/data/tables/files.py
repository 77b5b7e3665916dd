"""The files that make one table: a file, part files in a folder, or one of a split's each."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import InputError
from ..order import stage
from .forms import is_table
from .roles import fits

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""Parts of a split by the names that files and cells of a split column have."""


class File(NamedTuple):
    """A file of a table.

    part : which part of a given split it is; None: the table is not split
    behavior : the behaviour that all its rows are of, by its name, where it has no such column
    """

    path: Path
    part: str | None = None
    behavior: str | None = None


def holds(folder: Path) -> bool:
    """Whether a folder has a table in it."""
    return bool(_tables_in(folder))


def files_of(path: Path) -> list[File]:
    """The files of a table: all that a folder or a glob holds, in the order of their names.

    `train`, `valid` and `test` files, also as the last part of a name (`shop.train.inter`), are a
    split; files that are named after behaviours may lack that column.
    """
    if path.is_file():
        return [File(path)]
    if path.is_dir():
        found = _tables_in(path)
    else:
        found = sorted(Path(one) for one in glob.glob(str(path), recursive=True))
        found = [one for one in found if one.is_file() and not one.name.startswith((".", "_"))]
    found = [one for one in found if one.stat().st_size] or found[:1]  # a part may be empty
    if not found:
        raise InputError(f"{path} holds no table; wanted .csv, .tsv, .parquet or .jsonl files.")
    parts = [_keyed(one, "split") or _part(one) for one in found]
    if len(found) > 1 and any(part in (VALIDATION, TEST) for part in parts):
        return _split(path, found, parts)
    behaviors = [_keyed(one, "behavior") for one in found]
    if None not in behaviors:
        return [File(one, behavior=name) for one, name in zip(found, behaviors, strict=True)]
    names = [_stem(one) for one in found]
    if sum(stage(name) is not None for name in set(names)) > 1:
        return [File(one, behavior=name) for one, name in zip(found, names, strict=True)]
    return [File(one) for one in found]


def told_apart(files: Sequence[File]) -> list[str]:
    """Names of files that differ in more than numbers, so that they may say what is in them."""
    words = {re.sub(r"[\W\d_]+|part|of", "", _stem(one.path).lower()): one for one in files}
    return [one.path.name for one in words.values()] if len(words) > 1 else []


def _split(path: Path, found: Sequence[Path], parts: Sequence[str | None]) -> list[File]:
    others = [one.name for one, part in zip(found, parts, strict=True) if part is None]
    if TRAIN not in parts or TEST not in parts:
        listed = ", ".join(one.name for one in found[:5])
        raise InputError(
            f"{path} holds {listed}, parts of a split by their names, but not both a train and a "
            "test table; wanted both, or the name of one table."
        )
    if others:
        raise InputError(
            f"{path} holds train and test tables and {', '.join(others[:5])} besides; wanted a "
            "folder of the tables of one split, or the name of one table."
        )
    return [File(one, part) for one, part in zip(found, parts, strict=True)]


def _tables_in(folder: Path) -> list[Path]:
    """Tables in a folder, and in those within that a partitioned write makes (`day=2024-05-31`)."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir() and "=" in path.name:
            found += _tables_in(path)
        elif path.is_file() and is_table(path):
            found.append(path)
    return found


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]


def _part(path: Path) -> str | None:
    """The part of a split that a file's name says: the one such word in it."""
    found = {PARTS[word] for word in re.split(r"[\W_]+", path.name.lower()) if word in PARTS}
    return found.pop() if len(found) == 1 else None


def _keyed(path: Path, role: str) -> str | None:
    """What a folder of a partitioned write says of a role: `behavior=view`, `split=train`."""
    for folder in path.parents:
        key, equals, value = folder.name.partition("=")
        if equals and fits(key, (role,)):
            return PARTS.get(value.lower()) if role == "split" else value
    return None
