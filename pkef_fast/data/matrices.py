"""Pickled matrices: `train_mat_<behaviour>` and `test_mat`, with or without `.pkl`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from .checks import assembled, same_shape
from .dataset import Dataset
from .patterns import pairs_of, pattern
from .unpickle import load_pickle

PREFIX, TEST = "train_mat_", "test_mat"


def is_matrices(folder: Path) -> bool:
    """Whether a folder has this layout's train files."""
    return any(folder.glob(f"{PREFIX}*"))


def load_matrices(
    folder: Path, name: str, behaviors: Sequence[str] | None, source: dict
) -> Dataset:
    """The data set in a folder of this layout."""
    files = {
        file.name.removeprefix(PREFIX).removesuffix(".pkl"): file
        for file in sorted(folder.glob(f"{PREFIX}*"))
    }
    test_file = next((f for f in (folder / TEST, folder / f"{TEST}.pkl") if f.is_file()), None)
    if test_file is None:
        raise InputError(
            f"{folder / TEST}.pkl does not exist; wanted the held-out pairs as a matrix beside "
            f"{next(iter(files.values())).name}."
        )
    if behaviors:
        files = {b: file for b, file in files.items() if b in behaviors} or files
    read = {b: pattern(load_pickle(file), file) for b, file in files.items()}
    held, held_shape = pattern(load_pickle(test_file), test_file)
    shape = same_shape({**{files[b]: size for b, (_, size) in read.items()}, test_file: held_shape})
    return assembled(
        name=name,
        place=folder,
        interactions={b: csr for b, (csr, _) in read.items()},
        behaviors=behaviors,
        shape=shape,
        test=pairs_of(held),
        source=source,
    )
