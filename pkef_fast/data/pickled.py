"""Folders of one U × I matrix a behaviour: what their layouts have in common.

A matrix is pickled, in a file with or without the ending .pkl, or in SciPy's own .npz.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import checks, npz_matrices, unpickle, user_lists
from .dataset import Array, Csr
from .epochs import comparable
from .names import mixed_note, mixtures
from .order import ordered
from .patterns import row_of_each
from .sparse import Entries
from .stems import ENDINGS, NPZ, behaviors_in, find, stems_in


class Matrices(NamedTuple):
    """Train matrices of a folder, in order."""

    behaviors: tuple[str, ...]
    interactions: tuple[Csr, ...]
    times: tuple[Array | None, ...]
    shapes: dict[Path, tuple[int, int]]
    found: tuple[str, ...]
    notes: tuple[str, ...]
    files: tuple[Path, ...]  # of behaviours and mixtures, chosen or not


def load(path: Path, wanted: str) -> Any:
    """The content of a file of a matrix or a list."""
    if path.suffix == NPZ:
        return npz_matrices.load(path, wanted)
    return unpickle.load(path, wanted)


def read_matrices(
    folder: Path,
    prefix: str,
    test: str,
    behaviors: Sequence[str] | None,
    expected: Sequence[str] | None,
    found: Sequence[str] | None = None,
    endings: Sequence[str] = ENDINGS,
) -> Matrices:
    """The train matrices `prefix`+behaviour of a folder.

    Parameters
    ----------
    folder : path
    prefix, test : str
        Stems of the train files and of the test file, which must be there too.
    behaviors : sequence of str, optional
        Behaviours to read, in order; all, in the funnel's order, when left out.
    expected : sequence of str, optional
        Behaviours whose files must all be there when any of them is.
    found : sequence of str, optional
        Behaviours of the folder; all that have a file, when left out.
    endings : sequence of str
        Of the files.
    """
    stems = stems_in(folder, prefix)
    found = behaviors_in(folder, prefix) if found is None else tuple(found)
    notes: tuple[str, ...] = ()
    if behaviors is not None:
        known = (*found, *(name for name in stems if name in behaviors and name not in found))
        checks.known_behaviors(behaviors, known, folder)
        wanted = tuple(behaviors)
    elif checks.all_wanted(expected, found):
        wanted = tuple(expected)
    else:
        wanted = found
    mixed = [name for name in mixtures(stems) if name not in found]
    files = [find(folder, prefix + name, endings) for name in (*found, *mixed)]
    if behaviors is None:
        notes = mixed_note([path.name for path in files[len(found) :] if path is not None])
    needed = [prefix + name for name in wanted or ("<behaviour>",)] + [test]
    checks.existing_files(folder, {stem: find(folder, stem, endings) for stem in needed}, needed)
    patterns, shapes = {}, {}
    for name in wanted:
        path = find(folder, prefix + name, endings)
        kind = "a pickled SciPy sparse matrix (users × items), or one as .npz"
        matrix = checks.as_entries(load(path, kind), path, kind)
        patterns[name] = checks.interactions_of(matrix, path)
        shapes[path] = matrix.shape
    checks.same_shape(shapes)
    if behaviors is None and wanted == found:
        wanted, more = ordered({name: len(csr.indices) for name, (csr, _) in patterns.items()})
        notes += more
    interactions, times = zip(*(patterns[name] for name in wanted), strict=True)
    times, more = comparable(dict(zip(wanted, times, strict=True)))
    notes += more
    files = tuple(path for path in files if path is not None)
    return Matrices(wanted, interactions, times, shapes, found, notes, files)


def held_out(path: Path, train: Matrices) -> tuple[Array, Array]:
    """Users and items of a held-out part: a matrix, or a list with an entry for each user.

    An entry is an item, None or a list of items.

    Raises
    ------
    InputError
        When it is neither, or does not fit the train matrices.
    """
    n_users, n_items = next(iter(train.shapes.values()))
    kind = (
        "a pickled SciPy sparse matrix (users × items) of held-out pairs, or a pickled list with "
        f"a held-out item, or None, for each of {n_users} users"
    )
    content = load(path, kind)
    if isinstance(content, np.ndarray) and content.ndim == 1:
        content = content.tolist()
    if isinstance(content, (list, tuple)) and not isinstance(content, Entries):
        return user_lists.pairs_of(content, path, n_users, n_items)
    matrix = checks.as_entries(content, path, kind)
    checks.same_shape({**train.shapes, path: matrix.shape})
    csr, _ = checks.interactions_of(matrix, path)
    return row_of_each(csr), csr.indices
