"""The layout of one folder a behaviour: `<behaviour>/train.txt` and, of the target, `test.txt`.

As in the data of MB-CGCN, and of single-behaviour code that is run once a behaviour. The names must
be known behaviours: a folder of several data sets looks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import names, paired
from .dataset import Dataset
from .order import stage, usual_target


def holds(folder: Path) -> bool:
    """Whether a folder looks like this layout."""
    inner = _folders(folder)
    target = usual_target(tuple(inner)) if len(inner) > 1 else None
    return target is not None and (inner[target] / "test.txt").is_file()


complete = holds


def read(
    folder: Path,
    behaviors: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
) -> Dataset:
    """The data set of a folder in this layout."""
    inner = _folders(folder)
    target = usual_target(tuple(inner))
    validation = (inner[target] / f"{stem}.txt" for stem in names.VALIDATION)
    others = [name for name in inner if name != target and (inner[name] / "test.txt").is_file()]
    notes = ()
    if others:
        notes = (
            f"test.txt of {', '.join(others)} was not read: what is held out of {target!r} is the "
            "test.",
        )
    return paired.read(
        folder,
        paired.Files(
            behaviors={name: path / "train.txt" for name, path in inner.items()},
            asked_for={},
            test=inner[target] / "test.txt",
            validation=next((path for path in validation if path.is_file()), None),
            target=target,
            notes=notes,
        ),
        behaviors,
        expected,
    )


def _folders(folder: Path) -> dict[str, Path]:
    """Folders of known behaviours with a train part, by name."""
    return {
        path.name: path
        for path in sorted(folder.iterdir())
        if stage(path.name) is not None and (path / "train.txt").is_file()
    }
