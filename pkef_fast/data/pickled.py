"""Folders of one pickled U × I matrix a behaviour: what their layouts have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from . import checks, unpickle
from .dataset import Array, Csr
from .epochs import unit_of
from .order import ordered

ENDINGS = ("", ".pkl")


def find(folder: Path, stem: str) -> Path | None:
    """The file `stem` in `folder`, with or without the ending .pkl."""
    candidates = (folder / f"{stem}{ending}" for ending in ENDINGS)
    return next((path for path in candidates if path.is_file()), None)


def behaviors_in(folder: Path, prefix: str) -> tuple[str, ...]:
    """Behaviours that have a file `prefix`+name in `folder`, in alphabetical order."""
    names = {
        path.name.removesuffix(".pkl").removeprefix(prefix)
        for path in folder.iterdir()
        if path.name.startswith(prefix) and path.is_file()
    }
    return tuple(sorted(names - {""}))


class Matrices(NamedTuple):
    """Train matrices of a folder, in order."""

    behaviors: tuple[str, ...]
    interactions: tuple[Csr, ...]
    times: tuple[Array | None, ...]
    shapes: dict[Path, tuple[int, int]]
    found: tuple[str, ...]
    notes: tuple[str, ...]


def read_matrices(
    folder: Path,
    prefix: str,
    test: str,
    behaviors: Sequence[str] | None,
    expected: Sequence[str] | None,
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
    """
    found = behaviors_in(folder, prefix)
    if behaviors is not None:
        checks.known_behaviors(behaviors, found, folder)
        wanted = tuple(behaviors)
    elif expected is not None and set(expected) & set(found):
        wanted = tuple(expected)
    else:
        wanted = found
    stems = [prefix + name for name in wanted or ("<behaviour>",)] + [test]
    checks.existing_files(folder, {stem: find(folder, stem) for stem in stems}, stems)
    patterns, shapes = {}, {}
    for name in wanted:
        path = find(folder, prefix + name)
        kind = "a pickled SciPy sparse matrix (users × items)"
        matrix = checks.as_entries(unpickle.load(path, kind), path, kind)
        patterns[name] = checks.interactions_of(matrix, path)
        shapes[path] = matrix.shape
    checks.same_shape(shapes)
    notes: tuple[str, ...] = ()
    if behaviors is None and wanted == found:
        wanted, notes = ordered({name: len(csr.indices) for name, (csr, _) in patterns.items()})
    interactions, times = zip(*(patterns[name] for name in wanted), strict=True)
    units = {name: unit_of(one) for name, one in zip(wanted, times, strict=True) if one is not None}
    if len(set(units.values())) > 1:  # they could not be compared
        times = (None,) * len(wanted)
    elif units:
        notes += (
            f"The values of {', '.join(units)} are taken for times of the interactions, in "
            f"{next(iter(units.values()))} since 1970.",
        )
    return Matrices(wanted, interactions, times, shapes, found, notes)
