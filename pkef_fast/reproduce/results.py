"""All files of the tables and figures that were asked for, from the runs that are there."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import claims, figures, tables
from .experiments import TABLES
from .found import Found


def write(names: Sequence[str], found: Found, folder: Path) -> tuple[list[Path], list[str]]:
    """Write them into the folder; the files' names, and sentences on what could not be made.

    Equal runs give equal bytes: nothing says when it was made.
    """
    files: list[Path] = []
    notes: list[str] = []
    with _alone(folder / "state" / "results"):
        for half in folder.glob(".*"):  # what a killed process was writing
            half.unlink()
        for name in names:
            if name in TABLES:
                files += tables.write(name, found, folder)
            else:
                made, lacking = figures.write(name, found, folder)
                files, notes = files + made, notes + lacking
        files.append(claims.write(found, folder))
    return files, notes


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process writes results here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
