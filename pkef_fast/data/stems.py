"""Files of a folder by their names without endings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .names import mixtures

NPZ = ".npz"
ENDINGS = ("", ".pkl", NPZ)


def find(folder: Path, stem: str, endings: Sequence[str] = ENDINGS) -> Path | None:
    """The file `stem` in `folder`, with one of the endings."""
    candidates = (folder / f"{stem}{ending}" for ending in endings)
    return next((path for path in candidates if path.is_file()), None)


def find_any(folder: Path, stems: Iterable[str], endings: Sequence[str] = ENDINGS) -> Path | None:
    """The first of the files `stems` that is there."""
    found = (find(folder, stem, endings) for stem in stems)
    return next((path for path in found if path is not None), None)


def stem_of(path: Path) -> str:
    """A file's name without the ending that `find` adds."""
    return next(path.name.removesuffix(one) for one in ENDINGS[::-1] if path.name.endswith(one))


def stems_in(folder: Path, prefix: str) -> tuple[str, ...]:
    """What stands behind `prefix` in the names of the folder's files, in alphabetical order."""
    names = {
        stem_of(path).removeprefix(prefix)
        for path in folder.iterdir()
        if path.name.startswith(prefix) and path.is_file()
    }
    return tuple(sorted(names - {""}))


def behaviors_in(folder: Path, prefix: str) -> tuple[str, ...]:
    """Behaviours that have a file `prefix`+name, without mixtures of the others."""
    found = stems_in(folder, prefix)
    return tuple(name for name in found if name not in mixtures(found))
