"""The data set of a folder of one U × I matrix a behaviour, whatever the files are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from . import checks
from .dataset import Dataset
from .names import unread_note
from .pickled import held_out, read_matrices
from .stems import ENDINGS, find, find_any


class Stems(NamedTuple):
    """What the files of a layout are called, without their endings.

    train : str
        What stands before a behaviour's name.
    test : str
    validation : tuple of str
        The first that is there is read.
    target : str, optional
        The behaviour that test and validation are of, where a name says so.
    found : tuple of str, optional
        Behaviours of the folder; all that have a file, when left out.
    endings : tuple of str
    """

    train: str
    test: str
    validation: tuple[str, ...] = ()
    target: str | None = None
    found: tuple[str, ...] | None = None
    endings: tuple[str, ...] = ENDINGS


def read_folder(
    folder: Path,
    stems: Stems,
    behaviors: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
    leave_out: str | None = None,
) -> Dataset:
    """The data set of a folder of matrices.

    Parameters
    ----------
    folder : path
        Its name is the data set's.
    stems : Stems
    behaviors : sequence of str, optional
        Behaviours to use, in order; all, in the funnel's order, when left out.
    expected : sequence of str, optional
        Behaviours that must all be there when any of them is.
    leave_out : {"target"}, optional
        As of `Dataset`.

    Raises
    ------
    InputError
        When a file is missing or damaged, or does not fit the others.
    """
    train = read_matrices(
        folder, stems.train, stems.test, behaviors, expected, stems.found, stems.endings
    )
    test = find(folder, stems.test, stems.endings)
    valid = find_any(folder, stems.validation, stems.endings)
    test_users, test_items = held_out(test, train)
    n_users, n_items = next(iter(train.shapes.values()))
    read = [*train.files, *train.shapes, test, *([] if valid is None else [valid])]
    return checks.finished(
        name=folder.name,
        behaviors=train.behaviors,
        n_users=n_users,
        n_items=n_items,
        interactions=train.interactions,
        times=train.times,
        test_users=test_users,
        test_items=test_items,
        validation=None if valid is None else held_out(valid, train),
        notes=(*train.notes, *unread_note(folder, read)),
        all_behaviors=train.found,
        held_out_of=stems.target,
        leave_out=leave_out,
    )
