"""All files of the tables and figures that were asked for, from the runs that are there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import claims, figures, tables
from .experiments import TABLES
from .found import Found


def write(names: Sequence[str], found: Found, folder: Path) -> tuple[list[Path], list[str]]:
    """Write them into the folder; the files' names, and sentences on what could not be made.

    Equal runs give equal bytes: nothing says when it was made.
    """
    for half in folder.glob(".*"):  # what a killed process was writing
        half.unlink()
    files: list[Path] = []
    notes: list[str] = []
    for name in names:
        if name in TABLES:
            files += tables.write(name, found, folder)
        else:
            made, lacking = figures.write(name, found, folder)
            files, notes = files + made, notes + lacking
    files.append(claims.write(found, folder))
    return files, notes
