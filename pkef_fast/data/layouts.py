"""Which layout a file or folder is in, and the reader for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from . import matrices, native, nested, plain_matrices, release, tables, texts
from .dataset import Dataset

_FOLDERS = {
    "release": release,
    "matrices": matrices,
    "texts": texts,
    "nested": nested,
    "plain": plain_matrices,
}


def described(behaviors: Sequence[str]) -> str:
    """The files that make a data set of these behaviours, in the most common layouts."""
    trains = (", ".join(prefix + name for name in behaviors) for prefix in ("trn_", "train_mat_"))
    first, second = trains
    third = ", ".join(f"{name}.txt" for name in behaviors)
    return (
        f"{first} and tst_int; or {second} and test_mat; or {third} and test.txt (or all as .npz); "
        "or one table of user, item, behavior"
    )


def layout_of(path: Path) -> str | None:
    """Name of the layout of a folder or file; None when it is in none."""
    if path.is_file() or (tables.is_glob(str(path)) and not path.exists()):
        return "table"
    if native.holds(path):
        return "native"
    # Some folders hold leftovers of one layout beside all files of another.
    for fits in ("complete", "holds"):
        for name, layout in _FOLDERS.items():
            if getattr(layout, fits)(path):
                return name
    return "table" if tables.holds(path) else None


def read(
    path: Path,
    behaviors: Sequence[str] | None,
    expected: Sequence[str] | None,
    options: tables.TableOptions,
) -> tuple[Dataset, dict[str, Any]]:
    """The data set at a path, and which of the options it depends on."""
    layout = layout_of(path)
    if layout is None:
        raise InputError(
            f"{path} holds no data set that can be read; wanted "
            f"{described(expected or behaviors or ('<behaviour>',))}, as a .csv, .tsv or .parquet "
            "file."
        )
    if layout != "table":
        options.refuse(f"{path} is no table but a {layout} folder")
    if layout == "native":
        return native.read(path, behaviors), {}
    if layout in _FOLDERS:
        return _FOLDERS[layout].read(path, behaviors, expected), {}
    return tables.read(path, behaviors, options), options.used
