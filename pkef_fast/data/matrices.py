"""The layout of `train_mat_<behaviour>.pkl` matrices and a `test_mat.pkl` matrix, as SSLRec's.

All are U × I SciPy sparse matrices, pickled or as .npz; an entry above zero (a count, a time) is an
interaction. Values that are times (see `epochs`) are kept as such. `valid_mat` or `val_mat`, where
there is one, is the validation part. Matrices named after several others (`train_mat_view_buy`) are
mixtures of them, and read only where they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .dataset import Dataset
from .of_matrices import Stems, read_folder
from .stems import behaviors_in, find

TRAIN, TEST = "train_mat_", "test_mat"
VALIDATION = ("valid_mat", "val_mat", "validation_mat")


def holds(folder: Path) -> bool:
    """Whether a folder looks like this layout."""
    return bool(behaviors_in(folder, TRAIN)) or find(folder, TEST) is not None


def complete(folder: Path) -> bool:
    """Whether it has train and test files of this layout."""
    return bool(behaviors_in(folder, TRAIN)) and find(folder, TEST) is not None


def read(
    folder: Path,
    behaviors: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
) -> Dataset:
    """The data set of a folder in this layout."""
    return read_folder(folder, Stems(TRAIN, TEST, VALIDATION), behaviors, expected)
