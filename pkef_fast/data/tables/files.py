"""The files that make one table: a file, part files in a folder, or one of a split's each."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import InputError
from ..order import stage
from .forms import is_table

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
    if not found:
        raise InputError(f"{path} holds no table; wanted .csv, .tsv, .parquet or .jsonl files.")
    parts = [_part(one) for one in found]
    if TEST in parts and TRAIN in parts:
        return _split(path, found, parts)
    names = [_stem(one) for one in found]
    if len(found) > 1 and all(stage(name) is not None for name in names):
        return [File(one, behavior=name) for one, name in zip(found, names, strict=True)]
    return [File(one) for one in found]


def _split(path: Path, found: Sequence[Path], parts: Sequence[str | None]) -> list[File]:
    others = [one.name for one, part in zip(found, parts, strict=True) if part is None]
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
    words = path.name.lower().split(".")[:-1] or [path.name.lower()]
    if len(words) > 1 and words[-1] in ("csv", "tsv", "txt", "inter", "jsonl", "json", "tab"):
        words.pop()  # what is left of a packed file's ending
    return PARTS.get(words[-1])
