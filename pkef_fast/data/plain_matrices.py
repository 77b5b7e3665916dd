"""The layout of `<behaviour>.npz` matrices and `test.npz`, or all of them with the ending .pkl.

Each is a U × I SciPy sparse matrix; `test` may be a list with an entry for each user. A validation
part is called `validation`, `valid` or `val`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import names
from .dataset import Dataset
from .of_matrices import Stems, read_folder
from .stems import find, stem_of

TEST, ENDINGS = "test", (".npz", ".pkl")


def holds(folder: Path) -> bool:
    """Whether a folder looks like this layout."""
    return find(folder, TEST, ENDINGS) is not None and bool(_behaviors_in(folder))


complete = holds


def _behaviors_in(folder: Path) -> tuple[str, ...]:
    files = (path for path in folder.iterdir() if path.is_file() and path.suffix in ENDINGS)
    stems = {stem_of(path) for path in files} - {TEST, *names.VALIDATION}
    found = names.behaviors_of(stems, has_target=False)
    return tuple(name for name in found if name not in names.mixtures(found))


def read(
    folder: Path,
    behaviors: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
) -> Dataset:
    """The data set of a folder in this layout."""
    stems = Stems("", TEST, names.VALIDATION, found=_behaviors_in(folder), endings=ENDINGS)
    return read_folder(folder, stems, behaviors, expected)
