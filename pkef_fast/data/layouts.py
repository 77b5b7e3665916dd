"""Which layout a file or folder is in, and the reader for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from . import matrices, native, release, tables, texts
from .dataset import Dataset

_LAYOUTS = {
    "native": native.holds,
    "release": release.holds,
    "matrices": matrices.holds,
    "texts": texts.holds,
    "table": tables.holds,
}


def described(behaviors: Sequence[str]) -> str:
    """The files that make a data set of these behaviours, in the most common layouts."""
    trains = (", ".join(prefix + name for name in behaviors) for prefix in ("trn_", "train_mat_"))
    first, second = trains
    return f"{first} and tst_int; or {second} and test_mat; or one table of user, item, behavior"


def layout_of(path: Path) -> str | None:
    """Name of the layout of a folder or file; None when it is in none."""
    if path.is_file() or tables.is_glob(str(path)):
        return "table"
    return next((name for name, holds in _LAYOUTS.items() if holds(path)), None)


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
    if layout == "native":
        return native.read(path, behaviors), {}
    if layout == "release":
        return release.read(path, behaviors, expected), {}
    if layout == "matrices":
        return matrices.read(path, behaviors, expected), {}
    if layout == "texts":
        return texts.read(path, behaviors, expected), {}
    return tables.read(path, behaviors, options), options.used
